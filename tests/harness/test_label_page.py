"""The page of the label study: its tables are those of the boards, and what the boards must show they show."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tiltyard.results import LEADERBOARD, RESULTS, Results, frame

ROOT = Path(__file__).parents[2]
BOARDS = ROOT / "results" / "boards"
STUDIES = {
    "robustness, 20 epochs": ("robustness-published-20-epochs", "robustness-audited-20-epochs"),
    "robustness, small": ("robustness-published-small", "robustness-audited-small", "robustness-small"),
    "mnist, small": ("mnist-published-small", "mnist-audited-small", "mnist-small"),
}


def _load() -> Any:
    spec = importlib.util.spec_from_file_location("label_page", ROOT / "benchmarks" / "labels" / "page.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


page = _load()


def _board(folder: Path, protocol: str, worst: dict[str, float], claims: dict[str, dict[str, float]]) -> Results:
    """A board of a network called vision.resnet32 with these worst cases, and these claims of the attacks."""
    folder.mkdir()
    who = {
        "benchmark": folder.name,
        "dataset": "d",
        "model": "vision.resnet32",
        "defence": "native.none",
        "norm": "linf",
    }
    published = protocol == "published"
    ball = {"units": "normalised", "eps": 0.05} if published else {"units": "pixels", "eps": 2.6 / 255}
    own = {"goal": "untargeted", "seed": 0, "status": "done", "samples": 100}
    own |= {"clean_accuracy": 0.9, "code_effective_rank": 9.0}
    rows = [
        who | ball | own | {"labels": labels, "attack": attack, "claimed_accuracy": claims.get(labels, {}).get(attack)}
        for labels in worst
        for attack in ("studies.fgsm", "studies.iterative", "studies.clamped_pgd")
    ]
    entries = [
        who | ball | dict.fromkeys(("rank", "rank_low", "rank_high", "attacks", "seeds", "samples"), 1)
        | {"unhealthy": 0, "incomplete": 0, "labels": labels, "clean_accuracy": 0.8}
        | {"robust_accuracy": value, "robust_low": value, "robust_high": value}
        for labels, value in worst.items()
    ]  # fmt: skip
    frame(RESULTS, rows).to_csv(folder / "results.csv", index=False)
    frame(LEADERBOARD, entries).to_csv(folder / "leaderboard.csv", index=False)
    model = {"use": "vision.resnet32", "normalise": {"std": [0.2023, 0.1994, 0.2010]}}
    config = {"model": [model], "training": {"epochs": 7}}
    told = {"config": config, "settings": {"protocol": protocol}, "device": "a computer"}
    (folder / "provenance.json").write_text(json.dumps(told))
    return Results(folder)


@pytest.fixture
def study(tmp_path: Path) -> Any:
    both = {"labels.category": 0.1, "labels.random": 0.6}
    claims = {
        "labels.category": {"studies.fgsm": 0.15, "studies.iterative": 0.1, "studies.clamped_pgd": 0.01},
        "labels.random": {"studies.fgsm": 0.6, "studies.iterative": 0.7, "studies.clamped_pgd": 0.02},
    }
    published = _board(tmp_path / "robustness-published", "published", both, claims)
    audited = _board(tmp_path / "robustness-audited", "audited", {"labels.category": 0.0, "labels.random": 0.25}, {})
    sound = _board(tmp_path / "robustness", "sound", {"labels.category": 0.05, "labels.random": 0.04}, {})
    return page.Study(published, [audited, sound])


def test_gains_and_what_survives_of_them(study: Any) -> None:
    (line,) = [line for line in study.lines() if line.startswith("| labels.random")]
    cells = [cell.strip() for cell in line.strip("|").split("|")]
    # Claimed elsewhere: the lowest published figure of the four real attacks on ResNet-32 at 0.05.
    assert cells[:4] == ["labels.random", "48.7", "90.0", "60.0"]
    assert cells[4:8] == ["80.0", "25.0 (25.0–25.0)", "+25.0", "50.0 %"], "0.25 - 0 of 0.6 - 0.1"
    assert cells[8:12] == ["80.0", "4.0 (4.0–4.0)", "-1.0", "-2.0 %"]
    assert cells[12] == "9.00"


def test_the_attack_that_leaves_its_ball_claims_nothing(study: Any) -> None:
    assert page.claimed(study.published, "vision.resnet32", "labels.random", 0.05) == 0.6
    assert page.claimed(study.published, "vision.resnet32", "labels.random", 0.3) is None


def test_the_ball_in_pixels_is_the_smallest_that_contains_the_published_one(study: Any) -> None:
    *_, sound = study.others
    assert study.ball(sound, "vision.resnet32", 0.05) == pytest.approx(2.6 / 255)
    assert study.ball(sound, "vision.resnet32", 0.06) is None


def test_only_boards_of_other_networks_are_called_small(study: Any, tmp_path: Path) -> None:
    assert not any("small board" in line for line in study.lines())
    for name in ("results.csv", "leaderboard.csv"):
        path = study.published.folder / name
        path.write_text(path.read_text().replace("vision.resnet32", "vision.small_cnn"))
    small = page.Study(Results(study.published.folder), study.others)
    assert any("It proves nothing about the full one" in line for line in small.lines())


def test_tables_stand_between_their_marks() -> None:
    text = f"before\n{page.START}\nold\n{page.END}\nafter"
    assert page.replaced(text, "new") == f"before\n{page.START}\n\nnew\n\n{page.END}\nafter"


def _study(name: str) -> Any:
    """The boards of a study that are published, in the order of the page's command."""
    published, *others = (Results(BOARDS / folder) for folder in STUDIES[name])
    return page.Study(published, others)


