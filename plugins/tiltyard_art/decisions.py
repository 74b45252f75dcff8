"""Attacks of ART that see nothing but decisions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import numpy as np
from pydantic import PositiveFloat, PositiveInt

from tiltyard import Norm

from .calling import Array, Recipe, Task, run

_HALVINGS = 32  # more than any search between an image and its neighbour takes in single precision
_PATIENCE = 64


@dataclass(frozen=True)
class HopSkipJump:
    """Chen et al. 2020, "HopSkipJumpAttack: A Query-Efficient Decision-Based Attack", arXiv 1904.02144.

    ``starts`` uniform images are tried as a beginning; ``queries`` is spent on the first gradient estimate, and
    its square root law is capped at ``most_queries``. Not targeted: uniform images are hardly ever of the target
    class.
    """

    norms: ClassVar[frozenset[Norm]] = frozenset({"linf", "l2"})
    minimal: ClassVar[bool] = True
    targeted: ClassVar[bool] = False
    access: ClassVar[str] = "decisions"

    steps: PositiveInt = 50
    starts: PositiveInt = 100
    queries: PositiveInt = 100
    most_queries: PositiveInt = 10000

    def __post_init__(self) -> None:
        if self.queries > self.most_queries:
            raise ValueError(f"queries = {self.queries} exceeds most_queries = {self.most_queries}")

    def recipe(self, task: Task) -> Recipe:
        """``HopSkipJump`` from a reproducible start, one image at a time, which is how it works in any case."""
        return Recipe(
            "HopSkipJump",
            {
                "norm": task.norm,
                "max_iter": self.steps,
                "init_eval": self.queries,
                "max_eval": self.most_queries,
                "targeted": False,
                "batch_size": self.most_queries,
                "verbose": False,
            },
            generate=partial(_from_noise, _hop, self.starts),
            alone=True,
        )

    def passes(self, classes: int) -> tuple[int, int]:
        """Forwards and backwards per sample at most."""
        estimates = sum(min(int(self.queries * (step + 1) ** 0.5), self.most_queries) for step in range(self.steps))
        return self.starts + 4 + estimates + (self.steps + 1) * (_HALVINGS + _PATIENCE), 0

    __call__ = run


@dataclass(frozen=True)
class Boundary:
    """Brendel et al. 2018, "Decision-Based Adversarial Attacks", arXiv 1712.04248, under l2.

    ``starts`` uniform images are tried as a beginning. ``orthogonal`` and ``forward`` are the first relative
    sizes of the step along the sphere and towards the image; both adapt by ``adapt``. Not targeted: uniform
    images are hardly ever of the target class.
    """

    norms: ClassVar[frozenset[Norm]] = frozenset({"l2"})
    minimal: ClassVar[bool] = True
    targeted: ClassVar[bool] = False
    access: ClassVar[str] = "decisions"

    steps: PositiveInt = 1000
    starts: PositiveInt = 100
    trials: PositiveInt = 25
    queries: PositiveInt = 20
    orthogonal: PositiveFloat = 0.01
    forward: PositiveFloat = 0.01
    adapt: PositiveFloat = 0.667

    def __post_init__(self) -> None:
        if self.adapt >= 1:
            raise ValueError(f"adapt = {self.adapt} must lie between 0 and 1")

    def recipe(self, task: Task) -> Recipe:
        """``BoundaryAttack`` from a reproducible start, one image at a time, which is how it works in any case."""
        return Recipe(
            "BoundaryAttack",
            {
                "max_iter": self.steps,
                "num_trial": self.trials,
                "sample_size": self.queries,
                "delta": self.orthogonal,
                "epsilon": self.forward,
                "step_adapt": self.adapt,
                "targeted": False,
                "batch_size": self.queries,
                "verbose": False,
            },
            generate=partial(_from_noise, _walk, self.starts),
            alone=True,
        )

    def passes(self, classes: int) -> tuple[int, int]:
        """Forwards and backwards per sample at most."""
        return self.starts + 4 + 2 * self.steps * self.trials * self.queries, 0

    __call__ = run


Search = Callable[[Any, Array, Array, Array], Array]


def _from_noise(search: Search, starts: int, attack: Any, x: Array, y: Array) -> Array:
    """A search from the first misclassified one of ``starts`` uniform images; the clean image where none is.

    The library would draw them from a generator that it seeds from the clock.
    """
    for _ in range(starts):
        noise = np.random.uniform(size=x.shape).astype(np.float32)
        if attack.estimator.predict(noise).argmax() != y.argmax():
            return search(attack, x, y, noise)
    return x


def _walk(attack: Any, x: Array, y: Array, start: Array) -> Array:
    images: Array = attack.generate(x=x, y=y, x_adv_init=start)
    return images


class _Stuck(Exception):  # noqa: N818 - it is no error of anybody's
    """No step is small enough."""


@dataclass
class _Judge:
    """The library's test of candidates, which gives up where the library would halve a step for ever.

    ``last`` is the last single candidate that was adversarial.
    """

    test: Callable[..., Any]
    last: Array
    failures: int = 0

    def __call__(self, samples: Array, target: int, clip_min: float, clip_max: float) -> Any:
        verdict = self.test(samples=samples, target=target, clip_min=clip_min, clip_max=clip_max)
        verdict = verdict & np.isfinite(samples).reshape(len(samples), -1).all(1)
        self.failures = 0 if verdict.any() else self.failures + 1
        if self.failures > _HALVINGS + _PATIENCE:
            raise _Stuck
        if len(samples) == 1 and verdict[0]:
            self.last = samples[0].clip(clip_min, clip_max)
        return verdict


def _hop(attack: Any, x: Array, y: Array, start: Array) -> Array:
    """The library's call, and one more search along the line to the clean image, with which a step ends.

    The library begins each step with that search, and so returns the image as the last jump left it.
    """
    between = attack._interpolate
    judge = _Judge(attack._adversarial_satisfactory, start[0])
    attack._adversarial_satisfactory = judge
    # Weights of one type, so that the image returned is to the last bit the one that was tested.
    attack._interpolate = lambda alpha, **rest: between(alpha=float(alpha), **rest)
    try:
        with np.errstate(invalid="ignore"):  # a direction of length 0, which the judge then refuses
            attack.generate(x=x, y=y, x_adv_init=start)
        nearest: Array = attack._binary_search(
            current_sample=judge.last,
            original_sample=x[0],
            target=int(y[0].argmax()),
            norm=attack.norm,
            clip_min=0.0,
            clip_max=1.0,
        )
    except _Stuck:
        nearest = judge.last
    return nearest[None]
