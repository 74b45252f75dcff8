"""The columns of everything a run writes: names, types, units and meanings, in one place."""

from __future__ import annotations

from .codebook import CODEBOOK
from .column import Column
from .comparing import ATTACKS, CURVES, EPS, LEADERBOARD, PAIRS, SEEDS, UNITS, WORST
from .detecting import DETECTOR

SCHEMA = 3
"""Version of the folder's layout and columns; a newer folder is refused, never guessed at."""

STATUSES = {
    "ok": "the attack's image was verified as it came",
    "repaired": "it was at most 1 % outside the ball or the box; the nearest image inside was judged instead",
    "violated": "it was not finite, or further outside; it was not judged and is no success",
    "undefined": "the victim's scores were not finite; never a success",
    "not_attacked": "the clean image was wrong or rejected already, so there was nothing to attack",
    "error": "the attack raised, returned something else than images, or did nothing at all",
    "oom": "the attack ran out of memory even on a single image",
    "timeout": "the attack was not done in the time it was given",
}
"""Status words of a sample. Only ok, repaired and not_attacked are verdicts."""

VERDICTS = frozenset({"ok", "repaired", "not_attacked"})


SAMPLES = (
    Column("sample", "int64", "position in the test set"),
    Column(
        "eps",
        "float64",
        "radius of the ball the success is judged in",
        "the cell's units, in its norm",
    ),
    Column("target", "Int64", "class a targeted attack aims at; null if untargeted"),
    Column("label", "int64", "true class"),
    Column("clean_prediction", "int64", "class of the clean image"),
    Column(
        "clean_rejection",
        "float64",
        "rejection margin of the clean image, positive where a detector rejects it; null without a detector",
        "scores",
    ),
    Column("correct", "bool", "the clean image is classified right, and not rejected by a detector"),
    Column("prediction", "Int64", "class of the adversarial image; null where there is no verdict"),
    Column("rejected", "boolean", "a detector rejects the adversarial image; null without a verdict"),
    Column(
        "rejection",
        "float64",
        "rejection margin of the adversarial image; null without a detector or a verdict",
        "scores",
    ),
    Column("left_class", "bool", "wrong and accepted, inside the ball"),
    Column(
        "reached_target",
        "boolean",
        "classified as the target and accepted, inside the ball; null if untargeted",
    ),
    Column("success", "bool", "the attacker's goal is reached: left_class, or reached_target if targeted"),
    Column(
        "claimed",
        "boolean",
        "right on the clean image, and the image as the attack returned it, outside ball or box too and before any "
        "repair, does not leave the true class; null where no finite image came back",
    ),
    Column("status", "string", "; ".join(f"{word}: {meaning}" for word, meaning in STATUSES.items())),
    Column("distance", "float64", "length of the perturbation of a success; null otherwise", "as eps"),
    Column(
        "margin",
        "float64",
        "margin of the adversarial image, negative where it is wrong and accepted",
        "scores",
    ),
    Column("forwards", "int64", "images of this sample sent through the attacked network", "passes"),
    Column("backwards", "int64", "gradients taken through it", "passes"),
    Column(
        "flipped",
        "boolean",
        "a search in low precision said otherwise of the image it found; null in full precision",
    ),
    Column("reason", "string", "why there is no verdict; null otherwise"),
)

IDENTITY = (
    Column("benchmark", "string", "name of the benchmark"),
    Column("dataset", "string", "data set"),
    Column("model", "string", "architecture"),
    Column("labels", "string", "label scheme"),
    Column("defence", "string", "defence"),
    Column("attack", "string", "attack"),
    Column("norm", "string", "linf, l2, l1 or l0 (number of values changed)"),
    UNITS,
    EPS,
    Column("goal", "string", "untargeted or targeted"),
    Column("targets", "string", "how targets were chosen; null if untargeted"),
    Column(
        "knowledge",
        "string",
        "adaptive: sees the defence; oblivious: attacks the undefended network; transfer: another seed's",
    ),
    Column("seed", "int64", "seed of training and attack"),
)

