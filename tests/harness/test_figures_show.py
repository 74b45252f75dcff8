"""What figures show is what the tables, the records and the fits of the results folder say."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest
from toy import Blobs
from toy_benchmark import TOY

from tiltyard import Files
from tiltyard.figures import FIGURES
from tiltyard.figures.canvas import STYLE
from tiltyard.figures.source import Fit, Source
from tiltyard.results import load, read_json


@pytest.fixture
def source(study: Path) -> Source:
    return Source(load(study), plugins=(TOY,))


@pytest.fixture(autouse=True)
def _style() -> Iterator[None]:
    with mpl.rc_context(STYLE):
        yield


def panels(source: Source, name: str) -> list[Any]:
    return [axis for axis in FIGURES[name](source).axes if axis.axison]


def drawn(axis: Any, colour: str) -> np.ndarray:
    """The points (N, 2) of the lines of one colour in a panel, one after the other."""
    found = [np.column_stack(line.get_data()).astype(float) for line in axis.lines if line.get_color() == colour]
    return np.concatenate(found) if found else np.empty((0, 2))


def test_the_points_of_robustness_are_the_rows_of_the_tables(source: Source) -> None:
    """Every mean over seeds is in its panel, and the worst case is the leaderboard's."""
    rows, board = source.done, source.results.leaderboard
    shown = {}
    for axis in panels(source, "robustness"):
        norm, _, eps = axis.get_title("left").partition(" · eps ")
        shown[norm, eps] = axis
    assert set(shown) == {("linf", "16/255"), ("linf", "32/255"), ("l2", "0.4"), ("l2", "0.8")}
    for (norm, eps), axis in shown.items():
        radius = float(eps.removesuffix("/255")) / (255 if "/" in eps else 1)
        here = rows[(rows["norm"] == norm) & np.isclose(rows["eps"], radius)]
        for charge, own in here.groupby("charge"):
            expected = own.groupby("labels")["robust_accuracy"].mean()
            points = drawn(axis, source.charges[charge].colour)[:, 0]
            assert {round(x, 9) for x in expected} <= {round(x, 9) for x in points}, (norm, eps, charge)
        best = board[(board["norm"] == norm) & np.isclose(board["eps"], radius)]
        black = drawn(axis, "#000000")[:, 0]
        for column in ("robust_accuracy", "robust_low", "robust_high"):
            assert {round(x, 9) for x in best[column]} <= {round(x, 9) for x in black}


def test_curves_begin_at_clean_accuracy_and_end_at_the_worst_case(source: Source) -> None:
    rows, board = source.done, source.results.leaderboard
    found = panels(source, "curves")
    assert len(found) == 6 * 2
    for axis in found:
        norm, labels = axis.get_title("left").replace("\n", " ").split(" · ")
        mine = board[(board["norm"] == norm) & (board["labels"] == labels)].sort_values("eps")
        clean = rows[rows["labels"] == labels].drop_duplicates("seed")["clean_accuracy"].mean()
        expected = [(0.0, clean), *zip(mine["eps"], mine["robust_accuracy"], strict=True)]
        assert drawn(axis, "#000000") == pytest.approx(np.array(expected))


def test_the_minimal_attacks_curve_is_that_of_the_table(source: Source) -> None:
    table = source.results.csv("curves")
    for axis in panels(source, "curves"):
        norm, labels = axis.get_title("left").replace("\n", " ").split(" · ")
        mine = table[(table["norm"] == norm) & (table["labels"] == labels)]
        lengths = [len(line.get_xdata()) for line in axis.lines]
        assert (mine["eps"].nunique() in lengths) == (norm == "l2")


@pytest.mark.parametrize(("name", "values"), [("entropy", [2, 40]), ("overlap", [0, 1, 20])])
def test_families_are_drawn_against_what_they_vary(source: Source, name: str, values: list[float]) -> None:
    board = source.results.leaderboard
    family, key = ("labels.normal", "dimension") if name == "entropy" else ("labels.gap", "gap")
    found = panels(source, name)
    assert [axis.get_title("left") for axis in found] == ["l2", "linf"]
    for axis in found:
        largest = board[board["norm"] == axis.get_title("left")].sort_values("eps").iloc[-1]["eps"]
        mine = board[(board["norm"] == axis.get_title("left")) & (board["eps"] == largest)].set_index("labels")
        expected = [(value, mine.loc[f"{family}[{key}={value}]", "robust_accuracy"]) for value in values]
        lines = [np.column_stack(container.lines[0].get_data()).astype(float) for container in axis.containers]
        assert len(lines) == 3  # clean, and two sizes
        assert lines[-1] == pytest.approx(np.array(expected))


