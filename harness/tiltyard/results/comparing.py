"""The columns of the tables that compare entries and attacks with each other."""

from __future__ import annotations

from .column import Column

UNITS = Column(
    "units",
    "string",
    "what eps and distances are measured in: pixels of images in [0, 1], or normalised, the network's own inputs",
)
EPS = Column("eps", "float64", "radius of the ball", "the units, in the norm")
_BALL = (
    Column("benchmark", "string", "name of the benchmark"),
    Column("dataset", "string", "data set"),
    Column("norm", "string", "norm of the threat"),
    UNITS,
    EPS,
)
_ENTRY = (
    Column("model", "string", "architecture"),
    Column("labels", "string", "label scheme"),
    Column("defence", "string", "defence"),
)
_ATTACK = (
    Column("attack", "string", "attack"),
    Column("goal", "string", "untargeted or targeted"),
    Column("targets", "string", "how targets were chosen; null if untargeted"),
    Column("knowledge", "string", "adaptive, oblivious or transfer"),
)
_PAIRED = (
    Column("p", "float64", "two-sided p of McNemar's exact test; of several seeds the largest, 1 if they disagree"),
    Column("p_adjusted", "float64", "p corrected for the number of comparisons (Benjamini-Hochberg)"),
)

LEADERBOARD = (
    *_BALL,
    Column(
        "rank",
        "int64",
        "place among the entries of this data set, norm, units and eps; equal robust accuracies share a place",
    ),
    Column("rank_low", "int64", "1 + the number of entries that are surely better"),
    Column(
        "rank_high",
        "int64",
        "the number of entries less those that are surely worse; surely: by paired tests, all of this ball right at "
        "once with 95 % confidence",
    ),
    *_ENTRY,
    Column(
        "robust_accuracy",
        "float64",
        "share of all samples that were right and that no verified image of any attack in this ball moved; "
        "mean over seeds",
        "0..1",
    ),
    Column(
        "robust_low",
        "float64",
        "its 95 % interval, lower end: Wilson's for one seed, widened by the spread between several",
        "0..1",
    ),
    Column("robust_high", "float64", "upper end", "0..1"),
    Column("robust_worst_seed", "float64", "the lowest of the seeds' robust accuracies", "0..1"),
    Column("clean_accuracy", "float64", "mean over seeds", "0..1"),
    Column("clean_low", "float64", "its 95 % interval, lower end, likewise", "0..1"),
    Column("clean_high", "float64", "upper end", "0..1"),
    Column(
        "oblivious_accuracy",
        "float64",
        "robust accuracy if only attacks on the undefended network counted; null if none charged every sample",
        "0..1",
    ),
    Column("transfer_accuracy", "float64", "likewise, attacks on another seed's undefended network", "0..1"),
    Column("adaptive_accuracy", "float64", "likewise, attacks that see the defence", "0..1"),
    Column(
        "gap",
        "float64",
        "the lower of the oblivious and the transfer accuracy, less the adaptive one: what the defence seems to give "
        "and does not; negative if attackers who see it do worse, a sign that it hides its gradient",
        "0..1",
    ),
    Column("winning_attack", "string", "the attack that alone broke most samples; null if none broke any"),
    Column(
        "attacks",
        "int64",
        "attacks that ran against this entry in this ball; one with another aim or knowledge is another",
    ),
    Column(
        "unhealthy",
        "int64",
        "those of them that did not pass their health checks; their verified images count all the same",
    ),
    Column("incomplete", "int64", "cells of this entry that failed or have samples without a verdict"),
    Column("flags", "string", "signs that a victim hides its gradient or an attack was too weak; null without one"),
    Column("seeds", "int64", "trained victims"),
    Column("samples", "int64", "samples per seed"),
)

SEEDS = (
    *_BALL,
    *_ENTRY,
    Column("seed", "int64", "seed of training and attack"),
    Column("robust_accuracy", "float64", "worst case over attacks, as in leaderboard.csv", "0..1"),
    Column("robust_low", "float64", "its 95 % Wilson interval, lower end", "0..1"),
    Column("robust_high", "float64", "upper end", "0..1"),
    Column("clean_accuracy", "float64", "share of the samples classified right and accepted", "0..1"),
    Column("clean_low", "float64", "its 95 % Wilson interval, lower end", "0..1"),
    Column("clean_high", "float64", "upper end", "0..1"),
    Column("winning_attack", "string", "the attack that alone broke most samples of this seed; null if none broke any"),
    Column("samples", "int64", "test images"),
)

ATTACKS = (
    *_BALL,
    *_ENTRY,
    *_ATTACK,
    Column(
        "robust_accuracy",
        "float64",
        "what this attack alone leaves, images for smaller balls included; mean over seeds; "
        "null if a sample lacks its verdict",
        "0..1",
    ),
    Column("robust_low", "float64", "its 95 % interval, as in leaderboard.csv, lower end", "0..1"),
    Column("robust_high", "float64", "upper end", "0..1"),
    Column("kills", "int64", "right samples that it broke, over all seeds", "samples"),
    Column("unique_kills", "int64", "those that no other attack broke", "samples"),
    Column("wins", "int64", "those that it broke with the smallest perturbation", "samples"),
    Column(
        "in_smallest_subset",
        "bool",
        "belongs to the smallest set of attacks whose worst case lies within the interval of that over all attacks",
    ),
    Column("forwards", "float64", "mean forwards per attacked sample in this ball", "passes"),
    Column("backwards", "float64", "mean backwards per attacked sample in this ball", "passes"),
    Column("seconds", "float64", "time its cells took, all their eps and seeds together", "s"),
    Column("health", "string", "as in results.csv"),
)

