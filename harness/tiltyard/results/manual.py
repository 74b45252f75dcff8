"""The manual page of the results: written from the schema, so that it cannot drift."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from .column import Column
from .schema import EPOCHS, SAMPLES, SCHEMA, STATUSES, TABLES, VERDICTS

INTRODUCTION = f"""# Results

<!-- Written by `python -m tiltyard.results.manual > docs/results.md`; a test compares them. -->

A run writes one folder, `results/<name>/`:

| file | what it is |
|---|---|
| `results.csv`, `results.parquet` | a row per cell and eps |
| `leaderboard.csv` | a row per ball (data set, norm, eps) and entry (model, labels, defence), by worst case |
| `seeds.csv` | the same seed by seed |
| `worst.csv` | the worst case of each sample, with the attack that won |
| `attacks.csv` | the ledger: what each attack did alone, and which of them are enough |
| `pairs.csv` | entries, and attacks on one entry, compared pairwise |
| `curves.csv` | accuracy against eps from minimal-norm attacks, cross-checked by fixed-budget ones |
| `masking.csv` | a row per victim, norm and indicator of the [masking report](masking.md) |
| `detection.csv` | a row per cell and eps of every victim that rejects: how well it [detects](defences.md#detectors) |
| `provenance.json` | versions, device, plugins with all parameters, data digests, git revision, configuration |
| `cells/<id>/images-*.safetensors` | verified images that broke the victim: `sample`, `target`, `eps` of the call |
| `cells/<id>/samples.parquet` | a row per sample, eps and target: everything else is computed from these |
| `cells/<id>/cell.json` | the cell in words, status, seconds, sha256 of its files; `error.txt` beside it if it failed |
| `fits/<id>/` | a fitted network: `model.safetensors`, `fit.json` with its sha256, identity and epochs |
| `schema.json` | the version of all this: {SCHEMA}. A newer one is refused |
| `quarantine/` | files that were not what was written, and `log.txt` about them; see [reliability](reliability.md) |

The last key of every JSON file is its own `checksum`; the names of images tell the first sample of the batch and how
their sha256 begins. In CSV files a text that a spreadsheet would compute (it begins with `=`, `+`, `-`, `@`, a tab or a
line break) has a `'` before it; `tiltyard.results` takes it off, and parquet files have none.

From Python:

```python
import tiltyard

results = tiltyard.results.load("results/quickstart")
results.table, results.leaderboard, results.samples, results.epochs, results.provenance
results.csv("attacks")
```

Images lie in [0, 1], so eps 8/255 is 0.0314. Two denominators are in use and both are columns: **robust accuracy** is a
share of all samples, **success rate** a share of those that were right to begin with. A cell in which any sample lacks
a verdict has no robust accuracy at all. Averages over attacks are never formed. [Statistics](statistics.md) has the
formulas.
"""


def page() -> str:
    """The whole page, in Markdown."""
    statuses = "\n".join(
        f"| `{word}` | {'yes' if word in VERDICTS else 'no'} | {text} |" for word, text in STATUSES.items()
    )
    return "\n".join(
        [
            INTRODUCTION,
            *(_section(f"A row of `{name}.csv`", columns) for name, columns in TABLES.items()),
            _section("A row of `samples.parquet`", SAMPLES),
            f"## Status of a sample\n\n| word | verdict | meaning |\n|---|---|---|\n{statuses}\n",
            _section("A row of `results.epochs`, from `fit.json`", EPOCHS),
        ]
    )


def _section(title: str, columns: Sequence[Column]) -> str:
    rows = "\n".join(f"| `{c.name}` | {c.dtype} | {c.unit} | {c.meaning} |" for c in columns)
    return f"## {title}\n\n| column | type | unit | meaning |\n|---|---|---|---|\n{rows}\n"


if __name__ == "__main__":
    sys.stdout.write(page())