RESULTS = (
    *IDENTITY,
    Column("status", "string", "done, skipped or failed"),
    Column("reason", "string", "why it was skipped or failed, or why samples have no verdict; null otherwise"),
    Column("samples", "Int64", "test images"),
    Column("clean_accuracy", "float64", "share of the samples classified right and accepted", "0..1"),
    Column("clean_low", "float64", "its 95 % Wilson interval, lower end", "0..1"),
    Column("clean_high", "float64", "upper end", "0..1"),
    Column(
        "robust_accuracy",
        "float64",
        "share of ALL samples classified right whose class no image of this attack changed; "
        "null if any sample lacks a verdict",
        "0..1",
    ),
    Column("robust_low", "float64", "its 95 % Wilson interval, lower end", "0..1"),
    Column("robust_high", "float64", "upper end", "0..1"),
    Column(
        "claimed_accuracy",
        "float64",
        "share of ALL samples classified right that the images of this attack, believed as they came, inside the ball "
        "or not, do not move out of their class, targeted or not: what code without verification reports; no verdict, "
        "and on no leaderboard. Null if any sample lacks an image",
        "0..1",
    ),
    Column(
        "success_rate",
        "float64",
        "share of the initially right samples on which the attacker's goal was reached",
        "0..1",
    ),
    Column("left_rate", "float64", "share of the initially right samples that left their class", "0..1"),
    Column(
        "target_rate",
        "float64",
        "share of the initially right samples that reached the target; null if untargeted",
        "0..1",
    ),
    Column("median_distance", "float64", "median length over successes; null without one", "as eps"),
    Column("mean_distance", "float64", "mean length over successes; null without one", "as eps"),
    Column("forwards", "float64", "mean forwards per attacked sample", "passes"),
    Column("backwards", "float64", "mean backwards per attacked sample", "passes"),
    Column(
        "flip_rate",
        "float64",
        "share of the attacked samples on whose image a search in low precision was wrong; null in full precision",
        "0..1",
    ),
    *(Column(word, "Int64", f"samples with status {word}", "samples") for word in STATUSES),
    Column(
        "health",
        "string",
        "passed, or the properties that this attack fails (bench doctor); null where it was not checked",
    ),
    Column("flags", "string", "signs that the victim hides its gradient or the attack was too weak; null without one"),
    Column("seconds", "float64", "time spent in the cell, on the machine of provenance.json", "s"),
    *CODEBOOK,
    Column("cell", "string", "id of the cell: its records are cells/<id>/samples.parquet"),
    Column("victim", "string", "id of the victim"),
    Column("fraction", "float64", "share of the training images that was used; null where nothing was trained", "0..1"),
    Column("fit", "string", "id of its undefended network: fits/<id>; null where nothing was trained"),
    *(
        Column(f"{part}_plugin", "string", f"distribution and version of the {part}'s plugin")
        for part in ("dataset", "model", "labels", "defence", "attack")
    ),
)

_WHO = ("benchmark", "dataset", "model", "labels", "defence", "norm", "units", "eps", "seed")

MASKING = (
    *(column for column in IDENTITY if column.name in _WHO),
    Column("indicator", "string", "a sign that the victim hides its gradient or the attacks were too weak"),
    Column("raised", "boolean", "whether it is raised; null where it could not be checked"),
    Column("evidence", "string", "what speaks for it or against it, in samples"),
    Column("attacks", "string", "the attacks it is raised against; null where it is the whole victim, or not raised"),
    Column("answers", "string", "the attacks that escalate = true answers it with; null where it is not raised"),
    Column(
        "victim",
        "string",
        "id of the victim: its probe is victims/<id>/masking-<norm>.json; there is none in normalised units",
    ),
)

DETECTION = (*IDENTITY, *DETECTOR)

TABLES = {
    "results": RESULTS,
    "leaderboard": LEADERBOARD,
    "seeds": SEEDS,
    "attacks": ATTACKS,
    "pairs": PAIRS,
    "curves": CURVES,
    "worst": WORST,
    "masking": MASKING,
    "detection": DETECTION,
}
"""What each table of a results folder holds; each is ``<name>.csv``."""

_FIT = ("dataset", "model", "labels", "seed")

EPOCHS = (
    Column("fit", "string", "id of the undefended network: fits/<id>"),
    *(column for column in IDENTITY if column.name in _FIT),
    Column("fraction", "float64", "share of the training images that was used", "0..1"),
    Column("held_out", "Int64", "held-out images", "samples"),
    Column("epoch", "int64", "counted from 1"),
    Column("lr", "float64", "learning rate at the end of the epoch"),
    Column("train_loss", "float64", "mean training objective over the epoch"),
    Column("validation_loss", "float64", "mean training objective on the held-out images"),
    Column("validation_accuracy", "float64", "accuracy on the held-out images", "0..1"),
    Column("seconds", "float64", "duration", "s"),
)
