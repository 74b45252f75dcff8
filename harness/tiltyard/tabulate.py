"""Records in the store to tables: a pure function, so that tables can be made again at any time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .contracts import declared
from .detection import detection
from .geometry import kept_geometry
from .health import UNCHECKED, badge
from .leaderboard import CellRecords, comparisons
from .masking import Report, escalated
from .results import MASKING, RESULTS, Store, frame
from .spec import Cell, Plan
from .statistics import cell_metrics

if TYPE_CHECKING:
    import pandas as pd


def tables(plan: Plan, store: Store) -> dict[str, pd.DataFrame]:
    """The tables of a plan (``results.TABLES``): a pure function of the records in the store."""
    rows: list[dict[str, Any]] = []
    board: list[CellRecords] = []
    masking = Report(plan, store)
    answers = escalated(plan, masking.judged) if plan.benchmark.escalate else ()
    for cell in (*plan.cells, *answers):
        words = identity(plan, cell) | {"health": _health(plan, store, cell), "flags": masking.flags(cell)}
        words |= kept_geometry(store, cell.victim.id)
        summary = store.cell(cell.id).summary
        if cell.skip or summary is None or summary["status"] != "done":
            status = {"status": "skipped", "reason": cell.skip} if cell.skip else summary
            rows += [words | {"eps": eps} | (status or {"status": "unfinished"}) for eps in cell.threat.eps]
            if status and status["status"] == "failed":
                board.append(CellRecords(words, None))
            continue
        records = store.cell(cell.id).samples()
        metrics = cell_metrics(records, cell.threat.goal == "targeted")
        rows += [words | summary | one for one in metrics]
        minimal = bool(declared(cell.attack.object, "minimal"))
        board.append(CellRecords(words, records, minimal, summary["seconds"]))
    known = {column.name for column in RESULTS}
    rows = [{key: value for key, value in row.items() if key in known} | {"cell": row["id"]} for row in rows]
    found = {"masking": frame(MASKING, masking.rows()), "detection": detection(board, store)}
    return {"results": frame(RESULTS, rows), **comparisons(board), **found}


def _health(plan: Plan, store: Store, cell: Cell) -> str | None:
    return badge(store, cell.attack, cell.threat.norm) if plan.benchmark.doctor else UNCHECKED


def identity(plan: Plan, cell: Cell) -> dict[str, Any]:
    """The columns that tell what a cell is."""
    victim, threat = cell.victim, cell.threat
    labels = {axis: part.label for axis, part in cell.parts.items()}
    labels["dataset"] = plan.dataset_label(victim)
    plugins = {f"{axis}_plugin": part.provenance for axis, part in cell.parts.items()}
    return {
        "benchmark": plan.name,
        **labels,
        "norm": threat.norm,
        "units": threat.units,
        "goal": threat.goal,
        "targets": threat.targets if threat.goal == "targeted" else None,
        "knowledge": threat.knowledge,
        "seed": victim.seed,
        "fraction": victim.training.fraction if victim.source.trained else None,
        "fit": victim.fit_id if victim.source.trained else None,
        "id": cell.id,
        "victim": victim.id,
        **plugins,
    }
