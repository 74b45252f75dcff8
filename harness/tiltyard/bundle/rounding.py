"""Images as a picture file would keep them, and the records that are true of those."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ..contracts import Norm, Threat, distance, pixels
from ..evaluator import reach
from ..results import SAMPLES, CellFolder, Images, Store, write
from ..runner import chosen_samples
from ..spec import Cell, Plan
from ..tabulate import tables
from ..victims import Victims
from .claims import compared
from .judging import judge_clean, judge_images
from .manifest import Rounded
from .replan import with_answers

if TYPE_CHECKING:
    import pandas as pd

HAIR = 1e-3
"""Share of a grey level that is float32 rounding, and not a step towards the next level."""


def to_levels(images: Tensor, clean: Tensor, norm: Norm, eps: Tensor) -> Tensor:
    """``images`` (N, C, H, W) in [0, 1] rounded to uint8, each inside its ball of ``eps`` (N,) where that can be.

    To the nearest level; an image that this moves out of the ball is rounded towards the clean one instead, which
    makes no change larger where the clean one has 8 bits itself.
    """
    nearest = (images * 255).round()
    away = images * 255 - clean * 255
    towards = torch.where(away > 0, (images * 255 + HAIR).floor(), (images * 255 - HAIR).ceil())
    length = distance(nearest / 255 - clean, norm)
    limit = torch.tensor([reach(Threat(norm, float(radius)), clean) for radius in eps], dtype=length.dtype)
    chosen = torch.where((length <= limit).view(-1, 1, 1, 1), nearest, towards)
    return chosen.clamp(0, 255).to(torch.uint8)


def rounded(plan: Plan, members: Mapping[str, Path], victims: Victims, folder: Path) -> tuple[Rounded, dict[str, Path]]:
    """The members of a bundle whose images are 8-bit, in an empty ``folder``, and how many successes that cost."""
    for name, path in members.items():
        if "/images-" not in name:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).symlink_to(path.resolve())
    store, total, lost = Store(folder), 0, 0
    for cell in with_answers(plan, store):
        images = [path for name, path in members.items() if name.startswith(f"cells/{cell.id}/images-")]
        if images:
            before, after = _cell(cell, victims, store.cell(cell.id), images)
            total, lost = total + before, lost + before - after
    made = tables(plan, store)
    store.write_tables(made, json.loads(members["provenance.json"].read_text(encoding="utf-8")))
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return Rounded(images=total, lost=lost), {path.relative_to(folder).as_posix(): path for path in paths}


def _cell(cell: Cell, victims: Victims, folder: CellFolder, paths: list[Path]) -> tuple[int, int]:
    """Write a cell's records and images anew; the number of images before, and of those that do all they did."""
    test = victims.data(cell.victim.dataset).test
    classifier, records = victims.classifier(cell.victim), folder.samples()
    images = Images.joined((Images.read(path) for path in paths), test.images.shape[1:])
    clean = judge_clean(classifier, test, chosen_samples(cell, len(test)), cell.victim.seed)
    levels = to_levels(images.pixels, pixels(test.images[images.sample]), cell.threat.norm, _balls(images, records))
    images = replace(images, pixels=levels)
    judged = judge_images(classifier, test, images, cell.victim.seed, cell.threat.norm)
    table = compared(records, clean, judged, cell, test)
    retold = _retold(records, table, targeted=cell.threat.goal == "targeted")
    kept = images[torch.tensor(_known(judged, table[table["own_left"] | table["own_reached"]]))]
    worse = table["success"] & ~retold["success"] | table["left_class"] & ~retold["left_class"]
    write(folder.folder / "samples.parquet", retold.to_parquet(index=False))
    if len(kept):
        write(folder.folder / f"images-{0:08d}.safetensors", kept.encoded())
    folder.seal(folder.summary or {})
    return len(images), len(images) - sum(_known(judged, table[worse]))


def _balls(images: Images, records: pd.DataFrame) -> Tensor:
    """The radius (N,) that each image must stay inside of: of a minimal-norm attack the smallest it was counted at."""
    won = records[records["success"] | records["left_class"]]
    least = won.assign(aim=won["target"].fillna(-1)).groupby(["sample", "aim"])["eps"].min().to_dict()
    pairs = zip(images.sample.tolist(), images.target.tolist(), images.eps.tolist(), strict=True)
    return torch.tensor([min(eps, least.get((sample, aim), eps)) for sample, aim, eps in pairs], dtype=torch.float64)


def _known(judged: pd.DataFrame, rows: pd.DataFrame) -> list[bool]:
    """Which of the images some of the rows are about."""
    keys = set(zip(rows["sample"], rows["call"], rows["aim"], strict=True))
    return [key in keys for key in zip(judged["sample"], judged["call"], judged["target"], strict=True)]


def _retold(records: pd.DataFrame, table: pd.DataFrame, *, targeted: bool) -> pd.DataFrame:
    """The records, with what is true of the rounded image in every row that has one."""
    won = table["own_reached"] if targeted else table["own_left"]
    told = {
        "prediction": table["own_prediction"],
        "rejected": table["own_rejected"],
        "rejection": table["own_rejection"],
        "margin": table["own_margin"],
        "left_class": table["own_left"],
        "success": won,
        "distance": table["length"].where(won),
    }
    told |= {"reached_target": won} if targeted else {}
    new = {name: records[name].astype(object).mask(table["has"], column) for name, column in told.items()}
    # What is claimed of an image that came inside ball and box is said of the rounded one too.
    came = table["has"] & (table["status"] == "ok")
    moved = (table["own_prediction"] != table["label"]) & ~table["own_rejected"].astype("boolean")
    new["claimed"] = records["claimed"].astype(object).mask(came, ~moved)
    return records.assign(**new).astype({column.name: column.dtype for column in SAMPLES})
