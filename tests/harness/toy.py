"""A plugin of toys: data quick to learn, a small network, attacks and defences that behave, and some that do not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from pydantic import PositiveInt
from torch import Tensor, nn

import tiltyard
from tiltyard import Batch, Category, Classifier, Data, Files, Outputs, Split, Threat, Victim, hookimpl


@dataclass(frozen=True)
class Blobs:
    """Noisy images whose brightest quarter tells the class."""

    samples: PositiveInt = 240
    classes: int = 4

    def __call__(self, files: Files) -> Data:
        return Data(self._split(self.samples, 1), self._split(60, 2), tuple("abcd"[: self.classes]))

    def _split(self, count: int, seed: int) -> Split:
        generator = torch.Generator().manual_seed(seed)
        labels = torch.arange(count) % self.classes
        images = torch.randint(60, 120, (count, 1, 8, 8), generator=generator)
        for n, label in enumerate(labels.tolist()):
            row, column = divmod(label, 2)
            images[n, :, 4 * row : 4 * row + 4, 4 * column : 4 * column + 4] += 60
        return Split(images.to(torch.uint8), labels)


@dataclass(frozen=True)
class Linear:
    """One linear layer."""

    dropout: float = 0.0

    def __call__(self, shape: tuple[int, int, int], head: tiltyard.Head) -> nn.Module:
        features = shape[0] * shape[1] * shape[2]
        return nn.Sequential(nn.Flatten(), nn.BatchNorm1d(features), nn.Dropout(self.dropout), head(features))


@dataclass(frozen=True)
class OneHot:
    """Plain category labels."""

    category: ClassVar[bool] = True

    def __call__(self, classes: tuple[str, ...], files: Files) -> tiltyard.LabelScheme:
        return Category(len(classes))


@dataclass(frozen=True)
class RandomCodes:
    """Random codes of 12 numbers."""

    category: ClassVar[bool] = False

    def __call__(self, classes: tuple[str, ...], files: Files) -> tiltyard.LabelScheme:
        return tiltyard.LabelScheme(torch.randn(len(classes), 12, generator=torch.Generator().manual_seed(5)))


@dataclass(frozen=True)
class Undefended:
    """No defence."""

    def __call__(self, train: tiltyard.Trainer) -> Classifier:
        return train()


class Suspicious(Classifier):
    """Rejects bright images."""

    def outputs(self, x: Tensor) -> Outputs:
        return Outputs(super().outputs(x).scores, x.flatten(1).mean(1) - 0.48)


@dataclass(frozen=True)
class Bright:
    """A detector of images that are brighter than clean ones are."""

    def __call__(self, train: tiltyard.Trainer) -> Classifier:
        plain = train()
        return Suspicious(plain.network, plain.scheme)


class Numberless(Classifier):
    """Has no scores for images with a pixel above ``limit``."""

    limit = 0.0

    def outputs(self, x: Tensor) -> Outputs:
        scores = super().outputs(x).scores
        return Outputs(torch.where(x.flatten(1).amax(1, keepdim=True) > self.limit, torch.nan, scores))


@dataclass(frozen=True)
class Undefined:
    """A network that gives NaN: for images brighter than clean ones are, unless ``limit`` is lower."""

    limit: float = 0.71

    def __call__(self, train: tiltyard.Trainer) -> Classifier:
        plain = train()
        made = Numberless(plain.network, plain.scheme)
        made.limit = self.limit
        return made


@dataclass(frozen=True)
class Retrained:
    """Trains with an objective of its own, which given weights do not allow."""

    def __call__(self, train: tiltyard.Trainer) -> Classifier:
        return train(lambda classifier, x, y: 2 * classifier.loss(x, y), key="twice the loss")

    def refuse(self, setting: tiltyard.Setting) -> str | None:
        return None if setting.labels.category else "needs category labels"


@dataclass(frozen=True)
class Descent:
    """A few signed steps down the margin."""

    norms: ClassVar[frozenset[str]] = frozenset({"linf"})
    targeted: ClassVar[bool] = True
    steps: PositiveInt = 5

    def passes(self, classes: int) -> tuple[int, int]:
        return self.steps, self.steps

    def __call__(self, victim: Victim, batch: Batch, threat: Threat) -> Tensor:
        x = batch.x
        for _ in range(self.steps):
            x = x.detach().requires_grad_()
            (gradient,) = torch.autograd.grad(batch.margin(victim(x)).sum(), x)
            step = x - 2 * threat.eps / self.steps * gradient.sign()
            x = (batch.x + (step - batch.x).clamp(-threat.eps, threat.eps)).clamp(0, 1)
        return x.detach()


@dataclass(frozen=True)
class Nearest:
    """The exact nearest point across a linear boundary, found by a line search along the gradient."""

    norms: ClassVar[frozenset[str]] = frozenset({"l2"})
    minimal: ClassVar[bool] = True

    def __call__(self, victim: Victim, batch: Batch, threat: Threat) -> Tensor:
        x = batch.x.clone().requires_grad_()
        (gradient,) = torch.autograd.grad(batch.margin(victim(x)).sum(), x)
        direction = gradient / gradient.flatten(1).norm(dim=1).view(-1, 1, 1, 1)
        best = batch.x.clone()
        with torch.no_grad():
            for length in torch.logspace(0.9, -1.7, 60):
                moved = (batch.x - length * direction).clamp(0, 1)
                won = (batch.margin(victim(moved)) < 0).view(-1, 1, 1, 1)
                best = torch.where(won, moved, best)
        return best


@dataclass(frozen=True)
class Rogue:
    """Misbehaves as its ``crime`` says."""

    norms: ClassVar[frozenset[str]] = frozenset({"linf"})
    crime: str = "raise"

    def __call__(self, victim: Victim, batch: Batch, threat: Threat) -> Tensor:
        x, eps = batch.x, threat.eps
        victim(x)
        self._stop(batch, eps)
        if self.crime == "mutate input":
            batch.x.zero_()
            return batch.x
        if self.crime == "mutate weights":
            with torch.no_grad():
                next(victim.parameters()).add_(1)
        if self.crime == "replace weights":
            layer = victim.classifier.network[1][3]
            layer.weight = nn.Parameter(torch.zeros_like(layer.weight))
        if self.crime == "hook":
            victim.classifier.network.register_forward_hook(lambda _, __, scores: -scores)
        if self.crime == "print":
            print("noise on stdout")  # noqa: T201
        if self.crime == "modes":
            victim.train().requires_grad_(True)
            torch.manual_seed(0)
            victim(x.clone().requires_grad_()).sum().backward()
        return {
            "nan": torch.full_like(x, torch.nan),
            "outside the ball": x + 2 * eps,
            "just outside the ball": (x + 1.005 * eps).clamp(0, 1),
            "outside the box": x - 3,
            "shape": x[:, :, :4],
            "integers": (x * 255).to(torch.uint8),
            "nothing": None,
        }.get(self.crime, x)  # type: ignore[return-value]

    def _stop(self, batch: Batch, eps: float) -> None:
        """The crimes after which nothing is returned."""
        if self.crime == "raise":
            raise RuntimeError("something broke")
        if self.crime == "raise on the first batch" and int(batch.ids.min()) < 20:
            raise RuntimeError("something broke in the middle")
        if self.crime == "raise at the larger eps" and eps > 0.1:
            raise RuntimeError("something broke at the larger eps")
        if self.crime == "exit":
            raise SystemExit("an attack may not end the run")
        if self.crime == "refuse":
            raise tiltyard.Incompatible("not this one")
        if self.crime.startswith("hang"):
            self._hang(swallow="swallow" in self.crime)
        if self.crime == "memory" and len(batch) > 4:
            raise torch.OutOfMemoryError("CUDA out of memory")

    @staticmethod
    def _hang(swallow: bool) -> None:
        """Never end; a loop that carries on after every mistake is a hang as well."""
        while True:
            try:
                while True:
                    pass
            except Exception:
                if not swallow:
                    raise


@dataclass(frozen=True)
class Idle:
    """Returns the clean images and asks nothing."""

    norms: ClassVar[frozenset[str]] = frozenset({"linf"})

    def __call__(self, victim: Victim, batch: Batch, threat: Threat) -> Tensor:
        return batch.x


@hookimpl
def datasets() -> dict[str, type]:
    return {"blobs": Blobs}


@hookimpl
def models() -> dict[str, type]:
    return {"linear": Linear}


@hookimpl
def label_schemes() -> dict[str, type]:
    return {"onehot": OneHot, "codes": RandomCodes}


@hookimpl
def defences() -> dict[str, type]:
    return {"none": Undefended, "bright": Bright, "retrained": Retrained, "undefined": Undefined}


@hookimpl
def attacks() -> dict[str, type]:
    return {"descent": Descent, "nearest": Nearest, "rogue": Rogue, "idle": Idle}
