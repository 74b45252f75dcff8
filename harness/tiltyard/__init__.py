"""tiltyard: train image classifiers, attack them, verify every adversarial image, tabulate what held.

What is listed here is the public interface, for plugins and for notebooks. It is loaded on first use, so
that ``bench --help`` does not wait for torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from . import results, testing
    from .api import evaluate
    from .contracts import (
        Attack,
        Batch,
        Category,
        Classifier,
        Data,
        Dataset,
        Defence,
        Files,
        Head,
        Incompatible,
        Knowledge,
        Labels,
        LabelScheme,
        MissingFile,
        Model,
        Norm,
        Objective,
        Outline,
        Outputs,
        Radius,
        Setting,
        Split,
        Threat,
        Trainer,
        Units,
        distance,
        margin,
        pixels,
        project,
        refuse_bomb,
    )
    from .hookspecs import hookimpl
    from .victim import Victim

__version__ = "0.1.0"

_HOME = {"evaluate": "api", "hookimpl": "hookspecs", "Victim": "victim"}

__all__ = [
    "Attack",
    "Batch",
    "Category",
    "Classifier",
    "Data",
    "Dataset",
    "Defence",
    "Files",
    "Head",
    "Incompatible",
    "Knowledge",
    "LabelScheme",
    "Labels",
    "MissingFile",
    "Model",
    "Norm",
    "Objective",
    "Outline",
    "Outputs",
    "Radius",
    "Setting",
    "Split",
    "Threat",
    "Trainer",
    "Units",
    "Victim",
    "distance",
    "evaluate",
    "hookimpl",
    "margin",
    "pixels",
    "project",
    "refuse_bomb",
    "results",
    "testing",
]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if name in ("results", "testing"):
        return importlib.import_module(f"{__name__}.{name}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME.get(name, 'contracts')}"), name)