PAIRS = (
    *_BALL,
    Column("kind", "string", "entries: two entries by their worst cases; attacks: two attacks on one entry"),
    Column("entry", "string", "the entry that both attacks were run on; null for two entries"),
    Column("a", "string", "the one"),
    Column("b", "string", "the other"),
    Column("samples", "int64", "samples that both were tried on, over all seeds", "samples"),
    Column("only_a", "int64", "samples that held with a and not with b, over all seeds", "samples"),
    Column("only_b", "int64", "samples that held with b and not with a, over all seeds", "samples"),
    *_PAIRED,
    Column("different", "bool", "p_adjusted is below 0.05"),
)

CURVES = (
    Column("benchmark", "string", "name of the benchmark"),
    Column("dataset", "string", "data set"),
    *_ENTRY,
    Column("norm", "string", "norm of the threat"),
    UNITS,
    Column("seed", "int64", "seed of training and attack"),
    Column("knowledge", "string", "adaptive, oblivious or transfer"),
    Column("attack", "string", "minimal-norm attack"),
    Column(
        "eps",
        "float64",
        "radius of the ball: 0, every eps of the plan, and 20 quantiles of the distances found",
        "the units, in the norm",
    ),
    Column(
        "accuracy", "float64", "share of all samples that are right and that it found no image for within eps", "0..1"
    ),
    Column("low", "float64", "its 95 % Wilson interval, lower end", "0..1"),
    Column("high", "float64", "upper end", "0..1"),
    Column("samples", "int64", "test images"),
    Column("fixed_attacks", "Int64", "untargeted fixed-budget attacks of the same knowledge that ran at this eps"),
    Column("fixed_accuracy", "float64", "their worst case, sample by sample", "0..1"),
    Column("only_curve", "Int64", "samples that only the minimal-norm attack broke", "samples"),
    Column("only_fixed", "Int64", "samples that only fixed-budget attacks broke", "samples"),
    Column("p", "float64", "two-sided p of McNemar's exact test between the two"),
    Column("p_adjusted", "float64", "p corrected for the number of comparisons in the table (Benjamini-Hochberg)"),
    Column(
        "disagreement",
        "string",
        "where p_adjusted is below 0.05: curve not converged, or fixed-budget attacks weaker; null otherwise",
    ),
)

WORST = (
    *_BALL,
    *_ENTRY,
    Column("seed", "int64", "seed of training and attack"),
    Column("sample", "int64", "position in the test set"),
    Column("outcome", "string", "wrong: before any attack; broken: by some attack in this ball; held: by none"),
    Column("winning_attack", "string", "the attack that broke it with the smallest perturbation; null unless broken"),
    Column("distance", "float64", "length of that perturbation; null where none is recorded", "as eps"),
    Column("broken_by", "int64", "attacks that broke it"),
)

COMPARISON = (
    Column("quantity", "string", "clean accuracy or robust accuracy"),
    Column("dataset", "string", "data set"),
    *_ENTRY,
    *_ATTACK,
    Column("norm", "string", "norm of the threat; it, its units, the attack and eps are null for clean accuracy"),
    UNITS,
    EPS,
    Column("seed", "int64", "seed of training and attack"),
    Column("samples", "Int64", "samples that both folders have"),
    Column("accuracy_a", "float64", "share of them in the first folder", "0..1"),
    Column("accuracy_b", "float64", "share of them in the second folder", "0..1"),
    Column("difference", "float64", "the second less the first", "0..1"),
    Column("difference_low", "float64", "its 95 % interval (Newcombe, paired), lower end", "0..1"),
    Column("difference_high", "float64", "upper end", "0..1"),
    Column("only_a", "Int64", "samples that only the first folder has right", "samples"),
    Column("only_b", "Int64", "samples that only the second folder has right", "samples"),
    *_PAIRED,
    Column(
        "verdict",
        "string",
        "same; worse or better, where p_adjusted is below 0.05; lost or gained, where only one folder has a number",
    ),
)
"""What ``bench compare`` tells of two folders; it is written nowhere."""

PUBLISHED = (
    Column("quantity", "string", "robust accuracy, clean accuracy, best validation accuracy or validation accuracy"),
    Column("network", "string", "architecture, by its published name"),
    Column("labels", "string", "label scheme, likewise"),
    Column("attack", "string", "attack, likewise; null where the quantity has none"),
    Column("goal", "string", "untargeted or targeted; null likewise"),
    Column("units", "string", "what eps is measured in; null likewise"),
    Column("eps", "float64", "radius of the ball; null likewise"),
    Column("fraction", "float64", "share of the training images that was used", "0..1"),
    Column("epoch", "Int64", "of a validation accuracy along the way"),
    Column("published", "float64", "the published number", "0..1"),
    Column("ours", "float64", "ours, the mean over seeds; of a robust accuracy what the attack would claim", "0..1"),
    Column("low", "float64", "its 95 % interval, as in leaderboard.csv, lower end", "0..1"),
    Column("high", "float64", "upper end", "0..1"),
    Column("samples", "int64", "our images per seed"),
    Column("seeds", "int64", "our seeds"),
    Column("difference", "float64", "ours less the published one", "0..1"),
    Column("inside", "bool", "the published number lies inside our interval"),
    Column("source", "string", "who published it"),
    Column("fault", "string", "why the published number is known not to be what it is called; null otherwise"),
)
"""What ``bench compare`` tells of a folder and a file of published numbers; it is written nowhere either."""
