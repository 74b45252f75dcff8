"""Native attacks beside reference implementations on a published network, sample by sample."""

from __future__ import annotations

import importlib.util
import math
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from torch import Tensor

from tiltyard import Batch, Classifier, Norm, Threat, Victim, distance
from tiltyard_native.attacks import APGD, CW, DDN, FAB, FMN, DeepFool, SigmaZero

CLOSE = 1.01  # what counts as equal: `benchmarks/fidelity` compares on more samples
ORDERS: dict[Norm, float] = {"linf": math.inf, "l2": 2, "l1": 1}


@pytest.fixture(scope="module")
def victim(published: Callable[[slice, str], tuple[Classifier, Batch]]) -> Classifier:
    return published(slice(None, None, 200), "reference")[0]


@pytest.fixture(scope="module")
def batch(published: Callable[[slice, str], tuple[Classifier, Batch]]) -> Batch:
    """48 test images that the victim gets right."""
    return published(slice(None, None, 200), "reference")[1][torch.arange(48)]


def lengths(victim: Classifier, batch: Batch, images: Tensor, norm: Norm) -> Tensor:
    """Distances (N,), infinite where the image is no success."""
    assert 0 <= float(images.min()) <= float(images.max()) <= 1
    return torch.where(batch.margin(victim(images)) < 0, distance(images - batch.x, norm), torch.inf)


def found(attack: Any, victim: Classifier, batch: Batch, norm: Norm) -> Tensor:
    return lengths(victim, batch, attack(Victim(victim, batch), batch, Threat(norm)), norm)


def theirs(call: Callable[..., Tensor], victim: Classifier, batch: Batch, norm: Norm, /, **keys: Any) -> Tensor:
    """What a function of adversarial-library finds."""
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.manual_seed(0)
        images = call(victim, batch.x.clone(), batch.y, **keys).detach()
    return lengths(victim, batch, images.clamp(0, 1), norm)


@pytest.fixture(scope="module")
def library() -> Any:
    """adversarial-library."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip("adv_lib.attacks")


def as_good(ours: Tensor, other: Tensor, share: float) -> None:
    """The median is as low, and ``share`` of the samples are as near, up to what counts as equal."""
    assert bool(ours.isfinite().all())
    assert float(ours.median()) <= CLOSE * float(other.median())
    assert float((ours <= CLOSE * other).float().mean()) >= share


def test_ddn(library: Any, victim: Classifier, batch: Batch) -> None:
    ours = found(DDN(), victim, batch, "l2")
    as_good(ours, theirs(library.ddn, victim, batch, "l2", steps=100), 0.9)


@pytest.mark.parametrize(("norm", "share"), [("linf", 0.9), ("l2", 0.9), ("l1", 0.5)])
def test_fmn(library: Any, victim: Classifier, batch: Batch, norm: Norm, share: float) -> None:
    """Under l1 both still wander after 100 steps, and each is nearer on some samples."""
    ours = found(FMN(), victim, batch, norm)
    as_good(ours, theirs(library.fmn, victim, batch, norm, norm=ORDERS[norm], steps=100), share)


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_deepfool(library: Any, victim: Classifier, batch: Batch, norm: Norm) -> None:
    ours = found(DeepFool(), victim, batch, norm)
    as_good(ours, theirs(library.df, victim, batch, norm, norm=ORDERS[norm], steps=50), 0.9)


def test_cw_with_as_many_steps(library: Any, victim: Classifier, batch: Batch) -> None:
    part = batch[torch.arange(16)]
    ours = found(CW(steps=60, binary_search_steps=5), victim, part, "l2")
    keys = {"max_iterations": 60, "binary_search_steps": 5, "learning_rate": 0.05, "initial_const": 0.1}
    as_good(ours, theirs(library.carlini_wagner_l2, victim, part, "l2", **keys), 0.9)


def test_sigma_zero(library: Any, victim: Classifier, batch: Batch) -> None:
    ours = found(SigmaZero(), victim, batch, "l0")
    as_good(ours, theirs(library.sigma_zero, victim, batch, "l0", num_steps=100), 0.5)


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_fab(library: Any, victim: Classifier, batch: Batch, norm: Norm) -> None:
    part = batch[torch.arange(16)]
    ours = found(FAB(steps=30), victim, part, norm)
    as_good(ours, theirs(library.fab, victim, part, norm, norm=ORDERS[norm], n_iter=30), 0.7)


@pytest.mark.parametrize(("norm", "eps"), [("linf", 0.1), ("l2", 1.3)])
def test_apgd(library: Any, victim: Classifier, batch: Batch, norm: Norm, eps: float) -> None:
    """At an eps near the median distance, where strength shows."""
    attack = APGD(loss="dlr")
    images = attack(Victim(victim, batch), batch, Threat(norm, eps))
    ours = lengths(victim, batch, images, norm) <= eps * (1 + 1e-5)
    keys = {"norm": ORDERS[norm], "eps": eps, "n_iter": 100, "loss_function": "dlr"}
    other = theirs(library.apgd, victim, batch, norm, **keys) <= eps * (1 + 1e-5)
    assert int(ours.sum()) >= int(other.sum()) - 1
    assert 5 < int(ours.sum()) < 43


def fidelity() -> Any:
    """The module that writes docs/fidelity.md."""
    path = Path(__file__).parents[2] / "benchmarks" / "fidelity" / "page.py"
    spec = importlib.util.spec_from_file_location("fidelity_page", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_shows_the_rows_that_are_stored() -> None:
    """If this fails: run benchmarks/fidelity/compare.py --write docs/fidelity.md, which its --only makes short."""
    page = fidelity()
    stored = pd.read_csv(page.FILE, dtype=str, keep_default_na=False)
    assert (Path(__file__).parents[2] / "docs" / "fidelity.md").read_text() == page.page(stored)


def test_new_rows_take_the_place_of_old_ones_and_unknown_pairs_leave(tmp_path: Path) -> None:
    page = fidelity()
    page.FILE = tmp_path / "fidelity.csv"

    def row(pair: str, ours: float) -> dict[str, object]:
        return {"pair": pair, "library": "l", "victim": "v", "norm": "l2", "eps": "", "n": 3, "ours": ours}

    order = [(pair, "l", "v", "l2", "") for pair in ("a", "b", "c")]
    page.merged([row("c", 1.0), row("a", 2.0)], order)
    page.merged([row("b", 3.0), row("a", 4.0)], order)
    table = page.merged([], order[1:])
    assert table["pair"].tolist() == ["b", "c"]
    assert table["ours"].tolist() == ["3", "1"]
    assert pd.read_csv(page.FILE)["pair"].tolist() == ["b", "c"]