def test_the_tables_of_the_page_are_those_of_the_boards() -> None:
    """If this fails, docs/label_study.md has the command."""
    text = (ROOT / "docs" / "label_study.md").read_text()
    assert page.replaced(text, page.tables([_study(name) for name in STUDIES])) == text


@pytest.mark.parametrize("name", STUDIES)
def test_sound_attacks_never_leave_more_than_the_published_ones_claim_on_the_same_networks(name: str) -> None:
    study = _study(name)
    audited, *_ = study.others
    assert audited.provenance["settings"]["protocol"] == "audited"
    worst = audited.leaderboard.set_index(["labels", "eps"])["robust_accuracy"]
    claims = study.published.csv("results").query("goal == 'untargeted' and attack in @page.REAL")
    claims = claims[claims["eps"].isin(worst.index.unique("eps"))]
    assert len(claims) == len(page.REAL) * len(worst)
    for row in claims.to_dict("records"):
        assert worst[row["labels"], row["eps"]] <= row["claimed_accuracy"], row


@pytest.mark.parametrize("name", ["robustness, 20 epochs", "mnist, small"])
def test_the_contradiction_of_the_published_attacks_is_flagged(name: str) -> None:
    """A targeted example is an untargeted one: what targets break more often, untargeted attacks were too weak for."""
    board = _study(name).published
    rows = board.csv("results").query("attack == 'studies.iterative' and labels == 'labels.random'")
    found = rows[rows["eps"] == 0.3].set_index("goal")["claimed_accuracy"]
    assert found["targeted"] < found["untargeted"]
    flags = board.leaderboard.query("labels == 'labels.random' and eps == 0.3")["flags"]
    assert flags.str.contains("targeted beats untargeted").all()


@pytest.mark.parametrize("name", STUDIES)
def test_under_the_published_attacks_a_code_looks_more_robust_than_categories(name: str) -> None:
    rows = _study(name).published.csv("results").query("attack in @page.REAL and goal == 'untargeted'")
    table: pd.DataFrame = rows.pivot_table("claimed_accuracy", ["attack", "eps"], "labels")
    codes = table.drop(columns="labels.category").max(axis=1)
    assert (codes >= table["labels.category"]).all()
    assert (codes - table["labels.category"]).max() > (0.08 if name == "robustness, small" else 0.1)
