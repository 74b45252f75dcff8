"""How a worker comes to the same plan and the same store as its coordinator."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from ..events import Event
from ..plugins import Plugins
from ..problems import UserError
from ..provenance import plan_digest
from ..results import Store, write
from ..spec import Plan, plan
from ..workers import Outcome, Task
from .device import pick_device
from .hands import Hands

TOKEN = ".token"
"""The file of a results folder by which a worker sees that it is the coordinator's own."""


@dataclass(frozen=True)
class Recipe:
    """The words of the command line that a plan is made of."""

    toml: Path
    data: Path | None = None
    overrides: tuple[str, ...] = ()
    only: tuple[str, ...] = ()
    plugins: tuple[Path, ...] = ()

    def plan(self) -> Plan:
        """The plan; raises ``UserError``."""
        return plan(self.toml, Plugins(self.plugins), self.data, self.overrides, self.only)


def _umask() -> int:
    """The modes that files of this process do not get."""
    os.umask(before := os.umask(0o077))
    return before


@dataclass(frozen=True)
class PlanAssignment:
    """How a worker gets to its plan, its store and its device: see ``workers.Assignment``."""

    recipe: Recipe
    digest: str
    """Of the coordinator's plan: a worker that comes to another one must not work."""
    results: Path
    device: str
    folder: Path = field(default_factory=Path.cwd)
    """Where relative paths begin."""
    token: str = field(default_factory=lambda: secrets.token_hex(8))
    umask: int = field(default_factory=_umask)

    def publish(self) -> None:
        """Leave the token where the workers must find it."""
        write(self.results / TOKEN, self.token.encode())

    def withdraw(self) -> None:
        """Take it away."""
        (self.results / TOKEN).unlink(missing_ok=True)

    def hands(self, report: Callable[[Event], None]) -> Callable[[Task], Outcome]:
        """What does the tasks in this process; raises ``UserError`` where it would be other work."""
        os.umask(self.umask)
        try:
            os.chdir(self.folder)
            found = (self.results / TOKEN).read_text()
        except OSError as error:
            raise UserError(f"{self.where}: {error.filename} cannot be reached there; {WAY_OUT}") from error
        if found != self.token:
            raise UserError(f"{self.where}: {self.results} is another folder there; {WAY_OUT}")
        made = self.recipe.plan()
        if plan_digest(made) != self.digest:
            raise UserError(
                f"{self.where}: {self.recipe.toml} comes to another plan there: it, a plugin or tiltyard itself "
                "differs from the coordinator's, or has been changed since; run the same command again"
            )
        return Hands(made, Store(self.results), pick_device(self.device), report)

    @property
    def where(self) -> str:
        """This machine."""
        return os.uname().nodename


WAY_OUT = "the results, the benchmark file and its plugins must lie on a file system that all machines share"
