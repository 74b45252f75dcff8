"""The tables of docs/label_study.md, from results folders or published boards.

    python benchmarks/labels/page.py RESULTS_PUBLISHED RESULTS_SOUND [--audited RESULTS] --write docs/label_study.md

RESULTS_SOUND may be audited results alone: columns go by the protocol that a board was run under.
Several studies follow one another: give their folders in the same order, --audited once for each that has one.
"""

from __future__ import annotations

import argparse
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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
    """The results of one benchmark file: as published, networks as published under sound attacks, and sound."""

    published: Results
    sound: Results
    audited: Results | None = None

    @property
    def others(self) -> list[Results]:
        """The boards under sound attacks: of the published networks first, if there is one."""
        return [board for board in (self.audited, self.sound) if board]

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
    columns = " ".join(f"{_protocol(board)} (95 %) | gain | survives |" for board in study.others)
    yield f"\n**{model}, eps {eps:g} normalised.** Accuracy in %.\n"
    yield (f"| labels | claimed elsewhere | published protocol | {columns} rank | overlap | flags |")
    yield "|---|---|---|" + "---|---|---|" * len(study.others) + "---|---|---|"
    base = _Line(study, model, BASE, eps)
    for labels in dict.fromkeys([*_labels(study.published), *_labels(study.sound)]):
        yield _Line(study, model, labels, eps).cells(base)


def _labels(board: Results) -> list[str]:
    return list(board.csv("results")["labels"].unique())


class _Line:
    """What is known of one scheme in one ball."""

    def __init__(self, study: Study, model: str, labels: str, eps: float) -> None:
        self.labels = labels
        self.elsewhere = _elsewhere(model, labels, eps)
        self.claimed = claimed(study.published, model, labels, eps)
        self.worst = [_worst(study, board, model, labels, eps) for board in study.others]
        rows = study.sound.csv("results").query("labels == @labels")
        self.rank, self.overlap = (rows[name].max() for name in ("code_effective_rank", "code_overlap"))
        self.flags = _flags(study.published, labels)

    def cells(self, base: _Line) -> str:
        """The row of the table, gains reckoned against ``base``."""
        gain = _less(self.claimed, base.claimed)
        parts = [self.labels, _percent(self.elsewhere), _percent(self.claimed)]
        for mine, theirs in zip(self.worst, base.worst, strict=True):
            left = _less(mine and mine[0], theirs and theirs[0])
            survives = left / gain if left is not None and gain is not None and gain > 0 else None
            parts += [_interval(mine), _points(left), _percent(survives) + (" %" if survives is not None else "")]
        geometry = ["–" if math.isnan(value) else f"{value:.2f}" for value in (self.rank, self.overlap)]
        return f"| {' | '.join([*parts, *geometry, self.flags])} |"


def claimed(board: Results, model: str, labels: str, eps: float) -> float | None:
    """What the published attacks leave at most, each believed as it came: the lowest of them, mean over seeds."""
    rows = board.csv("results").query("model == @model and labels == @labels and units == 'normalised'")
    rows = rows[rows["attack"].isin(REAL) & ((rows["eps"] - eps).abs() < 1e-9)]
    means = rows.groupby(["attack", "goal"])["claimed_accuracy"].mean()
    return float(means.min()) if len(means) else None


def _worst(study: Study, board: Results, model: str, labels: str, eps: float) -> tuple[float, float, float] | None:
    """The worst case per sample over all attacks, with its interval: in this ball, or the smallest pixel one around."""
    rows = board.leaderboard.query("model == @model and labels == @labels")
    behind = (rows["units"] == "normalised") & ((rows["eps"] - eps).abs() < 1e-9)
    radius = study.ball(board, model, eps)
    around = (rows["units"] == "pixels") & ((rows["eps"] - (radius or math.nan)).abs() < 1e-9)
    rows = rows[behind] if behind.any() else rows[around]
    found = rows[["robust_accuracy", "robust_low", "robust_high"]].to_numpy().tolist()
    return tuple(found[0]) if found else None


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
    return "–" if value is None else f"{100 * value:+.1f}"


def _interval(found: tuple[float, float, float] | None) -> str:
    return "–" if found is None else f"{100 * found[0]:.1f} ({100 * found[1]:.1f}–{100 * found[2]:.1f})"


def tables(studies: Sequence[Study]) -> str:
    """The part of the page between its marks."""
    return "\n\n".join("\n".join(study.lines()) for study in studies)


def replaced(page: str, content: str) -> str:
    """The page with other tables between the marks."""
    return re.sub(f"(?s){START}.*{END}", lambda _: f"{START}\n\n{content}\n\n{END}", page)


def main() -> None:
    """Write the tables, or print them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path, metavar="RESULTS_PUBLISHED RESULTS_SOUND")
    parser.add_argument("--audited", action="append", default=[], type=Path, metavar="RESULTS")
    parser.add_argument("--write", type=Path, metavar="PAGE")
    words = parser.parse_args()
    if len(words.folders) % 2:
        parser.error("give folders in pairs: the published protocol's and the sound one's")
    pairs = zip(words.folders[::2], words.folders[1::2], strict=True)
    audited: list[Any] = [*map(Results, words.audited), *[None] * (len(words.folders) // 2 - len(words.audited))]
    content = tables([Study(Results(a), Results(b), c) for (a, b), c in zip(pairs, audited, strict=True)])
    if words.write:
        words.write.write_text(replaced(words.write.read_text(), content))
    else:
        print(content)


if __name__ == "__main__":
    main()
