"""Whether two results folders say the same."""

from __future__ import annotations

import pandas as pd

from tiltyard.results import Results


def same(one: Results, other: Results) -> None:
    """Every table has the same content, but for what tells the time."""
    for path in one.folder.glob("*.csv"):
        left, right = pd.read_csv(path), pd.read_csv(other.folder / path.name)
        clock = [name for name in left if "seconds" in name]
        pd.testing.assert_frame_equal(left.drop(columns=clock), right.drop(columns=clock))
    pd.testing.assert_frame_equal(one.samples, other.samples)
