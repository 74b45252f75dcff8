"""The columns of the geometry of a codebook."""

from __future__ import annotations

from .column import Column

CODEBOOK = (
    Column(
        "code_dimension",
        "Int64",
        "cells of a code of the label scheme, of which the other code_ columns tell the geometry (docs/labels.md); "
        "null, as they are, where there is no codebook (category labels)",
    ),
    Column(
        "code_rms_distance",
        "float64",
        "root-mean-square difference of two codes over their cells, mean over all pairs of classes",
        "as the codes",
    ),
    Column("code_min_distance", "float64", "the same for the closest pair of classes", "as the codes"),
    Column(
        "code_effective_rank",
        "float64",
        "effective rank of the covariance of the codes (Roy and Vetterli 2007, EUSIPCO): exp of the entropy of the "
        "shares of their variance along its principal directions, from 1 for a line to K - 1 for a simplex",
    ),
    Column("code_top_share", "float64", "share of their variance along the first principal direction", "0..1"),
    Column(
        "code_coherence",
        "float64",
        "largest absolute cosine between two codes as seen from the mean code; 1 / (K - 1) for a simplex",
        "0..1",
    ),
    Column(
        "code_overlap",
        "float64",
        "1 less the Kolmogorov-Smirnov statistic between the values in the cells of two codes, mean over all pairs of "
        "classes: 1 where all codes hold the same values, in whatever cells, 0 where their ranges are disjoint",
        "0..1",
    ),
)
