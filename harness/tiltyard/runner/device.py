"""The device that a name stands for."""

from __future__ import annotations

import torch

from ..problems import UserError


def pick_device(name: str) -> torch.device:
    """``auto``, ``cpu`` or ``cuda`` (``cuda:1``) as a device that is there."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise UserError(f'--device {name}: no such device; choose "auto", "cpu" or "cuda"') from None
    if device.type == "cuda" and not torch.cuda.is_available():
        raise UserError(f"--device {name}: torch sees no CUDA device here; --device auto takes what there is")
    return device
