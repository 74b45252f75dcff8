"""The signs by which a victim that hides its gradient, or an attack that is too weak, gives itself away."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from .battery import STRONGEST, Probe
from .structure import Structure
from .study import Attacked, decisive, radii
from .trials import Family, Trial, compare, names

SHARE = 0.1
"""Share of the samples from which a structural fault is one of the victim and not of a sample."""


@dataclass(frozen=True)
class Evidence:
    """What indicators judge: a probe, and the finished cells of the same victim under the same norm.

    There is no probe where eps is no number of pixels.
    """

    probe: Probe | None
    study: Sequence[Attacked]

    @property
    def eps(self) -> float:
        """The eps that is judged first: the probe's, or that which a claim would rest on."""
        return self.probe.eps if self.probe else decisive(self.study)

    def trial(self, name: str) -> Trial | None:
        """What the probe tried under that name."""
        return self.probe.trial(name) if self.probe else None

    def at(self, eps: float) -> list[Trial]:
        """What the probe tried at ``eps``."""
        return self.probe.at(eps) if self.probe else []

    def all(self, *families: Family) -> list[Trial]:
        """The attacks of these families at the eps that is judged first, the study's among them."""
        return [trial for trial in self.at(self.eps) + self.studied(self.eps) if trial.family in families]

    def studied(self, eps: float, goal: str | None = None) -> list[Trial]:
        """What the attacks of the study, or those of one goal, broke within ``eps``."""
        chosen = [attacked for attacked in self.study if goal in (None, attacked.cell.threat.goal)]
        return [trial for trial in (attacked.trial(eps, smaller=True) for attacked in chosen) if trial.tried]


@dataclass(frozen=True)
class Finding:
    """Whether an indicator is raised, None where it could not be checked, and what speaks for it.

    ``attacks`` are the labels of the attacks that it is raised against; none means the whole victim.
    """

    raised: bool | None
    evidence: str
    attacks: tuple[str, ...] = ()


@dataclass(frozen=True)
class Indicator:
    """A sign of masking: the word that tables use, what it means, and the judgement."""

    name: str
    meaning: str
    judge: Callable[[Evidence], Finding]


UNCHECKED = Finding(None, "not checked")


def _counted(count: Callable[[Structure], int], what: str) -> Callable[[Evidence], Finding]:
    """Raised where enough samples show a structural fault."""

    def judge(evidence: Evidence) -> Finding:
        if not evidence.probe:
            return UNCHECKED
        structure = evidence.probe.structure
        number = count(structure)
        error = f" ({structure.broken_gradient})" if what.startswith("margins") and structure.broken_gradient else ""
        return Finding(number >= max(1, SHARE * structure.samples), f"{number} of {structure.samples} {what}{error}")

    return judge


def _randomised(evidence: Evidence) -> Finding:
    if not evidence.probe:
        return UNCHECKED
    structure = evidence.probe.structure
    said = "declared" if structure.declared else "not declared: attacks and verdicts were not seeded for it"
    words = f"two forwards differ on {structure.differing} of {structure.samples} images"
    return Finding(structure.differing > 0, f"{words} ({said})" if structure.differing else words)


def _undefined(evidence: Evidence) -> Finding:
    structure = evidence.probe and evidence.probe.structure
    judged = sum(int((attacked.records["status"] == "undefined").sum()) for attacked in evidence.study)
    words = f"{structure.undefined} of {structure.asked} queries of the probe, " if structure else ""
    return Finding(bool(judged or (structure and structure.undefined)), f"{words}{judged} verdicts of the study")


def _beats(first: Iterable[Trial | None], second: Iterable[Trial | None], attacks: tuple[str, ...] = ()) -> Finding:
    """Raised where the first attacks, which should be the weaker ones, break more."""
    one, two = [trial for trial in first if trial], [trial for trial in second if trial]
    if not one or not two:
        return UNCHECKED
    result = compare(one, two)
    words = f"{names(one)} broke {result.first}, {names(two)} {result.second}"
    return Finding(result.first_wins, f"{words}; {result.first_only} and {result.second_only} alone", attacks)


def _steps(weaker: str, stronger: str) -> Callable[[Evidence], Finding]:
    def judge(evidence: Evidence) -> Finding:
        return _beats([evidence.trial(weaker)], [evidence.trial(stronger)])

    return judge


def _black_box(evidence: Evidence) -> Finding:
    return _beats(evidence.all("black box"), evidence.all("one step", "white box"))


def _transfer(evidence: Evidence) -> Finding:
    return _beats(evidence.all("transfer"), evidence.all("one step", "white box"))


def _cross_entropy(evidence: Evidence) -> Finding:
    return _steps("10 steps", "10 steps on cross-entropy")(evidence)


