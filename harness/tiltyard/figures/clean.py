"""The clean images that the records of a results folder are about: found again, and known by their digest."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ..bundle.replan import of_run, replan, wanted
from ..contracts import Data, Files, MissingFile
from ..plugins import Plugins
from ..problems import UserError
from ..results import Store
from ..spec import DATA, Component
from .source import Nothing, Source


def clean_data(source: Source) -> Mapping[str, Data]:
    """The data set of each cell, by the cell's id; raises ``Nothing`` where one is not here, or is another."""
    results, told = source.results, source.results.provenance
    if not told.get("config"):
        raise Nothing("the results were not made from a benchmark file, so nothing tells where their images are")
    files = Files((source.data or DATA, Path(told.get("file", "")).parent, Path()))
    cells, name = wanted(results.table, Store(results.folder)), str(results.table["benchmark"].iloc[0])
    try:
        plan, _ = replan(name, told["config"], cells, of_run(told), Plugins(source.plugins), files)
    except UserError as error:
        raise Nothing(f"its configuration can not be planned here: {error}") from error
    known = {part: _read(part, files, told) for part in dict.fromkeys(cell.victim.dataset for cell in plan.cells)}
    return {cell.id: known[cell.victim.dataset] for cell in plan.cells}


def _read(dataset: Component, files: Files, told: Mapping[str, Mapping[str, str]]) -> Data:
    try:
        data: Data = dataset.object(files)
    except (MissingFile, ValueError) as error:
        raise Nothing(f"{dataset.label}: {error}; --data DIR tells where data sets are") from error
    recorded = told["data_sha256"].get(dataset.label)
    if recorded != data.test.sha256():
        raise Nothing(f"{dataset.label}: its test images here are not those that were attacked")
    return data
