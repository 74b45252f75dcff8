"""What must hold of every attack: each property is a function of a trial."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial

import torch

from ..contracts import Incompatible, declared
from .arena import SAMPLES, Arena, Kind, arena, bystanders, rough
from .trial import TOLERATED, Outcome, Trial

SHIFTS = (-100.0, 100.0)
SCALES = (0.01, 10.0)
KINDS: tuple[Kind, ...] = ("hopeless", "easy")
SLACK = 0.02
"""Difference of margins that rounding explains once a search has amplified it, scores being of the size of one."""
WIDER = 4.0
"""Times the usual ball: a larger one, in which no less must be broken."""

Check = Callable[[Trial], str | None]


@dataclass(frozen=True)
class Property:
    """A sentence that is true of a sound attack, and the check of it.

    ``check`` gives the evidence against it, or None; it raises ``Incompatible`` where the property does not apply.
    An attack that fails one that ``gates`` is faulty; the others are noted, since they make no result wrong.
    """

    name: str
    sentence: str
    check: Check
    gates: bool = True


def images(trial: Trial) -> str | None:
    """Complaints about what comes back."""
    idle = trial.out_of_reach
    return (idle.complaint if idle else "") or trial.base.complaint or None


def strength(trial: Trial) -> str | None:
    """Too few broken where a closed form says that all can be."""
    if trial.strong:
        return None
    return f"breaks {trial.base.count} of {SAMPLES} samples at {trial.reach:g} times the distance that suffices"


def determinism(trial: Trial) -> str | None:
    """Two calls that differ."""
    found = trial.ask(rough(trial.norm))
    return _margins(found, trial.rough, "a second call with the same seed", slack=0.0, tolerated=0)


def logit_shift(trial: Trial) -> str | None:
    """Samples that fare otherwise when a number is added to all scores."""
    return _any(_verdicts(trial, trial.own.rescored(shift=shift), f"{shift:+g} on all scores") for shift in SHIFTS)


def logit_scale(trial: Trial) -> str | None:
    """Samples that fare otherwise when all scores are multiplied."""
    return _any(_verdicts(trial, trial.own.rescored(scale=scale), f"all scores times {scale:g}") for scale in SCALES)


def bent_scores(trial: Trial) -> str | None:
    """Samples that fare otherwise when every score goes through one rising function."""
    return _verdicts(trial, trial.own.bent(), "all scores through a rising function")


def class_permutation(trial: Trial) -> str | None:
    """Samples that fare otherwise under other numbers for the classes."""
    return _verdicts(trial, trial.own.permuted(torch.tensor([2, 3, 1, 0])), "classes numbered in another order")


def ten_classes(trial: Trial) -> str | None:
    """Less broken with ten classes."""
    return _as_many(trial, arena(trial.norm, 10), "ten classes")


def three_classes(trial: Trial) -> str | None:
    """Less broken with three classes."""
    return _as_many(trial, arena(trial.norm, 3), "three classes")


def two_classes(trial: Trial) -> str | None:
    """Less broken with two classes."""
    return _as_many(trial, arena(trial.norm, 2), "two classes")


def saturated_pixels(trial: Trial) -> str | None:
    """Less broken where all pixels are exactly 0 or 1."""
    return _as_many(trial, arena(trial.norm, 4, "black and white"), "pixels of exactly 0 and 1")


def double_precision(trial: Trial) -> str | None:
    """Samples that fare otherwise on a float64 network."""
    return _verdicts(trial, trial.own.cast(torch.float64), "a float64 victim")


def half_precision(trial: Trial) -> str | None:
    """Crashes, or nearly nothing broken, on a bfloat16 network, whose scores are coarse."""
    found = trial.ask(trial.own.cast(torch.bfloat16))
    if found.complaint or 2 * found.count < trial.base.count:
        return found.complaint or f"{found.count} of {SAMPLES} samples broken instead of {trial.base.count}"
    return None


def already_wrong(trial: Trial) -> str | None:
    """Complaints where the attacked network errs on every sample: an attacker may be given another network."""
    other = trial.own.permuted(torch.tensor([1, 2, 3, 0]))
    return trial.ask(trial.own, seen=other.classifier).complaint or None


def eps_monotone(trial: Trial) -> str | None:
    """Samples that a small ball breaks and a larger one does not."""
    if trial.minimal:
        raise Incompatible("it ignores eps")
    wide = trial.ask(trial.own, factor=WIDER * trial.reach)
    lost = int((trial.base.broken & ~wide.broken).sum())
    if lost <= TOLERATED:
        return wide.complaint or None
    return f"{lost} samples broken in a ball hold in one {WIDER:g} times as wide"


def eps_zero(trial: Trial) -> str | None:
    """Images moved, or not finite, at eps = 0. To refuse it is right as well."""
    if trial.minimal:
        raise Incompatible("it ignores eps")
    found = trial.ask(trial.own, eps=0.0)
    if "status error" in found.complaint:
        return None
    return found.complaint or ("breaks samples" if found.count else None)


def batch_mates(trial: Trial) -> str | None:
    """Samples that fare otherwise beside others that are out of reach or all but broken, or alone."""
    return _any(_beside(trial, kind) for kind in KINDS)


def batch_permutation(trial: Trial) -> str | None:
    """Other images in another order."""
    place = rough(trial.norm)
    found = trial.ask(place, place.batch[torch.arange(SAMPLES - 1, -1, -1)])
    return _margins(found, trial.rough, "the batch reversed")


def batch_size(trial: Trial) -> str | None:
    """Other images in a smaller batch."""
    place = rough(trial.norm)
    last = torch.arange(SAMPLES - 3, SAMPLES)  # the first ones a batch-wide generator would give the same numbers
    return _margins(trial.ask(place, place.batch[last]), trial.rough, "a batch of three")


def targets(trial: Trial) -> str | None:
    """Most targets missed that a closed form says can be reached, none of them being the nearest class."""
    if not declared(trial.attack, "targeted"):
        raise Incompatible("it has no targeted mode")
    if declared(trial.attack, "access") == "images":
        raise Incompatible("its images are those of others")
    found = trial.ask(trial.own, eps=trial.own.towards_target(trial.reach), goal="targeted")
    if found.complaint or not trial.strong or 2 * found.count >= SAMPLES:
        return found.complaint or None
    return f"reaches {found.count} of {SAMPLES} targets at {trial.reach:g} times a distance that suffices"


def trace(kind: str, trial: Trial) -> str | None:
    """What a call leaves changed."""
    return trial.traces[kind]


def _any(evidence: Iterable[str | None]) -> str | None:
    return next((one for one in evidence if one), None)


def _verdicts(trial: Trial, place: Arena, words: str) -> str | None:
    """What ``words`` did to the same samples, if it is more than rounding explains."""
    return _changed(trial.ask(place), trial.base, words)


def _changed(found: Outcome, base: Outcome, words: str) -> str | None:
    if found.complaint:
        return f"{words}: {found.complaint}"
    before = dict(zip(base.ids.tolist(), base.broken.tolist(), strict=True))
    now = dict(zip(found.ids.tolist(), found.broken.tolist(), strict=True))
    other = sum(now.get(sample) != broken for sample, broken in before.items())
    if other <= TOLERATED:
        return None
    count = sum(now.get(sample, False) for sample in before)
    if count == base.count:
        return f"{words}: {other} of {SAMPLES} samples fare otherwise"
    return f"{words}: {count} of {SAMPLES} samples broken instead of {base.count}"


def _as_many(trial: Trial, place: Arena, words: str) -> str | None:
    """What happened on other samples as near as those of ``trial.own``, if fewer of them were broken.

    Of an attack without ``strength`` it is asked only that it runs: what it breaks then, it breaks by chance.
    """
    found = trial.ask(place)
    if found.complaint:
        return f"{words}: {found.complaint}"
    if not trial.strong or found.count >= trial.base.count - TOLERATED:
        return None
    return f"{words}: {found.count} of {SAMPLES} samples broken instead of {trial.base.count}"


def _beside(trial: Trial, kind: Kind) -> str | None:
    mates = bystanders(trial.norm, kind)
    whole = trial.own.batch
    batch = replace(
        whole,
        x=torch.cat([mates.x, whole.x]),
        y=torch.cat([mates.y, whole.y]),
        ids=torch.cat([mates.batch.ids + SAMPLES, whole.ids]),
        found=(torch.cat([mates.nearest, trial.own.nearest]),),
    )
    found = trial.ask(trial.own, batch)
    return _changed(found, trial.base, f"beside {kind} samples")


def _margins(found: Outcome, base: Outcome, words: str, slack: float = SLACK, tolerated: int = TOLERATED) -> str | None:
    """How far margins of the same samples differ, if those of more than ``tolerated`` samples do."""
    rows = torch.isin(base.ids, found.ids)
    gap = (found.margin[found.ids.argsort()] - base.margin[rows]).abs()
    other = int((gap > slack).sum())
    if other <= tolerated:
        return None
    return f"{words}: {other} of {len(gap)} margins differ, by up to {float(gap.max()):.2g}"


CORE = 2
"""The first so many properties must have been looked at."""

PROPERTIES = (
    Property("images", "what it returns are images inside the ball and the box, and it does not crash", images),
    Property("strength", "it breaks a linear victim where a closed form says that it can", strength),
    Property("determinism", "two calls with one seed return the same images", determinism),
    Property("logit shift", "a number added to all scores changes nothing", logit_shift),
    Property("logit scale", "all scores times a number change nothing", logit_scale),
    Property("bent scores", "all scores through one rising function change nothing", bent_scores),
    Property("class permutation", "other numbers for the classes change nothing", class_permutation),
    Property("two classes", "two classes are no harder than four", two_classes),
    Property("three classes", "three classes are no harder than four", three_classes),
    Property("ten classes", "ten classes are no harder than four", ten_classes),
    Property(
        "saturated pixels", "pixels that are exactly 0 or 1 are no harder to move than grey ones", saturated_pixels
    ),
    Property("eps monotone", "what it breaks in a ball it breaks in a larger one", eps_monotone),
    Property("float64", "a float64 victim fares as a float32 one", double_precision),
    Property("bfloat16", "it works on a bfloat16 victim", half_precision),
    Property("already wrong", "it does not crash where all samples are misclassified already", already_wrong),
    Property("batch mates", "whether a sample breaks does not depend on how hard the others are", batch_mates),
    Property("targets", "it reaches targets that a closed form says it can", targets),
    Property("settings", "it leaves threads, environment and the like alone", partial(trace, "settings")),
    Property("eps zero", "at eps = 0 it returns the clean images or refuses", eps_zero, gates=False),
    Property("batch permutation", "the order of the batch changes no image", batch_permutation, gates=False),
    Property("batch size", "the size of the batch changes no image", batch_size, gates=False),
    Property("random state", "it leaves global random states alone", partial(trace, "random"), gates=False),
    Property(
        "modes", "it leaves modes, requires_grad and the default dtype alone", partial(trace, "modes"), gates=False
    ),
    Property("gradients", "it leaves no gradients on parameters", partial(trace, "gradients"), gates=False),
    Property("input", "it leaves the images and labels that it is given alone", partial(trace, "input"), gates=False),
    Property("prints", "it prints nothing", partial(trace, "prints"), gates=False),
)
"""Every property, the first being the one without which no other can be looked at.

What is wrong or weak gates. What is only noted makes no verified result wrong: the guard undoes the side effects, and
an attack that draws for the batch as a whole is a sound attack that another batch size would have start elsewhere.
"""
