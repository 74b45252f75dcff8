"""What figures are drawn from: the tables of a results folder, and the networks that were fitted for them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ..leaderboard import BALL, ENTRY, Charge
from ..results import Results, read_json
from ..spec import digest, victim_id
from ..statistics import over_seeds
from .canvas import Look, looks

if TYPE_CHECKING:
    import pandas as pd

GROUND = tuple(name for name in BALL if name not in ("benchmark", "eps"))
"""What is not compared within a panel: data set and norm."""


class Nothing(Exception):  # noqa: N818 - it is no error of anybody's
    """Raised by a figure for which a results folder holds nothing; says what is missing."""


class Share(NamedTuple):
    """A mean over seeds with its 95 % interval."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class Fit:
    """A network that was fitted with its scheme's own loss: what it was made of, by axis, and how it went."""

    folder: Path
    names: Mapping[str, str]
    """The data set, model and labels by the names they have in tables."""
    training: Mapping[str, Any]
    seed: int
    epochs: Sequence[Mapping[str, float]]
    victims: frozenset[str]
    """The ids of the victims in the tables that rest on it."""


@dataclass(frozen=True)
class Source:
    """One results folder; ``data`` and ``plugins`` are where clean images come from."""

    results: Results
    data: Path | None = None
    plugins: tuple[Path, ...] = ()

    @cached_property
    def done(self) -> pd.DataFrame:
        """The rows of ``results.csv`` that have records, with the attack and its aim in words as ``charge``."""
        rows = self.results.table
        rows = rows[rows["status"] == "done"]
        if rows.empty:
            raise Nothing("no cell is done")
        aims = rows[["attack", "goal", "targets", "knowledge"]].fillna("").itertuples(index=False, name=None)
        return rows.assign(charge=[Charge(*aim).words for aim in aims])

    @cached_property
    def labels(self) -> dict[str, Look]:
        """The look of each label scheme."""
        return looks(self.results.table["labels"])

    @cached_property
    def charges(self) -> dict[str, Look]:
        """The look of each attack."""
        return looks(self.done["charge"])

    @cached_property
    def worst(self) -> pd.DataFrame:
        """The rows of ``leaderboard.csv``, each with the geometry of its codes."""
        board = self.results.leaderboard
        if board.empty:
            raise Nothing("no entry is on the leaderboard: an attack in good health must have charged every sample")
        codes = [name for name in self.results.table if str(name).startswith("code_")]
        known = self.done[["dataset", "labels", *codes]].drop_duplicates(["dataset", "labels"])
        return board.merge(known, on=["dataset", "labels"], how="left")

    def parameters(self, labels: str) -> Mapping[str, Any]:
        """The component (``use``) and the parameters of a label scheme."""
        identity = self.results.provenance["components"]["labels"].get(labels, {})
        return {"use": identity.get("use", labels), **identity.get("parameters", {})}

    @cached_property
    def fits(self) -> list[Fit]:
        """The undefended networks that the tables rest on."""
        found = []
        for path in sorted(self.results.folder.glob("fits/*/fit.json")):
            told = read_json(path) or {}
            identity = dict(told.get("identity", {}))
            if identity.pop("key", None) != "":
                continue
            victims = self._victims(identity)
            if victims:
                names = {axis: self._name(axis, identity[axis]) for axis in ("dataset", "model", "labels")}
                found.append(Fit(path.parent, names, identity["training"], identity["seed"], told["epochs"], victims))
        return found

    def _victims(self, identity: Mapping[str, Any]) -> frozenset[str]:
        defences = [None, *self.results.provenance["components"].get("defence", {}).values()]
        ids = {victim_id(identity, defence) for defence in defences}
        return frozenset(ids & set(self.results.table["victim"]))

    def _name(self, axis: str, identity: Mapping[str, Any]) -> str:
        known = self.results.provenance["components"][axis].items()
        return next((name for name, other in known if digest(other) == digest(identity)), str(identity["use"]))


def mean(rows: pd.DataFrame, column: str) -> Share | None:
    """The mean over seeds of a share, with its interval; None where a seed lacks it."""
    rows = rows.drop_duplicates("seed")
    if not len(rows) or rows[column].isna().any():
        return None
    shares = rows[column].tolist()
    return Share(sum(shares) / len(shares), *over_seeds(shares, int(rows["samples"].max())))


def groups(rows: pd.DataFrame, names: Sequence[str]) -> Iterator[tuple[dict[str, Any], pd.DataFrame]]:
    """The rows that agree in the columns ``names``, in the order of the table."""
    for values, group in rows.groupby(list(names), sort=False):
        yield dict(zip(names, values, strict=True)), group


def where(rows: pd.DataFrame, wanted: Mapping[str, Any]) -> pd.DataFrame:
    """The rows that have these values."""
    for name, value in wanted.items():
        rows = rows[rows[name] == value]
    return rows


def in_order(panels: Sequence[tuple[dict[str, Any], Any]], names: Sequence[str]) -> list[tuple[dict[str, Any], Any]]:
    """Panels with those together that have the same of ``names``, otherwise in the order they come in."""
    first: dict[str, int] = {}
    for n, (words, _) in enumerate(panels):
        first.setdefault(str([words[name] for name in names]), n)
    return sorted(panels, key=lambda panel: first[str([panel[0][name] for name in names])])


def told(panels: Sequence[Mapping[str, Any]]) -> tuple[str, list[str]]:
    """What all panels have in common, in words, and what each of them has alone."""
    same = {name for name in panels[0] if len({panel[name] for panel in panels}) == 1}
    own = [_joined({name: value for name, value in panel.items() if name not in same}) for panel in panels]
    return _joined({name: value for name, value in panels[0].items() if name in same}), own


def _joined(words: Mapping[str, Any]) -> str:
    """Names speak for themselves, but for the units of eps."""
    return " · ".join(f"eps in {value}" if name == "units" else str(value) for name, value in words.items())


def entry_words(rows: pd.DataFrame) -> list[str]:
    """The entry of each row in words: its label scheme, and its defence where there are several."""
    names = [name for name in ENTRY if name != "model" and (name == "labels" or rows[name].nunique() > 1)]
    return [" · ".join(values) for values in rows[names].itertuples(index=False, name=None)]


def sample_words(rows: pd.DataFrame) -> str:
    """How many images and seeds stand behind the rows."""
    images, seeds = int(rows["samples"].max()), rows["seed"].nunique() if "seed" in rows else int(rows["seeds"].max())
    return f"n = {images} images, {seeds} seed{'s' if seeds > 1 else ''}"
