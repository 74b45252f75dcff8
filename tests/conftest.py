"""What all tests share: one torch thread per worker, and a short way to the real data."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")

REPOSITORY = Path(__file__).parents[1]


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    import torch

    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def _same_draws() -> None:
    """A layer that a test leaves to torch's initialisation has the same weights in every run and order."""
    import torch

    torch.manual_seed(0)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real images and published networks; tests that want it skip where it is absent."""
    folder = Path(os.environ.get("TILTYARD_DATA") or REPOSITORY.parent / "shared" / "data")
    if not (folder / "checkpoints").is_dir():
        pytest.skip(f"no real data: {folder} has no checkpoints (set TILTYARD_DATA)")
    return folder
