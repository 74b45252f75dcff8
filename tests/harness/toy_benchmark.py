"""The toy plugin and the benchmark file that uses it, for tests that need them by name."""

from __future__ import annotations

from pathlib import Path

TOY = Path(__file__).with_name("toy.py")

TOML = """
[benchmark]
name = "toy"
samples = 24
batch_size = 8
[training]
epochs = 2
lr = 0.05
batch_size = 32
[[dataset]]
use = "toy.blobs"
[[model]]
use = "toy.linear"
[[labels]]
use = "toy.onehot"
[[defence]]
use = "toy.none"
[[attack]]
use = "toy.descent"
[[threat]]
norm = "linf"
eps = ["16/255", "32/255"]
"""

STUDY = "".join(
    f'[[labels]]\nuse = "{use}"\n{key} = {value}\n'
    for use, key, values in (("labels.gap", "gap", (0, 1, 20)), ("labels.normal", "dimension", (2, 40)))
    for value in values
)
"""Label schemes of which two families vary a key."""
