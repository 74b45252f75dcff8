"""The peers' attacks as their users call them: each function gives a call for an eps and a number of steps."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np
import places  # noqa: F401 - finds the folder of the next line
import torch
from pairs import Reference
from torch import Tensor, nn

STEP = 2.5
"""The step of PGD in units of eps / steps, for every implementation."""


def bare(eps: float, steps: int) -> Reference:
    """The limit: signed steps from a uniform start, input gradients alone, and nothing else."""

    def call(network: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        stride = STEP * eps / steps
        image = (x + torch.empty_like(x).uniform_(-eps, eps)).clamp(0, 1)
        for _ in range(steps):
            image.requires_grad_()
            loss = nn.functional.cross_entropy(network(image), y, reduction="sum")
            (gradient,) = torch.autograd.grad(loss, image)
            image = image.detach() + stride * gradient.sign()
            image = (x + (image - x).clamp(-eps, eps)).clamp(0, 1)
        return image

    return call


def torchattacks(name: str, **keys: Any) -> Reference:
    """An attack of torchattacks by its class's name; ``restarts`` are its ``MultiAttack``, as it has it."""
    restarts = keys.pop("restarts", 1)

    def call(network: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        import torchattacks as library

        attacks = [getattr(library, name)(network, **keys) for _ in range(restarts)]
        images: Tensor = (attacks[0] if restarts == 1 else library.MultiAttack(attacks))(x, y)
        return images.detach()

    return call


def art(name: str, **keys: Any) -> Reference:
    """An attack of ART by its class's name, on the whole batch."""

    def call(network: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        from art.attacks import evasion
        from art.estimators.classification import PyTorchClassifier

        estimator = PyTorchClassifier(
            network,
            loss=nn.CrossEntropyLoss(),
            input_shape=tuple(x.shape[1:]),
            nb_classes=10,
            clip_values=(0.0, 1.0),
            device_type="gpu" if x.is_cuda else "cpu",
        )
        attack = getattr(evasion, name)(estimator, batch_size=len(x), verbose=False, **keys)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            images = attack.generate(x.cpu().numpy(), y.cpu().numpy())
        return torch.from_numpy(np.asarray(images, dtype=np.float32)).to(x)

    return call


def foolbox(name: str, eps: float | None = None, restarts: int = 1, **keys: Any) -> Reference:
    """An attack of foolbox by its class's name, with its own restarts."""

    def call(network: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        import foolbox as library

        attack = getattr(library.attacks, name)(**keys)
        model = library.PyTorchModel(network.eval(), bounds=(0, 1), device=x.device)  # type: ignore[attr-defined]
        repeated = attack if restarts == 1 else attack.repeat(restarts)
        images: Tensor = repeated(model, x, y, epsilons=[eps])[1][0]
        return images

    return call


def adv_lib(name: str, *positional: Any, **keys: Any) -> Reference:
    """An attack of adversarial-library by its function's name."""

    def call(network: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        from adv_lib import attacks

        images: Tensor = getattr(attacks, name)(network, x, y, *positional, **keys)
        return images

    return call


def auto_pgd(eps: float, steps: int, targets: int = 0) -> Reference:
    """The authors' APGD on cross-entropy under linf, or towards so many classes."""

    def call(network: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        from pyautoattack import autopgd_base

        keys: dict[str, Any] = {"n_iter": steps, "norm": "Linf", "eps": eps, "seed": 0, "device": x.device}
        if targets:
            images: Tensor = autopgd_base.APGDAttack_targeted(network, n_target_classes=targets, **keys).perturb(x, y)
        else:
            images = autopgd_base.APGDAttack(network, loss="ce", **keys).perturb(x, y)
        return images

    return call


LINF = math.inf
