"""Where the tests of data sets and architectures find real files, and a cache folder of their own."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tiltyard import Files


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache folder."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("TILTYARD_CACHE", str(folder))
    return folder


@pytest.fixture(scope="session")
def real() -> Callable[[str], Path]:
    """Finds a file or folder of real data, which does not travel with the repository, or skips and names it."""
    beside = Path(__file__).parents[2].parent / "shared" / "data"
    root = Path(os.environ.get("TILTYARD_DATA") or beside)

    def path(name: str) -> Path:
        if not (root / name).exists():
            pytest.skip(f"real data absent: no {name} in $TILTYARD_DATA or ../shared/data")
        return root / name

    return path


@pytest.fixture(scope="session")
def real_files(real: Callable[[str], Path]) -> Callable[[str], Files]:
    """``Files`` on the real data, once a file or folder has been found there."""
    return lambda name: Files((real(name).parents[name.count("/")],))
