"""The probes of a plan: made once for each victim and norm, and kept in the store."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from ..contracts import Batch, Norm, pixels
from ..events import VictimProbed
from ..plugins import Plugins
from ..problems import UserError, refused_by_disk
from ..results import Images, Store, read_json, write_json
from ..spec import Cell, Plan, Victim, digest
from ..victims import Victims
from .battery import NORMS, SAMPLES, Probe, battery_identity, probe
from .silent import silences
from .study import Attacked, decisive, radii, study


@dataclass(frozen=True)
class Due:
    """A probe that is to be made: of which cells, at which eps, with whose images, and what tells it from others."""

    cells: list[Attacked]
    eps: float
    sources: list[Cell]
    key: str


def due(plan: Plan, store: Store, victim: Victim, norm: Norm) -> Due | None:
    """The probe of a victim under a norm, if it was attacked adaptively and has not been probed since."""
    cells = study(plan, store, victim, norm)
    if not any(attacked.cell.threat.knowledge == "adaptive" for attacked in cells):
        return None
    eps, sources = decisive(cells), _sources(plan, store, cells[0].cell)
    ids = [[attacked.cell.id for attacked in cells], [source.id for source in sources]]
    key = digest([battery_identity(Plugins()), victim.id, norm, eps, *ids])
    known = (read_json(file(store, victim, norm)) or {}).get("key") == key
    return None if known else Due(cells, eps, sources, key)


def probe_victim(plan: Plan, store: Store, victims: Victims, victim: Victim, norm: Norm) -> None:
    """Make the probe of a victim under a norm, if it is due, and keep it."""
    wanted = due(plan, store, victim, norm)
    if wanted is None:
        return
    content = _attempted(plan, store, victims, wanted)
    write_json(file(store, victim, norm), {"key": wanted.key} | content)
    victims.report(VictimProbed(victim, norm, content.get("reason")))


def keep_reason(store: Store, victim: Victim, norm: Norm, reason: str) -> None:
    """Keep the reason for which there is no probe; it is tried again by the next run."""
    write_json(file(store, victim, norm), {"key": "", "reason": reason})


def probed(plan: Plan) -> Iterator[tuple[Victim, Norm]]:
    """The victims and norms of a plan that can be probed: in pixels, which the battery knows."""
    adaptive = [cell for cell in plan.runnable if cell.threat.knowledge == "adaptive"]
    wanted = [(cell.victim, cell.threat.norm) for cell in adaptive if cell.threat.units == "pixels"]
    return ((victim, norm) for victim, norm in dict.fromkeys(wanted) if norm in NORMS)


def stored(store: Store, victim: Victim, norm: Norm) -> Probe | str | None:
    """The probe of a victim, or why it could not be made, or None where it was not tried."""
    content = read_json(file(store, victim, norm))
    if content is None:
        return None
    return Probe.read(content["probe"]) if "probe" in content else str(content["reason"])


def file(store: Store, victim: Victim, norm: Norm) -> Path:
    """Where a probe is kept."""
    return store.victim(victim.id) / f"masking-{norm}.json"


def _attempted(plan: Plan, store: Store, victims: Victims, wanted: Due) -> dict[str, Any]:
    """The probe as JSON, or the reason for which there is none."""
    cells, eps = wanted.cells, wanted.eps
    cell, seconds = cells[0].cell, plan.benchmark.time_limit
    try:
        classifier = victims.classifier(cell.victim)
        batch = _batch(victims, store, cells, wanted.sources, eps)
        made = probe(classifier, batch, cell.threat.norm, eps, radii(cells), seconds, Plugins())
        made = replace(made, silent=tuple(silences(classifier, batch, cells, made.at(eps), eps, seconds)))
    except UserError:
        raise
    except Exception as error:
        # Foreign code, as in a cell: a report that cannot be made must not cost the results it would be about.
        if refused_by_disk(error):
            raise
        return {"reason": f"{type(error).__name__}: {error}"}
    return {"probe": made.json()}


def _batch(victims: Victims, store: Store, cells: list[Attacked], sources: list[Cell], eps: float) -> Batch:
    """Samples that the victim gets right, spread over the study's, with what broke other victims in such a ball."""
    cell = cells[0].cell
    right = torch.tensor(sorted({sample for attacked in cells for sample in attacked.records["sample"]}))
    ids = right[torch.linspace(0, len(right) - 1, min(SAMPLES, len(right))).round().long()]
    part = victims.data(cell.victim.dataset).test[ids]
    x, y = pixels(part.images.to(victims.device)), part.labels.to(victims.device)
    batch = Batch(x, y, ids.to(victims.device), seed=cell.victim.seed, key="masking")
    kept = [Images.joined(map(Images.read, store.cell(source.id).images()), x.shape[1:]) for source in sources]
    here = [images[torch.isin(images.sample, ids)] for images in kept]
    found = [
        one[one.eps == size].on(x, batch.ids) for one in here for size in one.eps.unique() if size in (eps, math.inf)
    ]
    return replace(batch, found=tuple(found))


def _sources(plan: Plan, store: Store, cell: Cell) -> list[Cell]:
    """The finished untargeted cells of other victims whose images can be tried on this one."""
    mine = replace(cell, threat=cell.threat.model_copy(update={"goal": "untargeted"}))
    return [other for other in plan.runnable if mine.fed_by(other) and store.cell(other.id).images()]