def _not_monotone(evidence: Evidence) -> Finding:
    """Attacks of one step are left out: too large a step overshoots on any network."""
    trials = evidence.probe.trials if evidence.probe else ()
    probed = sorted((t for t in trials if t.name == STRONGEST.name), key=lambda trial: trial.eps)
    if shrinking := _shrinking(STRONGEST.name, probed):
        return Finding(True, shrinking)
    cells = [attacked for attacked in evidence.study if attacked.family != "one step"]
    found = {a: _shrinking(a.name, [a.trial(eps) for eps in sorted(a.cell.threat.eps)]) for a in cells}
    guilty = tuple(attacked.cell.attack.label for attacked, words in found.items() if words)
    first = probed or next(([a.trial(eps) for eps in sorted(a.cell.threat.eps)] for a in cells), [])
    if not first:
        return UNCHECKED
    radii = ", ".join(f"{trial.eps:g}: {len(trial.broken)}" for trial in first)
    return Finding(bool(guilty), "; ".join(filter(None, found.values())) or f"{first[0].name} broke {radii}", guilty)


def _shrinking(name: str, trials: Sequence[Trial]) -> str:
    """Where an attack breaks fewer samples in a larger ball, in words, or nothing."""
    for smaller, larger in pairwise(trials):
        result = compare([smaller], [larger])
        if result.first_wins:
            return f"{name} broke {result.first} at eps {smaller.eps:g}, {result.second} at {larger.eps:g}"
    return ""


def _not_at_chance(evidence: Evidence) -> Finding:
    """The grey image has one class, so whoever reaches it can break every sample of another."""
    return _steps("the grey image", "10 steps in the box")(evidence)


def _silent(evidence: Evidence) -> Finding:
    if not evidence.probe or evidence.probe.structure.differing or not evidence.probe.silent:
        return UNCHECKED
    guilty = [one for one in evidence.probe.silent if one.silent >= max(2, SHARE * one.samples)]
    words = "; ".join(
        f"{one.attack} met an adversarial image and returned another on {one.silent} of {one.samples} lost samples"
        for one in guilty or evidence.probe.silent
    )
    return Finding(bool(guilty), words, tuple(one.attack for one in guilty))


def _weak(evidence: Evidence) -> Finding:
    """The battery against the whole study, and then against each attack of it that takes more than one step."""
    whole = _anywhere(evidence, lambda eps: (evidence.at(eps), evidence.studied(eps)))
    if whole.raised:
        return whole
    several = [a for a in evidence.study if a.family == "white box" and a.cell.threat.goal == "untargeted"]
    single = [(a, _anywhere(evidence, _against(evidence, a))) for a in several]
    guilty = [(attacked, finding) for attacked, finding in single if finding.raised]
    if not guilty:
        return whole
    words = "; ".join(finding.evidence for _, finding in guilty)
    return Finding(True, words, tuple(attacked.cell.attack.label for attacked, _ in guilty))


def _against(evidence: Evidence, attacked: Attacked) -> Callable[[float], tuple[list[Trial], list[Trial]]]:
    return lambda eps: (evidence.at(eps), [trial for trial in [attacked.trial(eps)] if trial.tried])


def _targeted(evidence: Evidence) -> Finding:
    return _anywhere(evidence, lambda eps: (evidence.studied(eps, "targeted"), evidence.studied(eps, "untargeted")))


def _anywhere(evidence: Evidence, sides: Callable[[float], tuple[list[Trial], list[Trial]]]) -> Finding:
    """The comparison at the eps at which it is raised, or at the one that is judged first."""
    eps = [evidence.eps, *radii(evidence.study)]
    findings = {radius: _beats(*sides(radius)) for radius in eps}
    radius = next((radius for radius, finding in findings.items() if finding.raised), evidence.eps)
    found = findings[radius]
    return found if found.raised is None else replace(found, evidence=f"{found.evidence} (eps {radius:g})")


INDICATORS = (
    Indicator("randomised", "two forwards on the same images differ", _randomised),
    Indicator(
        "probabilities", "the scores are probabilities, not logits", _counted(lambda s: s.probabilities, "scores")
    ),
    Indicator(
        "zero gradient",
        "the margin has no gradient, or one that promises next to no change over the whole box",
        _counted(lambda s: s.without_gradient, "margins have no gradient"),
    ),
    Indicator(
        "saturated",
        "the softmax of the scores is saturated: the margin has a gradient and cross-entropy has none",
        _counted(lambda s: s.saturated, "cross-entropies have no gradient"),
    ),
    Indicator("undefined scores", "some scores are not finite", _undefined),
    Indicator("cross-entropy fails", "the margin breaks more than cross-entropy", _cross_entropy),
    Indicator("one step beats many", "one gradient step breaks more than 10", _steps("one step", "10 steps")),
    Indicator("not converged", "20 gradient steps break more than 10", _steps("20 steps", "10 steps")),
    Indicator("black box beats white box", "attacks without gradients break more than those with", _black_box),
    Indicator("transfer beats white box", "images that broke other victims break more than gradients do", _transfer),
    Indicator("not monotone", "an attack breaks fewer samples in a larger ball", _not_monotone),
    Indicator("not at chance", "a grey image breaks samples that hold in a ball that reaches it", _not_at_chance),
    Indicator("silent success", "an attack met an adversarial image and returned another", _silent),
    Indicator(
        "weak attacks", "the harness's own small battery breaks more than the study, or than one of its attacks", _weak
    ),
    Indicator("targeted beats untargeted", "targeted attacks move more samples out of their class", _targeted),
)
"""All indicators, in the order of the report."""
