"""One table that stands for several: ``sweep = { temperature = [1, 10, 100] }``."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any


def swept(table: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The tables that a table stands for: one for each combination of the values that its ``sweep`` lists by key.

    ``{key}`` in its ``name`` becomes the value of a swept key. Raises ``ValueError`` on a sweep that cannot be meant.
    """
    rest = {key: value for key, value in table.items() if key != "sweep"}
    lists = table.get("sweep", {})
    if "sweep" in table and (not isinstance(lists, Mapping) or not lists):
        raise ValueError("must list values by key: sweep = { steps = [10, 100] }")
    for key, values in lists.items():
        if not isinstance(values, list) or not values:
            raise ValueError(f"{key} must be a list of values, not {values!r}")
        if key in rest:
            raise ValueError(f"{key} is a key of the table as well; keep one of the two")
    combinations = itertools.product(*lists.values())
    return [_named(rest | dict(zip(lists, values, strict=True)), lists) for values in combinations]


def _named(table: dict[str, Any], keys: Mapping[str, Any]) -> dict[str, Any]:
    """The table, the values of swept ``keys`` filled into its name."""
    if isinstance(table.get("name"), str):
        for key in keys:
            table["name"] = table["name"].replace(f"{{{key}}}", str(table[key]))
    return table
