"""The results folder: locked by one run at a time, written atomically, read by anyone."""

from __future__ import annotations

import contextlib
import fcntl
import io
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from ..problems import UserError
from .checking import FILES, set_right
from .column import frame, to_csv
from .files import read_checked, read_json, sha256, write, write_json, write_named
from .images import Images
from .schema import SAMPLES, SCHEMA

if TYPE_CHECKING:
    import pandas as pd


class Store:
    """One results folder: ``cells/<id>`` and ``fits/<id>`` hold records and networks, the tables lie beside them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Make the folder and hold its lock; refuse one that another run holds or a newer version wrote.

        Files that are not what was written are set aside first, so that whoever holds the lock computes them anew.
        """
        with self._lock_file() as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise UserError(
                    f"{self.folder}: another run is writing there; wait for it, or choose another with --results DIR"
                ) from error
            check_schema(self.folder)
            if not (self.folder / "schema.json").exists():
                write_json(self.folder / "schema.json", {"schema": SCHEMA})
            set_right(self.folder)
            yield

    def _lock_file(self) -> IO[str]:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            return (self.folder / ".lock").open("a+")
        except OSError as error:
            raise UserError(
                f"{self.folder}: cannot be written to ({error.strerror}); choose another folder with --results DIR"
            ) from error

    def cell(self, cell_id: str) -> CellFolder:
        """The records of a cell."""
        return CellFolder(self.folder / "cells" / cell_id)

    def fit(self, fit_id: str) -> Path:
        """The folder of a fitted network."""
        return self.folder / "fits" / fit_id

    def victim(self, victim_id: str) -> Path:
        """The folder of what was found out about a victim beside its cells."""
        return self.folder / "victims" / victim_id

    def health(self, attack_id: str) -> Path:
        """The file of what the health checks of an attack found."""
        return self.folder / "health" / f"{attack_id}.json"

    def write_tables(self, tables: Mapping[str, pd.DataFrame], provenance: Mapping[str, Any]) -> None:
        """Write each table as ``<name>.csv``, the results as ``results.parquet`` too, and ``provenance.json``."""
        write(self.folder / "results.parquet", tables["results"].to_parquet(index=False))
        for name, table in tables.items():
            write(self.folder / f"{name}.csv", to_csv(table))
        write_json(self.folder / "provenance.json", provenance)


class CellFolder:
    """Records of one cell: a part for each finished batch, and one table when all are done."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def summary(self) -> dict[str, Any] | None:
        """What ``cell.json`` says: status, reason and seconds; None before the cell is finished."""
        told = read_json(self.folder / "cell.json")
        return told and {key: value for key, value in told.items() if key != FILES}

    def samples(self) -> pd.DataFrame:
        """The records of all samples finished so far; raises ``DamagedError`` where they are not what was written."""
        import pandas as pd

        told = read_json(self.folder / "cell.json") or {}
        known, whole = told.get(FILES, {}), self.folder / "samples.parquet"
        paths = sorted(self.folder.glob("part-*.parquet"))
        if whole.name in known or (whole.exists() and (told.get("status") == "done" or not paths)):
            paths = [whole]
        parts = [pd.read_parquet(io.BytesIO(read_checked(path, known.get(path.name)))) for path in paths]
        return frame(SAMPLES, pd.concat(parts, ignore_index=True) if parts else [])

    def images(self) -> list[Path]:
        """The files of the images that broke the victim, one for each batch that has any."""
        return sorted(self.folder.glob("images-*.safetensors"))

    def add_part(self, records: pd.DataFrame, images: Images | None = None) -> None:
        """Keep the images and then the records of one finished batch."""
        number = f"{int(records['sample'].iloc[0]):08d}"
        kept = None
        if images is not None and len(images):
            kept = write_named(self.folder, f"images-{number}", ".safetensors", images.encoded())
        for left in self.folder.glob(f"images-{number}*"):
            if left != kept:
                left.unlink()  # of a batch whose records were not kept any more
        write_named(self.folder, f"part-{number}", ".parquet", records.to_parquet(index=False))

    def finish(self, summary: Mapping[str, Any]) -> None:
        """Write ``cell.json``; the parts of a cell that is done are joined before, those of others stay."""
        if summary["status"] != "done":
            write_json(self.folder / "cell.json", summary)
            return
        records = self.samples().sort_values(["sample", "eps", "target"], ignore_index=True)
        write(self.folder / "samples.parquet", records.to_parquet(index=False))
        self.seal(summary)
        for part in self.folder.glob("part-*.parquet"):
            part.unlink()

    def seal(self, summary: Mapping[str, Any]) -> None:
        """Write ``cell.json`` with the checksums of the records and images that are here now."""
        files = [self.folder / "samples.parquet", *self.images()]
        write_json(self.folder / "cell.json", {**summary, FILES: {path.name: sha256(path) for path in files}})


@contextlib.contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Hold the lock of a folder that several workers want to fill, waiting for whoever has it."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def check_schema(folder: Path) -> None:
    """Refuse a folder that a newer version wrote."""
    found = (read_json(folder / "schema.json") or {}).get("schema", SCHEMA)
    if found > SCHEMA:
        raise UserError(
            f"{folder}: written by a newer tiltyard (schema {found}, this one knows {SCHEMA}); "
            "upgrade tiltyard, or choose another folder with --results DIR"
        )
