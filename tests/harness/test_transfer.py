"""Images that broke a victim are kept, and tried on the other victims of the plan."""

from __future__ import annotations

import math
from pathlib import Path

import torch

from tiltyard import Batch
from tiltyard.contracts import distance
from tiltyard.evaluator import judge
from tiltyard.events import CellStarted
from tiltyard.results import Images, Store

TWO_SCHEMES = ('[[defence]]\nuse = "toy.none"', '[[labels]]\nuse = "toy.codes"\n[[defence]]\nuse = "toy.none"')
TRANSFER = '[[attack]]\nuse = "toy.descent"\n[[attack]]\nuse = "native.transfer"'


def _images(store: Store, cell: str) -> Images:
    return Images.joined(map(Images.read, store.cell(cell).images()), (1, 8, 8))


def test_every_success_has_its_image_and_every_image_is_a_success(planned, run, tmp_path: Path) -> None:
    made = planned(('"toy.descent"', '"toy.descent"\nsteps = 4'))
    _, _, results = run(made)
    (cell,) = made.cells
    kept = _images(Store(tmp_path / "results"), cell.id)
    won = results.samples[results.samples["success"]]
    assert len(won)
    assert sorted(zip(kept.sample.tolist(), kept.eps.tolist(), strict=True)) == sorted(
        zip(won["sample"], won["eps"], strict=True)
    )
    clean = cell.victim.dataset.object(made.files).test[kept.sample].floats()
    assert bool((distance(kept.pixels - clean, "linf") <= kept.eps * (1 + 1e-5)).all())


def test_a_minimal_attack_keeps_one_image_for_all_eps(planned, run, tmp_path: Path) -> None:
    made = planned(('"toy.descent"', '"toy.nearest"'), ('"linf"', '"l2"'), ('["16/255", "32/255"]', "[0.5, 9.0]"))
    _, _, results = run(made)
    kept = _images(Store(tmp_path / "results"), made.cells[0].id)
    assert set(kept.eps.tolist()) == {math.inf}
    assert sorted(kept.sample.tolist()) == results.samples.query("success and eps == 9.0")["sample"].tolist()


def test_images_need_not_be_kept(planned, run, tmp_path: Path) -> None:
    made = planned(("batch_size = 8", "batch_size = 8\nkeep_images = false"))
    run(made)
    assert not list((tmp_path / "results").glob("cells/*/images-*"))


def test_transfer_runs_last_on_the_images_of_other_victims(planned, run, tmp_path: Path) -> None:
    made = planned(TWO_SCHEMES, ('[[attack]]\nuse = "toy.descent"', TRANSFER))
    fine, events, results = run(made)
    assert fine
    order = [event.cell.attack.use for event in events if isinstance(event, CellStarted)]
    assert order == ["toy.descent"] * 2 + ["native.transfer"] * 2
    cell = next(cell for cell in made.cells if cell.transfers)
    (source,) = cell.sources
    assert source.victim != cell.victim
    rows = results.table[results.table["cell"] == cell.id]
    assert rows["backwards"].sum() == 0
    assert (results.samples.query("cell == @cell.id and success")["distance"] <= 32 / 255 * (1 + 1e-5)).all()


def test_what_transfers_is_what_breaks_this_victim_too(planned, run, tmp_path: Path) -> None:
    from tiltyard.runner import pick_device
    from tiltyard.victims import Victims

    made = planned(TWO_SCHEMES, ('[[attack]]\nuse = "toy.descent"', TRANSFER), ('["16/255", "32/255"]', '"32/255"'))
    _, _, results = run(made)
    store = Store(tmp_path / "results")
    victims = Victims(made, store, pick_device("cpu"), lambda _: None)
    for cell in (cell for cell in made.cells if cell.transfers):
        kept = _images(store, cell.sources[0].id)
        labels = victims.data(cell.victim.dataset).test.labels[kept.sample]
        verdict = judge(victims.classifier(cell.victim), Batch(kept.pixels, labels, kept.sample))
        broken = set(kept.sample[verdict.wrong(labels)].tolist())
        records = results.samples[results.samples["cell"] == cell.id]
        assert set(records.loc[records["success"], "sample"]) == broken & set(records.loc[records["correct"], "sample"])


def test_transfer_without_other_victims_is_skipped_with_the_reason(planned, run) -> None:
    made = planned(('[[attack]]\nuse = "toy.descent"', TRANSFER))
    skipped = [cell for cell in made.cells if cell.skip]
    assert [cell.attack.use for cell in skipped] == ["native.transfer"]
    assert "no attack of the plan on another victim" in skipped[0].skip


def test_an_images_file_gives_back_what_was_kept(tmp_path: Path) -> None:
    batch = Batch(torch.rand(3, 1, 2, 2), torch.arange(3), torch.tensor([4, 9, 6]), target=torch.tensor([1, 2, 0]))
    kept = Images.of(batch, batch.x, 0.1)
    (tmp_path / "images.safetensors").write_bytes(kept.encoded())
    read = Images.read(tmp_path / "images.safetensors")
    assert torch.equal(read.pixels, batch.x)
    assert read.target.tolist() == [1, 2, 0]
    clean = torch.zeros(4, 1, 2, 2)
    placed = read[torch.tensor([2, 0])].on(clean, torch.tensor([4, 5, 6, 7]))
    assert torch.equal(placed[0], batch.x[0])
    assert torch.equal(placed[2], batch.x[2])
    assert not placed[[1, 3]].any()
