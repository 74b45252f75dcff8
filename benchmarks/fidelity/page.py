"""The rows of all comparisons in fidelity.csv, and the page docs/fidelity.md made of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

FILE = Path(__file__).with_name("fidelity.csv")
KEY = ["pair", "library", "victim", "norm", "eps"]
FIGURES = ["ours", "theirs", "as_good", "forwards", "backwards", "their_forwards", "their_backwards", "seconds_ratio"]
COLUMNS = [*KEY, "n", *FIGURES, "verdict"]

_INTRODUCTION = """\
# Fidelity

Native attacks beside reference implementations and published figures, on published networks. Written by

```console
python benchmarks/fidelity/compare.py --data DIR --samples 500 --write docs/fidelity.md
```

(`--only 'ddn*'` runs some pairs and leaves the other rows as they are; the references, adversarial-library, foolbox and
pyautoattack, come with the extra `reference`.) `DIR` holds the test images and the networks.

Both attacks run in the harness on the same test images, all of which the network gets right, spread evenly over the
test set. Both are judged by the harness: an image outside box or ball, or one that the network still gets right, is
no success, for the reference either. Networks and images are those of the [published benchmarks](benchmarks.md).

- **ours**, **theirs**: without eps the median distance over all samples, one that was not broken counting as infinitely
  far; with eps the robust accuracy in %. Lower is stronger.
- **as good**: share of the samples where our image is at most 1 % farther than theirs (with eps: broken, or not
  broken by theirs either), in %.
- **passes**: mean forwards + backwards per sample, as the harness counts them.
- **time**: our processor seconds over theirs, the harness's own work included.
- **ok**: our median at most 1 % above theirs, our robust accuracy at most 0.3 points above; otherwise **weaker**.

A number after an attack's name is its steps. FMN of 100 steps stands beside the medians of FAB, another
minimal-norm attack.
"""


def merged(rows: Sequence[Mapping[str, object]], order: Sequence[tuple[str, ...]]) -> pd.DataFrame:
    """Rows put in the place of older ones of the same pair, in the order of ``order``; written to fidelity.csv.

    Rows of pairs that are no longer in ``order`` are dropped.
    """
    found = {tuple(str(row[name]) for name in KEY): row for row in [*_stored(), *rows]}
    table = pd.DataFrame([found[key] for key in order if key in found], columns=COLUMNS)
    for name in FIGURES:
        table[name] = pd.to_numeric(table[name], errors="coerce").map("{:.4g}".format).replace("nan", "")
    table.to_csv(FILE, index=False)
    return table


def _stored() -> list[dict[str, object]]:
    if not FILE.exists():
        return []
    table = pd.read_csv(FILE, dtype=str, keep_default_na=False)
    return [{str(name): value for name, value in row.items()} for row in table.to_dict("records")]


def shown(row: Mapping[str, object]) -> str:
    """One row as a line."""
    return ", ".join(f"{name} {row[name]:.4g}" if isinstance(row[name], float) else str(row[name]) for name in row)


def page(table: pd.DataFrame) -> str:
    """The page: what is compared, references, published figures."""
    certified = table["verdict"].isin(["holds", "broken"])
    published = (table["their_forwards"] == "") & ~certified
    against = [
        f"| `{row['pair']}` | {row['library']} | {_where(row)} | {row['n']} | {row['ours']} | {row['theirs']} "
        f"| {row['as_good']} | {row['forwards']} + {row['backwards']} | {row['their_forwards']} + "
        f"{row['their_backwards']} | {row['seconds_ratio']} | {row['verdict']} |"
        for _, row in table[~published & ~certified].iterrows()
    ]
    figures, proofs = (
        [
            f"| `{row['pair']}` | {row['library']} | {_where(row)} | {row['n']} | {row['ours']} | {row['theirs']} "
            f"| {row['verdict']} |"
            for _, row in table[which].iterrows()
        ]
        for which in (published, certified)
    )
    return "\n".join([
        _INTRODUCTION,
        "## Reference implementations\n",
        "| pair | library | victim, norm, eps | n | ours | theirs | as good | our passes | their passes | time | |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
        *against,
        "\n## Published figures\n",
        "Published figures are over whole test sets; ours over n images of the same set.\n",
        "| pair | published by | victim, norm, eps | n | ours | published | |",
        "|---|---|---|---|---|---|---|",
        *figures,
        "\n## Certificates\n",
        "Robust accuracies that are proven for the network, as a share of the images it gets right. An attack that",
        "leaves less has been credited with what is no adversarial image.\n",
        "| pair | certified by | victim, norm, eps | n | ours | certified | |",
        "|---|---|---|---|---|---|---|",
        *proofs,
        "",
    ])  # fmt: skip


def _where(row: pd.Series) -> str:
    return ", ".join(filter(None, (row["victim"], row["norm"], row["eps"])))