def test_geometry_has_a_point_for_each_codebook_and_the_rank_correlation(source: Source) -> None:
    from scipy.stats import spearmanr

    found = [axis for axis in panels(source, "geometry") if axis.get_xlabel() == "overlap"]
    assert len(found) == 2
    for axis in found:
        norm = axis.get_title("left").partition(" · ")[0]
        rows = source.worst[(source.worst["norm"] == norm) & source.worst["code_overlap"].notna()]
        rows = rows[rows["eps"] == rows["eps"].min()]
        points = np.array([np.concatenate(line.get_data()) for line in axis.lines if line.get_marker() != "None"])
        assert len(points) == 5
        assert sorted(points[:, 0]) == pytest.approx(sorted(rows["code_overlap"]))
        told = axis.get_title("left").partition("ρ = ")[2].replace("−", "-")
        if told:
            expected = spearmanr(rows["code_overlap"], rows["robust_accuracy"]).statistic
            assert float(told.split()[0]) == pytest.approx(expected, abs=0.006)


def test_convergence_is_the_mean_of_the_epochs_over_seeds(source: Source) -> None:
    accuracy, loss = panels(source, "convergence")
    histories: dict[str, list[list[dict[str, float]]]] = {}
    for path in source.results.folder.glob("fits/*/fit.json"):
        histories.setdefault((read_json(path) or {})["words"].split(" · ")[2], []).append(read_json(path)["epochs"])
    assert len(histories) == 6
    for axis, column in ((accuracy, "validation_accuracy"), (loss, "validation_loss")):
        assert {len(several) for several in histories.values()} == {2}
        values = [[[epoch[column] for epoch in epochs] for epochs in several] for several in histories.values()]
        expected = sorted(np.mean(values, axis=1).tolist())
        assert np.array(sorted(list(line.get_ydata()) for line in axis.lines)) == pytest.approx(np.array(expected))


def test_fits_of_another_plan_in_the_same_folder_are_not_shown(planned, run) -> None:
    _, _, results = run(planned())
    _, _, results = run(planned(overrides=["training.epochs=3"]))
    (fit,) = Source(results).fits
    assert len(fit.epochs) == 3


def test_efficiency_shows_clean_accuracy_by_share(source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fits of two shares: the second seed stands in for a network that saw a tenth."""
    fits = [
        Fit(f.folder, f.names, {**f.training, "fraction": 0.1 if f.seed else 1.0}, f.seed, f.epochs, f.victims)
        for f in source.fits
    ]
    monkeypatch.setitem(source.__dict__, "fits", fits)
    (axis,) = panels(source, "efficiency")
    rows = source.done.drop_duplicates("victim")
    lines = [np.column_stack(container.lines[0].get_data()).astype(float) for container in axis.containers]
    assert len(lines) == 6
    for line, (_, own) in zip(lines, rows.groupby("labels", sort=False), strict=True):
        by_seed = own.set_index("seed")["clean_accuracy"]
        assert line == pytest.approx(np.array([(0.1, by_seed[1]), (1.0, by_seed[0])]))


def test_labels_shows_the_codes_that_the_networks_were_trained_to(source: Source) -> None:
    from safetensors.numpy import load_file

    found = [axis.images[0].get_array() for axis in FIGURES["labels"](source).axes if axis.images]
    assert len(found) == 5 * 4
    books = [load_file(fit.folder / "model.safetensors")["scheme.codes"] for fit in source.fits]
    for picture in found:
        assert any(np.array_equal(picture.ravel(), code.ravel()) for codes in books for code in codes)


def test_examples_are_the_kept_images_beside_those_they_were_made_from(source: Source) -> None:
    figure = FIGURES["examples"](source)
    clean = Blobs()(Files()).test
    originals, others = [], []
    for axis in figure.axes:
        if axis.images and "no. " in axis.xaxis.get_label_text():
            number = int(axis.xaxis.get_label_text().partition("no. ")[2].partition(")")[0])
            assert np.allclose(axis.images[0].get_array(), clean.images[number, 0].numpy() / 255)
            originals.append(number)
        elif axis.images and axis.xaxis.get_label_text().startswith("taken for"):
            label = axis.xaxis.get_label_text().removeprefix("taken for ")
            others.append((axis.images[0].get_array(), label))
    assert len(originals) == 5
    assert len(set(originals)) == 1
    truth = clean.images[originals[0], 0].numpy() / 255
    assert others
    for image, label in others:
        assert label != "abcd"[int(clean.labels[originals[0]])]
        assert 0 < np.abs(image - truth).max() <= 0.8
