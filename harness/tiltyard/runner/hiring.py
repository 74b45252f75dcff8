"""From the words of the command line to a crew."""

from __future__ import annotations

import torch

from ..problems import UserError
from ..provenance import plan_digest
from ..results import Store
from ..spec import Plan
from ..workers import Processes, environments
from .assignment import PlanAssignment, Recipe
from .run import Hire

ENGINES = "local, ray, ray://auto (the cluster that this machine belongs to) or ray://HOST:PORT"
"""What may stand behind ``--engine``."""


def hire(
    recipe: Recipe, plan: Plan, store: Store, device: torch.device, jobs: int | None = None, engine: str = "local"
) -> Hire:
    """What brings up ``jobs`` workers (None for one per GPU or core) of an engine; raises ``UserError``."""
    assignment = PlanAssignment(recipe, plan_digest(plan), store.folder.absolute(), device.type)
    if engine == "local":
        places = environments(jobs, device)
        return lambda index: Processes(assignment, places, index.find)
    name, _, address = engine.partition("://")
    if name != "ray":
        raise UserError(f"--engine {engine}: there is no such engine; choose {ENGINES}")
    from ..workers.actors import Actors
    from ..workers.cluster import connect

    ray = connect(address)
    return lambda index: Actors(ray, assignment, jobs, device.type == "cuda", index.find)
