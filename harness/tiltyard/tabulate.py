"""Records in the store to tables: a pure function, so that tables can be made again at any time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .leaderboard import CellRecords, leaderboard
from .results import RESULTS, Store, frame
from .spec import Cell, Plan
from .statistics import cell_metrics

if TYPE_CHECKING:
    import pandas as pd


def tables(plan: Plan, store: Store) -> dict[str, pd.DataFrame]:
    """The tables of a plan (``results.TABLES``): a pure function of the records in the store."""
    rows: list[dict[str, Any]] = []
    board: list[CellRecords] = []
    for cell in plan.cells:
        words = identity(plan, cell)
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
        board.append(CellRecords(words, records))
    known = {column.name for column in RESULTS}
    rows = [{key: value for key, value in row.items() if key in known} | {"cell": row["id"]} for row in rows]
    return {"results": frame(RESULTS, rows), "leaderboard": leaderboard(board)}


def identity(plan: Plan, cell: Cell) -> dict[str, Any]:
    """The columns that tell what a cell is."""
    victim, threat = cell.victim, cell.threat
    parts = {
        "dataset": victim.dataset,
        "model": victim.model,
        "labels": victim.labels,
        "defence": victim.defence,
        "attack": cell.attack,
    }
    labels = {axis: part.label for axis, part in parts.items() if part}
    plugins = {f"{axis}_plugin": part.provenance for axis, part in parts.items() if part}
    return {
        "benchmark": plan.name,
        **labels,
        "norm": threat.norm,
        "goal": threat.goal,
        "targets": threat.targets if threat.goal == "targeted" else None,
        "knowledge": threat.knowledge,
        "seed": victim.seed,
        "id": cell.id,
        "victim": victim.id,
        **plugins,
    }
