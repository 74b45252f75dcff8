"""The results folder: locked by one run at a time, written atomically, read by anyone."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from ..problems import UserError
from .column import frame
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
        """Make the folder and hold its lock; refuse one that another run holds or a newer version wrote."""
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
            write(self.folder / f"{name}.csv", table.to_csv(index=False).encode())
        write_json(self.folder / "provenance.json", provenance)


class CellFolder:
    """Records of one cell: a part for each finished batch, and one table when all are done."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def summary(self) -> dict[str, Any] | None:
        """What ``cell.json`` says: status, reason and seconds; None before the cell is finished."""
        return read_json(self.folder / "cell.json")

    def samples(self) -> pd.DataFrame:
        """The records of all samples finished so far."""
        import pandas as pd

        whole = self.folder / "samples.parquet"
        paths = [whole] if whole.exists() else sorted(self.folder.glob("part-*.parquet"))
        parts = [pd.read_parquet(path) for path in paths]
        if not parts:
            return frame(SAMPLES, [])
        table = pd.concat(parts, ignore_index=True)
        return table.astype({column.name: column.dtype for column in SAMPLES})

    def images(self) -> list[Path]:
        """The files of the images that broke the victim, one for each batch that has any."""
        return sorted(self.folder.glob("images-*.safetensors"))

    def add_part(self, records: pd.DataFrame, images: Images | None = None) -> None:
        """Keep the images and then the records of one finished batch."""
        number = f"{int(records['sample'].iloc[0]):08d}"
        if images is not None and len(images):
            write(self.folder / f"images-{number}.safetensors", images.encoded())
        write(self.folder / f"part-{number}.parquet", records.to_parquet(index=False))

    def finish(self, summary: Mapping[str, Any]) -> None:
        """Write ``cell.json``; the parts of a cell that is done are joined before, those of others stay."""
        if summary["status"] == "done":
            self._join()
        write_json(self.folder / "cell.json", summary)

    def _join(self) -> None:
        records = self.samples().sort_values(["sample", "eps", "target"], ignore_index=True)
        write(self.folder / "samples.parquet", records.to_parquet(index=False))
        for part in self.folder.glob("part-*.parquet"):
            part.unlink()


def check_schema(folder: Path) -> None:
    """Refuse a folder that a newer version wrote."""
    found = (read_json(folder / "schema.json") or {}).get("schema", SCHEMA)
    if found > SCHEMA:
        raise UserError(
            f"{folder}: written by a newer tiltyard (schema {found}, this one knows {SCHEMA}); "
            "upgrade tiltyard, or choose another folder with --results DIR"
        )


def write(path: Path, content: bytes) -> None:
    """Write a file whole or not at all: into a temporary one beside it, synced, then renamed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=path.suffix)
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(0o644)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write a JSON file atomically."""
    write(path, (json.dumps(content, indent=2) + "\n").encode())


def read_json(path: Path) -> dict[str, Any] | None:
    """A JSON file's object, or None where there is no such file."""
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: cannot be read: {error}; remove it to compute it again") from error
    return content
