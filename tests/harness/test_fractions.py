"""A curve of data efficiency: several fractions in one file, one reading of the data, equal steps where asked."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch

from tiltyard import Data, Files, Split
from tiltyard.problems import ConfigError
from tiltyard.spec import Training
from tiltyard.training.fit import _batches, _steps
from tiltyard.training.split import divide

SHARES = ("[training]", "fractions = [0.25, 0.5, 1.0]\n[training]")


def test_each_fraction_is_trained_and_attacked_and_the_data_are_read_once(
    planned: Callable[..., Any], run: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = planned(SHARES)
    blobs, read = type(plan.victims[0].dataset.object), []
    whole = blobs.__call__

    def counted(self: Any, files: Files) -> Data:
        read.append(self)
        return whole(self, files)  # type: ignore[no-any-return]

    monkeypatch.setattr(blobs, "__call__", counted)
    assert [victim.training.fraction for victim in plan.victims] == [0.25, 0.5, 1.0]
    fine, _, results = run(plan)
    assert fine
    assert len(read) == 1
    assert results.table.drop_duplicates("fit")["fraction"].tolist() == [0.25, 0.5, 1.0]
    names = ["toy.blobs at 0.25", "toy.blobs at 0.5", "toy.blobs at 1"]
    assert results.table["dataset"].unique().tolist() == names
    assert results.leaderboard["rank"].tolist() == [1] * 6, "networks that saw more data are not ranked with the others"
    assert sorted(results.epochs["fraction"].unique()) == [0.25, 0.5, 1.0]


def test_a_single_fraction_is_the_network_that_training_fraction_makes(planned: Callable[..., Any]) -> None:
    one = planned(("[training]", "fractions = [0.5]\n[training]"))
    other = planned(("epochs = 2", "epochs = 2\nfraction = 0.5"))
    assert [cell.id for cell in one.cells] == [cell.id for cell in other.cells]


def test_fractions_and_a_fraction_are_refused_together(planned: Callable[..., Any]) -> None:
    with pytest.raises(ConfigError, match="stands against benchmark"):
        planned(SHARES, ("epochs = 2", "epochs = 2\nfraction = 0.5"))


@pytest.mark.parametrize("fractions", ["[0.0]", "[1.5]", "[0.1, 0.1]", "[]"])
def test_fractions_that_are_none_are_refused(planned: Callable[..., Any], fractions: str) -> None:
    with pytest.raises(ConfigError, match="fractions"):
        planned(("[training]", f"fractions = {fractions}\n[training]"))


def test_full_epochs_have_as_many_steps_whatever_the_fraction() -> None:
    images = Split(torch.zeros(1000, 1, 2, 2, dtype=torch.uint8), torch.arange(1000) % 4)
    held_out = {len(divide(images, Training(fraction=share), seed=0)[1]) for share in (0.01, 0.07, 0.3, 1)}
    assert {_steps(count, Training(batch_size=128)) for count in held_out} == {math.ceil(900 / 128)}


@pytest.mark.parametrize("count", [7, 40, 1000])
def test_so_many_steps_are_passes_one_after_the_other(count: int) -> None:
    batches = list(_batches(count, 8, 10, torch.Generator().manual_seed(0)))
    assert len(batches) == 10
    drawn = torch.cat(batches).bincount(minlength=count)
    assert drawn.max() - drawn.min() <= 1, "every pass is over before the next one starts"


def test_without_steps_an_epoch_is_a_pass() -> None:
    batches = list(_batches(40, 8, None, torch.Generator().manual_seed(0)))
    assert torch.cat(batches).sort().values.tolist() == list(range(40))


def test_a_recipe_without_the_key_is_known_by_what_it_was_before_there_was_one() -> None:
    assert "full_epochs" not in Training().identity
    assert Training(full_epochs=True).identity["full_epochs"] is True
