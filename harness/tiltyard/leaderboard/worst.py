"""The worst case of every sample, with the attack that won."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from ..results import WORST, frame
from .cells import Ints
from .entry import Entry, Seed

if TYPE_CHECKING:
    import pandas as pd


def worst(entries: Iterable[Entry]) -> pd.DataFrame:
    """``results.WORST``: a row per entry, ball, seed and sample."""
    import pandas as pd

    parts = [_part(entry, number, seed) for entry in entries for number, seed in entry.seeds.items()]
    return frame(WORST, pd.concat(parts, ignore_index=True) if parts else [])


def _part(entry: Entry, number: int, seed: Seed) -> pd.DataFrame:
    import pandas as pd

    names = np.array([*(charge.words for charge in entry.charges), None], dtype=object)
    won = winners(seed)
    length = np.where(seed.kills, seed.distance, np.inf).min(axis=0)
    return pd.DataFrame(
        {
            **entry.columns,
            "seed": number,
            "sample": seed.samples,
            "outcome": np.where(seed.correct, np.where(won < 0, "held", "broken"), "wrong"),
            "winning_attack": names[won],
            "distance": np.where(np.isfinite(length), length, np.nan),
            "broken_by": seed.kills.sum(axis=0),
        }
    )


def winners(seed: Seed) -> Ints:
    """(N,): for each sample the attack that broke it with the smallest perturbation, -1 where none did.

    Images without a recorded length, such as those of targeted attacks that missed their target, come last.
    """
    length = np.where(seed.kills, np.minimum(seed.distance, np.finfo(np.float64).max), np.inf)
    won: Ints = np.where(seed.kills.any(axis=0), length.argmin(axis=0), -1)
    return won
