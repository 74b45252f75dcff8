"""The hours of a plan, in words and as JSON: an estimate that says what it rests on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tiltyard.cost import Cost

from .show import plain_text


def estimate_json(cost: Cost, tflops: float) -> dict[str, Any]:
    """Hours and operations, the rate they rest on, and what could not be counted."""
    training, attacking = cost.hours(tflops)
    hours = {"tflops": tflops, "training_hours": training, "attacking_hours": attacking}
    return hours | {
        "training_flop": cost.training,
        "attacking_flop": cost.attacking,
        "unknown": [{"reason": reason, "count": count} for reason, count in cost.unknown.items()],
    }


def estimate_lines(cost: Cost, tflops: float) -> Iterator[str]:
    """The estimate for a person, and a line for each reason why part of it is missing."""
    training, attacking = (_hours(hours) for hours in cost.hours(tflops))
    yield (
        f"Estimate: {training} of training and at most {attacking} of attacking on one GPU that sustains {tflops:g} "
        "TFLOP/s (--tflops). Health checks, probes and verdicts are not counted."
    )
    for reason, count in cost.unknown.items():
        yield plain_text(f"Not in it, {count} times: {reason}")


def _hours(hours: float) -> str:
    """Hours with two digits, or minutes."""
    return (
        f"{hours:.2g} hours"
        if 1 <= hours < 100
        else f"{hours:,.0f} hours"
        if hours >= 1
        else f"{60 * hours:.2g} minutes"
    )
