"""The tables of docs/label_study.md, from results folders or published boards.

    python benchmarks/labels/page.py PUBLISHED,AUDITED,SOUND ... --write docs/label_study.md

Each argument is one study: the folder of its published protocol, and after commas those of the others, one or both.
"""

from __future__ import annotations

import argparse
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from tiltyard.leaderboard import read_published
from tiltyard.results import Results

NUMBERS = Path(__file__).with_name("published.csv")
REAL = ("studies.fgsm", "studies.iterative")
"""The published attacks that stay in their ball; the one called PGD does not, and bounds nothing."""
BASE = "labels.category"
START, END = "<!-- tables: begin -->", "<!-- tables: end -->"
FULL = ("vision.resnet32", "vision.vgg19", "vision.resnet110")
"""The networks of the published study; boards of others are small."""


@dataclass(frozen=True)
class Study:
    """The results of one benchmark file: as published, and under sound attacks, of the published networks first."""

    published: Results
    others: Sequence[Results]

    def lines(self) -> Iterator[str]:
        """A section: what was run, and a table for each network and ball."""
        rows = self.published.csv("results")
        yield f"### {rows['benchmark'].iloc[0].removesuffix('-published-small').removesuffix('-published')}\n"
        for board in (self.published, *self.others):
            yield f"- {_described(board)}"
        networks = set(rows["model"])
        if not networks <= set(FULL):
            yield (
                f"\nThis is a small board ({', '.join(sorted(networks))}, {int(rows['samples'].max())} images). "
                "It shows that the study runs and what the mechanism is. It proves nothing about the full one."
            )
        for model in sorted(networks):
            for eps in sorted(rows.loc[rows["units"] == "normalised", "eps"].unique()):
                if any(len(_entries(self, board, model, float(eps))) for board in self.others):
                    yield from _table(self, model, float(eps))

    def ball(self, board: Results, model: str, eps: float) -> float | None:
        """The smallest ball in pixels that contains one of normalised units."""
        models = board.provenance["config"]["model"]
        deviations = [max(one["normalise"]["std"]) for one in models if model in (one["use"], one.get("name"))]
        known = board.leaderboard.loc[board.leaderboard["units"] == "pixels", "eps"]
        inside = [radius for radius in known.unique() if radius >= eps * max(deviations) * (1 - 1e-6)]
        return float(min(inside)) if inside else None


def _protocol(board: Results) -> str:
    return str(board.provenance["settings"]["protocol"])


def _described(board: Results) -> str:
    """One run in a line: its settings, seeds, epochs and samples."""
    rows, config = board.csv("results"), board.provenance["config"]
    settings = ", ".join(board.provenance["settings"].values())
    fitted = config["training"]
    return (
        f"`{rows['benchmark'].iloc[0]}` ({settings}): {rows['dataset'].iloc[0]}, {fitted['epochs']} epochs, "
        f"{rows['seed'].nunique()} seed(s), {int(rows['samples'].max())} images, on {board.provenance['device']}"
    )


def _table(study: Study, model: str, eps: float) -> Iterator[str]:
    columns = " ".join(f"clean | {_protocol(board)} (95 %) | gain | survives |" for board in study.others)
    yield f"\n**{model}, eps {eps:g} normalised.** Accuracy in %.\n"
    yield f"| labels | claimed elsewhere | clean | published protocol | {columns} rank | overlap | flags |"
    yield "|---|---|---|---|" + "---|---|---|---|" * len(study.others) + "---|---|---|"
    base = _Line(study, model, BASE, eps)
    for labels in dict.fromkeys([label for board in (study.published, *study.others) for label in _labels(board)]):
        yield _Line(study, model, labels, eps).cells(base)


def _labels(board: Results) -> list[str]:
    return list(board.csv("results")["labels"].unique())


class _Line:
    """What is known of one scheme in one ball."""

    def __init__(self, study: Study, model: str, labels: str, eps: float) -> None:
        self.labels = labels
        self.elsewhere = _elsewhere(model, labels, eps)
        self.claimed = claimed(study.published, model, labels, eps)
        self.clean = _clean(study.published, model, labels)
        self.worst = [_worst(study, board, model, labels, eps) for board in study.others]
        rows = study.others[-1].csv("results").query("labels == @labels")
        self.rank, self.overlap = (rows[name].max() for name in ("code_effective_rank", "code_overlap"))
        self.flags = _flags(study.published, labels)

    def cells(self, base: _Line) -> str:
        """The row of the table, gains reckoned against ``base``."""
        gain = _less(self.claimed, base.claimed)
        parts = [self.labels, _percent(self.elsewhere), _percent(self.clean), _percent(self.claimed)]
        for mine, theirs in zip(self.worst, base.worst, strict=True):
            left = _less(mine and mine.left, theirs and theirs.left)
            survives = left / gain if left is not None and gain is not None and gain > 0 else None
            share = _percent(survives) + (" %" if survives is not None else "")
            parts += [_percent(mine and mine.clean), _interval(mine), _points(left), share]
        geometry = ["–" if math.isnan(value) else f"{value:.2f}" for value in (self.rank, self.overlap)]
        return f"| {' | '.join([*parts, *geometry, self.flags])} |"


