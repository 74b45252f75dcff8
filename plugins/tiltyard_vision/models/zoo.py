"""Any classifier of torchvision, with a new last layer."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from difflib import get_close_matches

import torch
from torch import nn

from tiltyard import Head, Incompatible, MissingFile


@dataclass(frozen=True)
class TorchvisionModel:
    """torchvision's classifier ``architecture``, such as "resnet50" or "vit_b_16"; its last linear layer is the head.

    Parameters keep torchvision's names. ``pretrained`` starts from its default ImageNet weights, which expect
    ImageNet's normalisation, and which torch keeps in its own folder (``$TORCH_HOME``); the new last layer
    is untrained all the same. Source: TorchVision maintainers 2016, "TorchVision: PyTorch's Computer Vision library".
    """

    architecture: str
    pretrained: bool = False

    def __call__(self, shape: tuple[int, int, int], head: Head) -> nn.Module:
        """Raises ``ValueError`` for an unknown name, ``MissingFile`` where weights are not to be had, and
        ``Incompatible`` where the architecture cannot take images of this shape."""
        network = _built(self.architecture, self.pretrained)
        # GoogLeNet's and Inception's auxiliary outputs would make the training output a tuple.
        for auxiliary in ("aux1", "aux2", "AuxLogits"):
            if hasattr(network, auxiliary):
                setattr(network, auxiliary, None)
                setattr(network, "aux_logits", False)  # noqa: B010
        _replace_last_linear(network, self.architecture, head)
        _try_out(network, self.architecture, shape)
        return network


def _built(name: str, pretrained: bool) -> nn.Module:
    from torchvision import models

    known = models.list_models(module=models)
    if name not in known:
        near = get_close_matches(name, known, n=3) or known
        raise ValueError(f'architecture = "{name}" is no classifier of torchvision; did you mean {", ".join(near)}?')
    extra = {"progress": False} if pretrained else {}
    try:
        with warnings.catch_warnings():
            # Two old classifiers announce that their slow initialisation will change some day.
            warnings.simplefilter("ignore", FutureWarning)
            network: nn.Module = models.get_model(name, weights="DEFAULT" if pretrained else None, **extra)
    except OSError as error:
        weights = models.get_model_weights(name).DEFAULT
        raise MissingFile(
            f"the weights of {name} are not in {torch.hub.get_dir()}/checkpoints and cannot be downloaded ({error}); "
            f"put the file of {weights.url} there, or set pretrained = false"
        ) from error
    return network


def _replace_last_linear(network: nn.Module, name: str, head: Head) -> None:
    linear = [(path, module) for path, module in network.named_modules() if isinstance(module, nn.Linear)]
    if not linear:
        raise Incompatible(f"torchvision's {name} has no linear layer that a head could replace")
    path, last = linear[-1]
    network.set_submodule(path, head(last.in_features))


def _try_out(network: nn.Module, name: str, shape: tuple[int, int, int]) -> None:
    """One forward of an empty image: torchvision's networks are particular about channels and sizes."""
    network.eval()
    try:
        with torch.no_grad():
            network(torch.zeros(1, *shape))
    except (RuntimeError, ValueError, AssertionError) as error:
        raise Incompatible(f"torchvision's {name} cannot take images of shape {shape}: {error}") from error
    finally:
        network.train()
