"""Image data sets and the architectures that classify them."""

from __future__ import annotations

from collections.abc import Callable

from tiltyard import Dataset, Model, hookimpl

from .datasets.cifar import Cifar10, Cifar100
from .datasets.idx import FashionMnist, Mnist
from .datasets.image_folder import ImageFolder
from .datasets.npz import Npz
from .datasets.packaged import Digits, Mnist5k
from .datasets.svhn import Svhn
from .models.resnet import ResNet8, ResNet18, ResNet20, ResNet32, ResNet44, ResNet56, ResNet110
from .models.small_cnn import SmallCnn
from .models.small_vgg import SmallVgg
from .models.vgg import Vgg19
from .models.wide_resnet import WideResNet
from .models.zoo import TorchvisionModel


@hookimpl
def datasets() -> dict[str, Callable[..., Dataset]]:
    """Data sets: packaged, official, and the user's own."""
    return {
        "cifar10": Cifar10,
        "cifar100": Cifar100,
        "digits": Digits,
        "fashion_mnist": FashionMnist,
        "image_folder": ImageFolder,
        "mnist": Mnist,
        "mnist5k": Mnist5k,
        "npz": Npz,
        "svhn": Svhn,
    }


@hookimpl
def models() -> dict[str, Callable[..., Model]]:
    """Architectures for small images, and any classifier of torchvision."""
    return {
        "resnet8": ResNet8,
        "resnet18": ResNet18,
        "resnet20": ResNet20,
        "resnet32": ResNet32,
        "resnet44": ResNet44,
        "resnet56": ResNet56,
        "resnet110": ResNet110,
        "small_cnn": SmallCnn,
        "small_vgg": SmallVgg,
        "torchvision": TorchvisionModel,
        "vgg19": Vgg19,
        "wrn": WideResNet,
    }
