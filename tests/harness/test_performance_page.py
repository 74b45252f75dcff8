"""The benchmark of speed: its page is what its rows say, and it counts, judges and compares what it should."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "benchmarks" / "perf"


@pytest.fixture(autouse=True)
def _on_the_path(monkeypatch: pytest.MonkeyPatch) -> None:
    for folder in (FOLDER.parent / "fidelity", FOLDER):
        monkeypatch.syspath_prepend(str(folder))
    # Its folders hold modules of the same names as others do.
    for name in ("page", "pairs", "victims", "places", "rivals", "contests", "timing", "table", "targets", "prose"):
        monkeypatch.delitem(sys.modules, name, raising=False)


def test_the_page_is_made_of_the_stored_rows() -> None:
    """If this fails: python benchmarks/perf/table.py > docs/performance.md."""
    import table

    assert (ROOT / "docs" / "performance.md").read_text() == table.page(table.read())


def test_a_target_that_the_rows_miss_is_called_missed() -> None:
    import pandas as pd
    import table
    from targets import targets

    def row(implementation: str, robust: str, ratio: str) -> dict[str, str]:
        key = {"network": "cifar10_resnet20", "row": "pgd-20", "implementation": implementation}
        return dict.fromkeys(table.COLUMNS, "") | key | {"n": "100", "robust": robust, "ours_by_it": ratio}

    def words(ratio: str, ours: str = "50") -> list[str]:
        rows = [row("tiltyard", ours, "1"), row("torchattacks", "50", ratio), row("art", "60", "9")]
        lines = targets(pd.DataFrame(rows))
        return [line.split("|")[-2].strip() for line in lines if "`pgd-20`" in line or "PGD-20" in line]

    assert words("0.3") == ["met", "met"]
    assert words("0.7") == ["met", "**not met**"]
    assert words("1.2") == ["**not met**", "**not met**"]
    assert words("0.3", ours="51") == ["met", "met"]  # one image is chance
    assert words("0.3", ours="55") == ["met", "**not met**"]  # quick, and weaker


def test_it_runs_on_digits(tmp_path: Path) -> None:
    """Passes are those that were asked for, all are judged, and at an eps of nothing nobody breaks anything."""
    for library in ("torchattacks", "foolbox", "pyautoattack"):
        pytest.importorskip(library)
    pytest.importorskip("sklearn")
    import contests
    from places import WITHOUT_DATA, half_broken
    from timing import side_by_side

    (place,) = WITHOUT_DATA
    loaded = place.load(None, tmp_path, torch.device("cpu"), 12)
    contest = contests.pgd(5, 1)
    found = side_by_side(contest, ["torchattacks", "foolbox"], loaded, half_broken(loaded, "linf"), 0)
    assert found.keys() == {"torchattacks", "foolbox", "bare", *contest.ours}
    assert (found["torchattacks"].forwards, found["torchattacks"].backwards) == (5, 5)
    assert found["tiltyard"].backwards <= 5
    assert all(one.seconds[0] > 0 and 20 <= one.robust <= 80 for one in found.values())
    nowhere = side_by_side(contest, ["torchattacks"], loaded, 1e-6, 0)
    assert {one.robust for one in nowhere.values()} == {100}
