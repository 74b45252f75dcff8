"""The words that the harness and its plugins share."""

from .archives import refuse_bomb
from .batch import Batch
from .classifier import Classifier, Outputs, margin
from .components import (
    ATTACK_DEFAULTS,
    Access,
    Attack,
    Dataset,
    Defence,
    Head,
    Incompatible,
    Labels,
    Model,
    Objective,
    Setting,
    Trainer,
    declared,
)
from .data import Data, Files, MissingFile, Outline, Split, pixels
from .labels import Category, LabelScheme
from .threat import Goal, Knowledge, Norm, Radius, Threat, Units, distance, project

__all__ = [
    "ATTACK_DEFAULTS",
    "Access",
    "Attack",
    "Batch",
    "Category",
    "Classifier",
    "Data",
    "Dataset",
    "Defence",
    "Files",
    "Goal",
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
    "declared",
    "distance",
    "margin",
    "pixels",
    "project",
    "refuse_bomb",
]
