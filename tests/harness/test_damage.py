"""A flipped bit is found, set aside and computed anew; folders of older versions, which have no checksums, are read.

P11 of docs/reliability.md.
"""

from __future__ import annotations

import json
import logging
import random
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from test_survive import SMALL, run_in, same_tables

from tiltyard.events import BatchDone, EpochDone, Event
from tiltyard.health import examine
from tiltyard.problems import UserError
from tiltyard.results import (
    QUARANTINE,
    DamagedError,
    Images,
    Store,
    damages,
    load,
    read_json,
    sha256,
    write_json,
    write_named,
)
from tiltyard.spec import Plan

FILES = {
    "cells/*/cell.json": "cells",
    "cells/*/samples.parquet": "cells",
    "cells/*/images-*.safetensors": "cells",
    "fits/*/fit.json": "fits",
    "fits/*/model.safetensors": "fits",
    "health/*.json": "health",
    "victims/*/note.json": "victims",
    "provenance.json": "provenance.json",
}
"""What a finished run keeps, and where it lies when it was set aside."""


def flip(path: Path, bit: int) -> None:
    content = bytearray(path.read_bytes())
    content[bit // 8] ^= 1 << bit % 8
    path.write_bytes(bytes(content))


@pytest.fixture
def plan(planned) -> Plan:
    return planned(*SMALL)


@pytest.fixture
def finished(plan: Plan, tmp_path: Path) -> Path:
    """A finished run, with a file of each kind."""
    folder = tmp_path / "finished"
    assert run_in(plan, folder)
    cell = plan.cells[0]
    write_json(Store(folder).victim(cell.victim.id) / "note.json", {"found": [1.5, None, "ä"]})
    write_json(Store(folder).health("0" * 16), {"badge": "passed"})
    return folder


def test_any_flipped_bit_of_any_kept_file_is_found(finished: Path) -> None:
    assert not list(damages(finished))
    draw, flips = random.Random(0), 0
    for pattern in FILES:
        for path in finished.glob(pattern):
            for bit in draw.sample(range(8 * path.stat().st_size), 10):
                flip(path, bit)
                assert [damage.file for damage in damages(finished)] == [path]
                flip(path, bit)
                flips += 1
    assert flips >= 10 * len(FILES)
    assert not list(damages(finished))


@pytest.mark.parametrize("pattern", FILES)
def test_what_is_damaged_is_set_aside_and_computed_anew(plan: Plan, finished: Path, caplog, pattern: str) -> None:
    (path, *_) = finished.glob(pattern)
    shutil.copytree(finished, before := finished.with_name("before"))
    digest = sha256(path)
    flip(path, 8 * (path.stat().st_size // 2))
    if FILES[pattern] == "fits":
        shutil.rmtree(finished / "cells")  # so that the network is needed
    with caplog.at_level(logging.WARNING):
        assert run_in(plan, finished)
    assert path.name in caplog.text
    assert "set aside" in caplog.text
    (line,) = (finished / QUARANTINE / "log.txt").read_text().splitlines()
    assert FILES[pattern] in line
    assert path.name in line
    assert list((finished / QUARANTINE).rglob(path.name))
    assert not list(damages(finished))
    same_tables(load(finished), load(before))
    if path.suffix in {".safetensors", ".parquet"}:
        assert sha256(path) == digest


@pytest.mark.parametrize("name", ["samples.parquet", "images-*"])
def test_what_is_gone_is_computed_anew(plan: Plan, finished: Path, name: str) -> None:
    before = load(finished).samples
    next(finished.rglob(name)).unlink()
    assert run_in(plan, finished)
    assert next(finished.rglob(name)).exists()
    assert load(finished).samples.equals(before)


def test_of_an_unfinished_cell_one_batch_is_lost(plan: Plan, tmp_path: Path) -> None:
    for name in ("part-*", "images-*", "unfinished-*"):
        folder = tmp_path / name
        _stopped(plan, folder, EpochDone if name == "unfinished-*" else BatchDone)
        flip(next(folder.rglob(name)), 1000)
        assert len(list(damages(folder))) == 1
        events: list[Event] = []
        assert run_in(plan, folder, events.append)
        assert sum(event.samples for event in events if isinstance(event, BatchDone)) == 16
        assert list((folder / QUARANTINE).rglob(name))
        assert not list(damages(folder))


def test_a_batch_whose_images_outlived_their_records_is_written_once(plan: Plan, tmp_path: Path) -> None:
    """Killed between the two files of a batch, and then other images are found, as on a GPU: the first are gone."""
    _stopped(plan, tmp_path, BatchDone)
    (part,) = tmp_path.rglob("part-*")
    (images,) = tmp_path.rglob("images-*")
    part.unlink()
    kept = Images.read(images)
    other = write_named(
        images.parent, images.stem[:15], ".safetensors", replace(kept, pixels=kept.pixels / 2).encoded()
    )
    assert run_in(plan, tmp_path)
    assert images.exists()
    assert not other.exists()
    assert not list(damages(tmp_path))


def test_readers_refuse_what_is_damaged_and_move_nothing(finished: Path) -> None:
    path = next(finished.rglob("samples.parquet"))
    images = next(finished.rglob("images-*"))
    flip(path, 400)
    flip(images, 4000)
    with pytest.raises(DamagedError, match=r"samples.parquet: is not the file that was written.*`bench run`"):
        _ = load(finished).samples
    with pytest.raises(DamagedError, match="images-"):
        Images.read(images)
    assert not (finished / QUARANTINE).exists()


def test_a_folder_of_an_older_version_is_believed(plan: Plan, finished: Path) -> None:
    """Without any checksum everything is read as it was before there were any; nothing is computed again."""
    same = load(finished).samples
    for path in finished.rglob("images-*"):
        path.rename(path.with_name(f"{path.stem[:15]}.safetensors"))
    for path in finished.rglob("*.json"):
        content = read_json(path) or {}
        content.pop("files", None)
        path.write_text(json.dumps(content, indent=2) + "\n")
    assert not list(damages(finished))
    events: list[Event] = []
    assert run_in(plan, finished, events.append)
    assert not any(isinstance(event, BatchDone | EpochDone) for event in events)
    assert load(finished).samples.equals(same)
    assert not (finished / QUARANTINE).exists()


def test_a_kept_badge_that_is_damaged_is_checked_anew(plan: Plan, finished: Path) -> None:
    from tiltyard.health import badge

    attack, store = plan.cells[0].attack, Store(finished)
    examine(store, attack, "linf", seconds=5)
    (path,) = set(finished.glob("health/*")) - {finished / "health" / f"{'0' * 16}.json"}
    flip(path, 300)
    with pytest.raises(UserError, match=r"checksum|cannot be read"):
        badge(store, attack, "linf")
    with store.locked():
        assert badge(store, attack, "linf") is None


def _stopped(plan: Plan, folder: Path, kind: type[Event]) -> None:
    def stop(event: Event) -> None:
        if isinstance(event, kind):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_in(plan, folder, stop)
