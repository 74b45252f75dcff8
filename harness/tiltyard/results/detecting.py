"""The columns of the table of detectors."""

from __future__ import annotations

from collections.abc import Iterator

from .column import Column

_POINTS = {
    "own": "at its own threshold",
    "1": "at the threshold that 1 % of the held-out clean images exceed; null where nothing is held out",
    "5": "at the threshold that 5 % of the held-out clean images exceed; null where nothing is held out",
}


def _rates() -> Iterator[Column]:
    for name, where in _POINTS.items():
        for rate, images in (("tpr", "wrong adversarial"), ("fpr", "right clean")):
            yield Column(f"{rate}_{name}", "float64", f"share of the {images} images that are rejected {where}", "0..1")
            yield Column(f"{rate}_{name}_low", "float64", "its 95 % Wilson interval, lower end", "0..1")
            yield Column(f"{rate}_{name}_high", "float64", "upper end", "0..1")


DETECTOR = (
    Column("clean", "Int64", "clean images, of the cell's samples, that the classifier gets right, rejected or not"),
    Column("adversarial", "Int64", "verified adversarial images: one per sample that was attacked, and target"),
    Column("wrong", "Int64", "those that the classifier gets wrong, rejected or not"),
    Column(
        "auroc",
        "float64",
        "area under the ROC curve of the rejection margin as a score that tells the wrong images from the clean ones; "
        "null without a wrong one",
        "0..1",
    ),
    Column("auroc_low", "float64", "its 95 % interval (Newcombe 2006, method 5), lower end", "0..1"),
    Column("auroc_high", "float64", "upper end", "0..1"),
    Column("aupr", "float64", "average precision of the same; it depends on wrong / clean", "0..1"),
    Column("auroc_all", "float64", "auroc with all verified adversarial images in the place of the wrong ones", "0..1"),
    Column("aupr_all", "float64", "aupr likewise", "0..1"),
    *_rates(),
    Column("held_out", "Int64", "held-out clean images, classified right, that the thresholds were fitted to"),
    Column("samples", "Int64", "test images"),
    Column(
        "robust_accuracy",
        "float64",
        "share of all samples that are right and accepted, and that no image made wrong and accepted, at the "
        "detector's own threshold; null if any sample lacks a verdict",
        "0..1",
    ),
    Column("robust_low", "float64", "its 95 % Wilson interval, lower end", "0..1"),
    Column("robust_high", "float64", "upper end", "0..1"),
    Column("cell", "string", "id of the cell"),
    Column("victim", "string", "id of the victim: its thresholds are victims/<id>/detector.json"),
)
