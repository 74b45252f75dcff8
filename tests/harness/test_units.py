"""eps behind the normalisation: the same attack, the same verdicts, no box, and never a comparison with pixels."""

from __future__ import annotations

import math
from pathlib import Path

import pandas as pd
import pytest
import torch
from bundles import check, pack_toys, retold, run_toys
from torch import nn
from toy import Blobs
from toy_benchmark import TOML, TOY

from tiltyard import Category, Classifier, evaluate
from tiltyard.behind import Behind
from tiltyard.contracts import Files, pixels
from tiltyard.plugins import Plugins
from tiltyard.problems import ConfigError, UserError
from tiltyard.results import CellFolder, Images, Results, Store, load
from tiltyard.runner import Run, pick_device
from tiltyard.spec import Plan
from tiltyard.spec import plan as make_plan

STEP = Path(__file__).with_name("step.py")
QUIET = ["benchmark.doctor=false", "benchmark.masking=false"]
THREAT = 'norm = "linf"\neps = ["16/255", "32/255"]\n'
TRAINED = pixels(Blobs()(Files()).train.images).double()
MEAN, STD = float(TRAINED.mean()), float(TRAINED.std(correction=0))


def _plan(folder: Path, threats: str, attack: str = 'use = "step.once"', model: str = "") -> Plan:
    text = TOML.replace('use = "toy.descent"', attack).replace("[[threat]]\n" + THREAT, threats)
    (folder / "toy.toml").write_text(text.replace('use = "toy.linear"', f'use = "toy.linear"\n{model}'))
    return make_plan(folder / "toy.toml", Plugins([TOY, STEP]), overrides=QUIET)


def _threat(eps: float, units: str, more: str = "") -> str:
    return f'[[threat]]\nnorm = "linf"\nunits = "{units}"\neps = [{eps!r}]\n{more}'


def _run(plan: Plan, folder: Path) -> Results:
    with (store := Store(folder)).locked():
        assert Run(plan, store, pick_device("cpu"), lambda _: None)()
    return load(store.folder)


def _records(results: Results, units: str) -> pd.DataFrame:
    (cell,) = results.table.loc[results.table["units"] == units, "cell"].unique()
    return CellFolder(results.folder / "cells" / cell).samples()


def test_a_ball_of_the_same_size_gives_the_same_records_in_either_units(tmp_path: Path) -> None:
    eps = 20 / 255
    threats = _threat(eps, "pixels") + _threat(eps / STD, "normalised")
    results = _run(_plan(tmp_path, threats), tmp_path / "results")
    ours, theirs = _records(results, "normalised"), _records(results, "pixels")
    assert 0 < theirs["success"].sum() < 24
    for column in ("sample", "correct", "prediction", "left_class", "success", "claimed", "status"):
        assert ours[column].tolist() == theirs[column].tolist(), column
    assert ours["margin"].to_numpy() == pytest.approx(theirs["margin"].to_numpy(), abs=1e-4)
    won = ours["success"]
    assert ours["distance"][won].to_numpy() == pytest.approx(theirs["distance"][won].to_numpy() / STD, rel=1e-4)


def test_a_classifier_behind_the_normalisation_says_of_an_image_what_the_victim_says() -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(12, 4))
    victim = Classifier(network, Category(4)).eval()
    mean, std = torch.tensor([0.2, 0.4, 0.6]).view(1, 3, 1, 1), torch.tensor([0.1, 0.3, 0.5]).view(1, 3, 1, 1)
    behind, x = Behind(victim, mean, std), torch.rand(5, 3, 2, 2)
    z = behind.normalised(x)
    torch.testing.assert_close(z, (x - mean) / std)
    torch.testing.assert_close(behind(z), victim(x))
    torch.testing.assert_close(behind.raw(z), network(x))
    torch.testing.assert_close(behind.loss(z, torch.arange(5) % 4), victim.loss(x, torch.arange(5) % 4))


def test_normalised_images_lie_in_no_box_and_are_kept_as_they_are(tmp_path: Path) -> None:
    results = _run(_plan(tmp_path, _threat(5.0, "normalised")), tmp_path / "results")
    records = _records(results, "normalised")
    assert set(records.loc[records["correct"], "status"]) == {"ok"}
    (cell,) = results.table["cell"].unique()
    kept = Images.joined(map(Images.read, CellFolder(results.folder / "cells" / cell).images()), (1, 8, 8))
    images = kept.pixels * STD + MEAN
    assert float(images.max()) > 1.2
    assert float(images.min()) < -0.2


def test_what_leaves_the_ball_is_violated_and_is_believed_by_the_claim_alone(tmp_path: Path) -> None:
    attack = 'use = "step.once"\nlength = 4'
    for units, eps in (("normalised", 0.5), ("pixels", 0.5 * STD)):
        folder = tmp_path / units
        folder.mkdir()
        results = _run(_plan(folder, _threat(eps, units), attack), folder / "results")
        records, row = _records(results, units), results.table.iloc[0]
        assert set(records.loc[records["correct"], "status"]) == {"violated"}
        assert not records["success"].any()
        assert math.isnan(row["robust_accuracy"])
        assert row["claimed_accuracy"] == records["claimed"].mean() < row["clean_accuracy"]
        assert results.leaderboard.empty


def test_a_claim_needs_a_finite_image_and_counts_repaired_ones_as_they_came(tmp_path: Path) -> None:
    spoilt = _run(_plan(tmp_path, _threat(0.2, "normalised"), 'use = "step.once"\nodd = true'), tmp_path / "odd")
    records = _records(spoilt, "normalised")
    attacked = records[records["correct"]]
    assert (attacked["claimed"].isna() == (attacked["sample"] % 2 == 1)).all()
    assert math.isnan(spoilt.table["claimed_accuracy"].iloc[0])
    repaired = _run(_plan(tmp_path, _threat(0.5, "normalised"), 'use = "step.once"\nlength = 1.005'), tmp_path / "far")
    records = _records(repaired, "normalised")
    assert set(records.loc[records["correct"], "status"]) == {"repaired"}
    row = repaired.table.iloc[0]
    assert row["claimed_accuracy"] <= row["robust_accuracy"]
    assert records["claimed"].notna().all()


