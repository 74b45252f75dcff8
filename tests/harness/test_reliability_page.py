"""The page of promises names tests that are there, one for each promise."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PROMISES = [row.split("|") for row in re.findall(r"^\| P.*", (ROOT / "docs" / "reliability.md").read_text(), re.M)]


def test_every_promise_names_a_test_that_is_there() -> None:
    assert [row[1].strip() for row in PROMISES] == [f"P{n}" for n in range(1, 15)]
    for row in PROMISES:
        file, named = "", re.findall(r"`([\w./]*)::(\w+)`", row[4])
        assert named, row[1]
        for place, test in named:
            file = place or file
            assert f"def {test}(" in (Path(__file__).parent / file).read_text(), f"{row[1]}: {file}::{test}"
