"""The matrix of a benchmark file: the product of its axes, less excludes, plus includes, cut down by --only."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any, Protocol

from ..problems import UserError, suggest

AXIS_ORDER = ("dataset", "model", "labels", "defence", "attack", "threat")


class Named(Protocol):
    """An entry of an axis: it goes by its label, or by the name of its component."""

    @property
    def label(self) -> str: ...

    @property
    def use(self) -> str: ...


Combination = Mapping[str, Any]


def product(axes: Mapping[str, Sequence[Any]]) -> list[dict[str, Any]]:
    """Every combination of one entry per axis."""
    return [dict(zip(axes, entries, strict=True)) for entries in itertools.product(*axes.values())]


def matches(entry: Named, pattern: object) -> bool:
    """Whether an entry goes by a pattern with ``*``, or by one of several."""
    if isinstance(pattern, (list, tuple)):
        return any(matches(entry, one) for one in pattern)
    text = str(pattern)
    return text in (entry.label, entry.use) or fnmatchcase(entry.label, text) or fnmatchcase(entry.use, text)


def selected(combination: Combination, patterns: Mapping[str, object]) -> bool:
    """Whether a combination matches the patterns of all axes named."""
    return all(matches(combination[axis], pattern) for axis, pattern in patterns.items())


def only(texts: Iterable[str]) -> dict[str, list[str]]:
    """The patterns of ``--only AXIS=PATTERN`` arguments; the same axis twice means either."""
    patterns: dict[str, list[str]] = {}
    for text in texts:
        axis, equals, pattern = text.partition("=")
        if not equals:
            raise UserError(f"--only {text}: write --only AXIS=PATTERN, for example --only 'attack=native.*'")
        if axis not in AXIS_ORDER:
            raise UserError(f'--only {text}: unknown axis "{axis}"{suggest(axis, AXIS_ORDER)}')
        patterns.setdefault(axis, []).append(pattern)
    return patterns