def test_with_several_targets_a_claim_holds_only_against_each(tmp_path: Path) -> None:
    threats = _threat(1.0, "normalised", 'goal = "targeted"\ntargets = "all"\n')
    results = _run(_plan(tmp_path, threats), tmp_path / "results")
    records = _records(results, "normalised")
    every = records.groupby("sample")["claimed"].all()
    assert results.table["claimed_accuracy"].iloc[0] == every.mean() == results.table["robust_accuracy"].iloc[0]
    assert every.mean() < records["claimed"].mean()


def test_units_are_never_mixed_in_what_compares(tmp_path: Path) -> None:
    """The same number means a sixth of the perturbation behind the normalisation, and only pixels break everything."""
    results = _run(_plan(tmp_path, _threat(0.3, "pixels") + _threat(0.3, "normalised")), tmp_path / "results")
    alone = results.table.set_index("units")["robust_accuracy"]
    assert alone["pixels"] < alone["normalised"]
    board = results.leaderboard.set_index("units")
    assert board["robust_accuracy"].to_dict() == alone.to_dict()
    assert board["attacks"].tolist() == board["rank"].tolist() == [1, 1]
    for name in ("attacks", "seeds", "worst"):
        assert set(results.csv(name)["units"]) == {"pixels", "normalised"}, name
    broken = results.csv("worst").groupby("units")["outcome"].apply(lambda words: (words == "broken").mean())
    assert broken["pixels"] > broken["normalised"]


def test_ids_of_pixel_cells_are_what_they_were_before_there_were_units(tmp_path: Path) -> None:
    def ids(threats: str) -> list[str]:
        return [cell.id for cell in _plan(tmp_path, threats).cells]

    assert ids(_threat(0.1, "pixels")) == ids('[[threat]]\nnorm = "linf"\neps = [0.1]\n')
    assert ids(_threat(0.1, "pixels")) != ids(_threat(0.1, "normalised"))


@pytest.mark.parametrize(
    ("attack", "model", "reason"),
    [
        ('use = "toy.descent"', "", "toy.descent works in units of pixels, not normalised"),
        ('use = "step.once"', 'normalise = "none"', "toy.linear does not normalise its input"),
    ],
)
def test_a_cell_that_has_no_such_units_is_skipped_with_a_sentence(
    tmp_path: Path, attack: str, model: str, reason: str
) -> None:
    (cell,) = _plan(tmp_path, _threat(0.1, "normalised"), attack, model).cells
    assert reason in cell.skip


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (('"linf"', '"l1"'), 'for norm = "linf" or "l2"'),
        (("units", 'knowledge = "oblivious"\nunits'), 'for knowledge = "adaptive"'),
        (('"normalised"', '"normalized"'), "'pixels' or 'normalised'"),
    ],
)
def test_units_that_make_no_sense_are_refused(tmp_path: Path, change: tuple[str, str], reason: str) -> None:
    with pytest.raises(ConfigError) as caught:
        _plan(tmp_path, _threat(0.1, "normalised").replace(*change))
    assert reason in str(caught.value)


def test_from_python_there_is_no_normalisation_to_get_behind() -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(4, 2))
    images, labels = torch.rand(6, 1, 2, 2), torch.zeros(6, dtype=torch.int64)
    threat = {"norm": "linf", "eps": 0.1, "units": "normalised"}
    results = evaluate(network, images, labels, ["native.fgsm"], threat, doctor=False, masking=False)
    assert results.table["status"].tolist() == ["skipped"]


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    attack = 'use = "step.once"\n[[attack]]\nuse = "step.once"\nlength = 2'
    changes = (('use = "toy.descent"', attack), ("[[threat]]\n" + THREAT, _threat(0.8, "normalised")))
    return run_toys(tmp_path, *changes, plugins=[STEP])


def test_a_bundle_of_normalised_images_verifies_and_says_what_it_takes_on_trust(bundle: Path) -> None:
    report = check(pack_toys(bundle, plugins=[STEP]), plugins=[STEP])
    assert report.verified, report.findings
    assert report.images > 0
    assert any("taken as recorded" in note for note in report.notes)
    with pytest.raises(UserError, match="normalised units"):
        pack_toys(bundle, plugins=[STEP], uint8=True)


def test_a_lie_about_a_claim_or_a_normalised_image_is_found(bundle: Path) -> None:
    honest = pack_toys(bundle, plugins=[STEP])

    def claim(folder: Path) -> None:
        path = next(p for p in folder.glob("cells/*/samples.parquet") if pd.read_parquet(p)["success"].any())
        records = pd.read_parquet(path)
        records["claimed"] = records["claimed"].mask(records["success"], True)
        records.to_parquet(path, index=False)

    told = check(retold(honest, claim), plugins=[STEP])
    assert any("the claim is not what the class of the image says" in str(finding) for finding in told.findings)


def test_older_tables_are_read_as_pixels(bundle: Path) -> None:
    for name in ("results.parquet", "leaderboard.csv"):
        path = bundle / name
        if path.suffix == ".csv":
            pd.read_csv(path).drop(columns="units").to_csv(path, index=False)
        else:
            pd.read_parquet(path).drop(columns="units").to_parquet(path, index=False)
    assert set(load(bundle).table["units"]) == {"pixels"}
    assert set(load(bundle).leaderboard["units"]) == {"pixels"}
