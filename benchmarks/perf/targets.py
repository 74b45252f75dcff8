"""What the attack engine is meant to reach, and what the rows say."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pandas as pd

OURS = "tiltyard"
CLOSE = 1.01
"""A median distance up to 1 % above a peer's counts as equal."""


Judged = tuple[str, str, bool]
"""Where, what was measured, and whether the target is met."""


def targets(table: pd.DataFrame) -> list[str]:
    """The list as lines of a page; a target without rows is open."""
    lines = ["## Targets\n", "| target | where | measured | |", "|---|---|---|---|"]
    for words, rows in (
        ("at most 1.00x of the fastest peer that is as strong", _fastest),
        ("PGD-20 on ResNet-20 at most 0.40x of torchattacks at equal robust accuracy", _pgd),
        ("standard suite at most 0.35x of pyautoattack at about 50 %", _suite),
        ("memory per image at most 0.1x of torchattacks", _memory),
        ("a step at most 1.05x of the bare loop", _step("by_bare")),
        ("a step at most 1.05x of the bare loop on the folded network", _step("by_folded")),
    ):
        found = list(rows(table))
        lines += [f"| {words} | {where} | {text} | {'met' if met else '**not met**'} |" for where, text, met in found]
        lines += [] if found else [f"| {words} | | not measured | open |"]
    return lines


def _fastest(table: pd.DataFrame) -> Iterator[Judged]:
    """Against the fastest of the peers that leave no more images whole than ours does."""
    for (network, row), part in table[table["robust"] != ""].groupby(["network", "row"], sort=False):
        mine = part[part["implementation"] == OURS]
        peers = part[~part["implementation"].str.startswith(OURS)]
        if mine.empty or peers.empty:
            continue
        strong = peers[[_as_strong(peer, mine.iloc[0]) for _, peer in peers.iterrows()]]
        where = f"{network}, `{row}`"
        if strong.empty:
            yield where, "no peer is as strong", True
            continue
        ratios = strong["ours_by_it"].astype(float)
        worst = strong.iloc[int(ratios.argmax())]
        yield where, f"{worst['ours_by_it']} ({worst['implementation']})", float(ratios.max()) <= 1


def _as_strong(peer: pd.Series, mine: pd.Series) -> bool:
    if peer["median"]:
        return float(peer["median"]) <= CLOSE * float(mine["median"])
    return _no_weaker(peer, mine)


def _no_weaker(one: pd.Series, other: pd.Series) -> bool:
    """Whether one leaves no more images whole than the other; one image is chance, since starts are random."""
    return float(one["robust"]) <= float(other["robust"]) + 1.01 * 100 / float(one["n"])


def _pgd(table: pd.DataFrame) -> Iterator[Judged]:
    yield from (found for found in _equal(table, "pgd-20", "torchattacks", 0.40) if "resnet20" in found[0])


def _suite(table: pd.DataFrame) -> Iterator[Judged]:
    yield from _equal(table, "standard", "pyautoattack", 0.35)


def _equal(table: pd.DataFrame, row: str, peer: str, most: float) -> Iterator[Judged]:
    """Our time by the peer's, which counts where we leave no more images whole."""
    for network, mine, theirs in _both(table, row, peer):
        equal = _no_weaker(mine, theirs)
        text = f"{theirs['ours_by_it']} at {mine['robust']} % against {theirs['robust']} %"
        yield network, text, equal and float(theirs["ours_by_it"]) <= most


def _memory(table: pd.DataFrame) -> Iterator[Judged]:
    for network, mine, peer in _both(table, "memory", "torchattacks"):
        ratio = float(mine["mib"]) / float(peer["mib"])
        yield network, f"{ratio:.3g} ({mine['mib']} against {peer['mib']} MiB)", ratio <= 0.1


def _step(column: str) -> Callable[[pd.DataFrame], Iterator[Judged]]:
    def rows(table: pd.DataFrame) -> Iterator[Judged]:
        steps = table[(table["row"] == "one step") & table["implementation"].str.startswith(OURS)]
        for _, row in steps.iterrows():
            yield f"{row['network']}, {row['implementation']}", row[column], float(row[column]) <= 1.05

    return rows


def _both(table: pd.DataFrame, row: str, peer: str) -> Iterator[tuple[str, pd.Series, pd.Series]]:
    """Network, our row and the peer's, wherever both are."""
    part = table[table["row"] == row]
    for network, rows in part.groupby("network", sort=False):
        mine, theirs = rows[rows["implementation"] == OURS], rows[rows["implementation"] == peer]
        if len(mine) and len(theirs):
            yield str(network), mine.iloc[0], theirs.iloc[0]