def claimed(board: Results, model: str, labels: str, eps: float) -> float | None:
    """What the published attacks leave at most, each believed as it came: the lowest of them, mean over seeds."""
    rows = board.csv("results").query("model == @model and labels == @labels and units == 'normalised'")
    rows = rows[rows["attack"].isin(REAL) & ((rows["eps"] - eps).abs() < 1e-9)]
    means = rows.groupby(["attack", "goal"])["claimed_accuracy"].mean()
    return float(means.min()) if len(means) else None


def _clean(board: Results, model: str, labels: str) -> float | None:
    """Accuracy without an attack, mean over seeds."""
    rows = board.csv("results").query("model == @model and labels == @labels")
    return float(rows.groupby("seed")["clean_accuracy"].first().mean()) if len(rows) else None


@dataclass(frozen=True)
class _Worst:
    """An entry of a leaderboard: the worst case per sample over all attacks, with its interval, and clean accuracy."""

    clean: float
    left: float
    low: float
    high: float


def _worst(study: Study, board: Results, model: str, labels: str, eps: float) -> _Worst | None:
    rows = _entries(study, board, model, eps).query("labels == @labels")
    columns = ["clean_accuracy", "robust_accuracy", "robust_low", "robust_high"]
    return _Worst(*rows[columns].iloc[0]) if len(rows) else None


def _entries(study: Study, board: Results, model: str, eps: float) -> pd.DataFrame:
    """The entries of a leaderboard in this ball, or in the smallest one in pixels around it."""
    rows = board.leaderboard.query("model == @model")
    behind = (rows["units"] == "normalised") & ((rows["eps"] - eps).abs() < 1e-9)
    radius = study.ball(board, model, eps)
    around = (rows["units"] == "pixels") & ((rows["eps"] - (radius or math.nan)).abs() < 1e-9)
    return rows[behind] if behind.any() else rows[around]


def _elsewhere(model: str, labels: str, eps: float) -> float | None:
    """The lowest of the published figures of the real attacks, for this very network."""
    short = labels.removeprefix("labels.")
    values = [
        row["value"]
        for row in read_published(NUMBERS)
        if row["quantity"] == "robust accuracy" and row["fault"] is None
        if (f"vision.{row['network']}", row["labels"]) == (model, short) and math.isclose(row["eps"] or 0, eps)
    ]
    return min(values) if values else None


def _flags(board: Results, labels: str) -> str:
    found = board.leaderboard.query("labels == @labels")["flags"].dropna()
    return "; ".join(sorted({flag.strip() for text in found for flag in text.split(";")}))


def _less(one: float | None, other: float | None) -> float | None:
    return None if one is None or other is None else one - other


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.1f}"


def _points(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:+z.1f}"


def _interval(found: _Worst | None) -> str:
    return "–" if found is None else f"{100 * found.left:.1f} ({100 * found.low:.1f}–{100 * found.high:.1f})"


def tables(studies: Sequence[Study]) -> str:
    """The part of the page between its marks."""
    return "\n\n".join("\n".join(study.lines()) for study in studies)


def replaced(page: str, content: str) -> str:
    """The page with other tables between the marks."""
    return re.sub(f"(?s){START}.*{END}", lambda _: f"{START}\n\n{content}\n\n{END}", page)


def main() -> None:
    """Write the tables, or print them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("studies", nargs="+", metavar="PUBLISHED,AUDITED,SOUND")
    parser.add_argument("--write", type=Path, metavar="PAGE")
    words = parser.parse_args()
    if not all("," in study for study in words.studies):
        parser.error("a study is two folders or more with commas between them, the published protocol's first")
    boards = [[Results(Path(folder)) for folder in study.split(",")] for study in words.studies]
    content = tables([Study(published, others) for published, *others in boards])
    if words.write:
        words.write.write_text(replaced(words.write.read_text(), content))
    else:
        print(content)


if __name__ == "__main__":
    main()
