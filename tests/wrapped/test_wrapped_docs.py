"""The page of wrapped attacks says what the code says."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any

import pytest

import tiltyard_art
import tiltyard_torchattacks

PAGE = Path(__file__).parents[2] / "docs" / "wrapped.md"
TABLES: dict[str, dict[str, Any]] = {
    "torchattacks": dict(tiltyard_torchattacks.attacks()),
    "art": dict(tiltyard_art.attacks()),
}


@pytest.mark.parametrize("plugin", TABLES)
def test_the_page_lists_every_attack_with_its_keys(plugin: str) -> None:
    """Names, keys with defaults, norms, and what is minimal, targeted and seen."""
    section = PAGE.read_text(encoding="utf-8").split(f"| `{plugin}.` |")[1].split("\n\n")[0]
    rows = {re.findall("`(.*?)`", row)[0]: row.split("|")[1:-1] for row in section.splitlines()[2:]}
    assert sorted(rows) == sorted(TABLES[plugin])
    for name, made in TABLES[plugin].items():
        _, keys, norms, minimal, targeted, sees = (cell.strip() for cell in rows[name])
        keys = rows["pgd"][1] if keys == "as `pgd`" else keys
        said = dict(re.findall(r'`(\w+)` = ("?\w[^,]*)', keys))
        assert sorted(said) == sorted(inspect.signature(made).parameters), name
        for key, parameter in inspect.signature(made).parameters.items():
            default = parameter.default
            if default is not None:
                spelt = f'"{default}"' if isinstance(default, str) else str(default).replace("True", "true")
                assert said[key].split(" or ")[0].strip() == spelt, f"{name}: {key}"
        assert set(norms.split(", ")) == made.norms, name
        assert (minimal == "yes", targeted == "yes") == (getattr(made, "minimal", False), made.targeted), name
        assert sees == getattr(made, "access", "gradients"), name
