"""The rows in perf.csv, and the page docs/performance.md made of them and of nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from prose import INTRODUCTION, MEMORY, NETWORKS, OPEN, STEPS
from targets import targets

FILE = Path(__file__).with_name("perf.csv")
KEY = ["network", "row", "implementation"]
FIGURES = [
    *("eps", "robust", "median", "forwards", "backwards", "seconds", "by_bare", "by_folded", "ours_by_it"),
    *("gflops", "mib"),
]
COLUMNS = [*KEY, "device", "norm", "n", "rounds", *FIGURES]
Row = dict[str, object]


def merged(rows: Sequence[Row], order: Sequence[tuple[str, str, str]]) -> pd.DataFrame:
    """Rows put in the place of older ones of the same key, in the order of ``order``; written to perf.csv."""
    found = {tuple(str(row[name]) for name in KEY): row for row in [*stored(), *rows]}
    table = pd.DataFrame([found[key] for key in order if key in found], columns=COLUMNS)
    for name in FIGURES:
        table[name] = pd.to_numeric(table[name], errors="coerce").map("{:.4g}".format).replace("nan", "")
    table = table.fillna("").astype(str)
    table.to_csv(FILE, index=False)
    return table


def read() -> pd.DataFrame:
    """perf.csv as text."""
    return pd.read_csv(FILE, dtype=str, keep_default_na=False) if FILE.exists() else pd.DataFrame(columns=COLUMNS)


def stored() -> list[Row]:
    """The rows of perf.csv."""
    return [{str(name): value for name, value in row.items()} for row in read().to_dict("records")]


def page(table: pd.DataFrame) -> str:
    """The page: targets, one table for each network, steps, memory, and what is open."""
    peak = _peak(table)
    attacks = table[~table["row"].isin(["one step", "memory"]) & (table["network"] != "matmul")]
    return "\n".join([
        INTRODUCTION,
        *targets(table),
        *(line for name, part in attacks.groupby("network", sort=False) for line in _network(str(name), part, peak)),
        STEPS,
        *_steps(table[table["row"] == "one step"], peak),
        MEMORY,
        *_memory(table[table["row"] == "memory"]),
        *_machine(table[table["network"] == "matmul"]),
        OPEN,
        *_unmeasured(table),
    ])  # fmt: skip


def _unmeasured(table: pd.DataFrame) -> list[str]:
    missing = [f"`{name}`" for name in NETWORKS if name not in set(table["network"])]
    return [f"Not measured yet: {', '.join(missing)}.\n"] if missing else []


def _peak(table: pd.DataFrame) -> float:
    found = table[(table["network"] == "matmul") & (table["implementation"] == "float32")]["gflops"]
    return float(found.iloc[0]) if len(found) else float("nan")


def _share(row: pd.Series, peak: float) -> str:
    return f"{100 * float(row['gflops']) / peak:.0f} %" if row["gflops"] and peak == peak else ""  # noqa: PLR0124


def _network(name: str, rows: pd.DataFrame, peak: float) -> list[str]:
    lines = [
        f"\n### {name}\n",
        "| attack, norm, eps | n | implementation | robust % | median | passes | seconds | by bare | tiltyard by it "
        "| of the peak | rounds |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for _, row in rows.iterrows():
        passes = f"{row['forwards']} + {row['backwards']}" if row["forwards"] else ""
        eps = f"{255 * float(row['eps']):.3g}/255" if row["norm"] == "linf" else row["eps"]
        cells = [f"`{row['row']}`, {row['norm']}, {eps}", row["n"], row["implementation"], row["robust"]]
        cells += [row["median"], passes, row["seconds"], row["by_bare"], row["ours_by_it"], _share(row, peak)]
        lines.append("| " + " | ".join(map(str, [*cells, row["rounds"]])) + " |")
    return lines


def _steps(rows: pd.DataFrame, peak: float) -> list[str]:
    lines = ["| network | step of | microseconds per image | by bare | by bare, folded | of the peak | rounds |"]
    lines.append("|---|---|---|---|---|---|---|")
    for _, row in rows.iterrows():
        micro = f"{1e6 * float(row['seconds']):.4g}"
        cells = [row["network"], row["implementation"], micro, row["by_bare"], row["by_folded"], _share(row, peak)]
        lines.append("| " + " | ".join(map(str, [*cells, row["rounds"]])) + " |")
    return lines


def _memory(rows: pd.DataFrame) -> list[str]:
    lines = ["| network | n | implementation | MiB per image |", "|---|---|---|---|"]
    return lines + [
        f"| {row['network']} | {row['n']} | {row['implementation']} | {row['mib']} |" for _, row in rows.iterrows()
    ]


def _machine(rows: pd.DataFrame) -> list[str]:
    lines = ["\n## The machine\n", "| product of matrices | dtype | device | GFLOP/s |", "|---|---|---|---|"]
    return lines + [
        f"| {row['row']} | {row['implementation']} | {row['device']} | {row['gflops']} |" for _, row in rows.iterrows()
    ]


if __name__ == "__main__":
    print(page(read()), end="")
