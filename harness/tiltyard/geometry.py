"""Where the codes of a label scheme lie, in numbers that robustness can be held against."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .contracts import Category, LabelScheme
from .results import Store, read_json, write_json
from .spec import Victim
from .victims import Victims

Floats = NDArray[np.float64]

AT_THE_MEAN = 1e-6
"""A code nearer to the mean code than this share of the farthest one has no direction: it is there but for rounding."""


@dataclass(frozen=True)
class Geometry:
    """The columns ``results.CODEBOOK`` of one codebook, without their prefix ``code_``."""

    dimension: int
    rms_distance: float
    min_distance: float
    effective_rank: float
    top_share: float
    coherence: float
    overlap: float


def geometry(codes: Floats) -> Geometry:
    """The geometry of ``codes`` (K, D), of which no two are the same; K is at least 2."""
    distances, shares = pair_distances(codes), variance_shares(codes)
    return Geometry(
        dimension=codes.shape[1],
        rms_distance=float(distances.mean()),
        min_distance=float(distances.min()),
        effective_rank=effective_rank(shares),
        top_share=float(shares[0]),
        coherence=coherence(codes),
        overlap=overlap(codes),
    )


def pair_distances(codes: Floats) -> Floats:
    """Root-mean-square difference over the cells of ``codes`` (K, D), for each of the K (K - 1) / 2 pairs."""
    pairs = combinations(codes, 2)
    return np.array([np.sqrt(np.square(one - other).mean()) for one, other in pairs])


def variance_shares(codes: Floats) -> Floats:
    """Shares (min(K, D),) of the variance of ``codes`` (K, D) along their principal directions, the largest first."""
    power: Floats = np.square(np.linalg.svd(codes - codes.mean(0), compute_uv=False))
    shares: Floats = power / power.sum()
    return shares


def effective_rank(shares: Floats) -> float:
    """exp of the entropy of shares of variance: Roy and Vetterli 2007, EUSIPCO, of the covariance matrix."""
    positive = shares[shares > 0]
    return float(np.exp(-(positive * np.log(positive)).sum()))


def coherence(codes: Floats) -> float:
    """Largest absolute cosine between two of ``codes`` (K, D) less their mean.

    A code at the mean has no direction and is left out; with fewer than two directions it is 0.
    """
    centred = codes - codes.mean(0)
    lengths = np.linalg.norm(centred, axis=1)
    far = lengths > AT_THE_MEAN * lengths.max()
    directions = centred[far] / lengths[far, None]
    cosines = np.abs(directions @ directions.T)[np.triu_indices(len(directions), 1)]
    return min(1.0, float(cosines.max(initial=0.0)))


def overlap(codes: Floats) -> float:
    """Mean over all pairs of ``codes`` (K, D) of 1 - sup |F - G|, F and G being the distributions of their values.

    Each code is taken for D draws of a distribution of its class, whatever cell they stand in. For two shifted uniform
    distributions this is the share of the range that they have in common, as D grows; few cells make it smaller.
    """
    values = np.sort(codes, axis=1)
    own = np.stack([np.searchsorted(code, code, side="right") for code in values])
    # (K, K): how far the distribution of one code is from another's at most, where the other has its values.
    apart = np.stack([np.abs(np.searchsorted(code, values, side="right") - own).max(axis=1) for code in values])
    farthest = np.maximum(apart, apart.T)[np.triu_indices(len(codes), 1)]
    return float(1 - farthest.mean() / codes.shape[1])


def keep_geometry(victims: Victims, victim: Victim) -> None:
    """Keep the geometry of a victim's codebook in the store, once; of category labels, that there is none."""
    path = _file(victims.store, victim.id)
    if not path.exists():
        write_json(path, found_geometry(victims.scheme(victim)))


def found_geometry(scheme: LabelScheme) -> dict[str, Any]:
    """The geometry of a scheme's codebook as it is kept; empty for category labels."""
    if isinstance(scheme, Category):
        return {}
    return asdict(geometry(scheme.codes.flatten(1).double().cpu().numpy()))


def kept_geometry(store: Store, victim_id: str) -> dict[str, Any]:
    """What was kept, by the names of the columns ``results.CODEBOOK``; nothing where nothing was."""
    return {f"code_{name}": value for name, value in (read_json(_file(store, victim_id)) or {}).items()}


def _file(store: Store, victim_id: str) -> Path:
    return store.victim(victim_id) / "codebook.json"
