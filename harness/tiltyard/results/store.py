"""The results folder: locked by one run, written atomically, read by anyone."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from ..problems import UserError
from .schema import SAMPLES, SCHEMA, frame

if TYPE_CHECKING:
    import pandas as pd


class Store:
    """One results folder: ``cells/<id>`` and ``fits/<id>`` hold records and networks, the tables lie beside them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock: IO[str] | None = None

    def open(self) -> None:
        """Make the folder, refuse one of a newer schema, and hold its lock until ``close``."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._lock = (self.folder / ".lock").open("a+")
        except OSError as error:
            raise UserError(
                f"{self.folder}: cannot be written to ({error.strerror}); choose another with --results DIR"
            ) from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self.close()
            if error.errno not in (errno.EACCES, errno.EAGAIN):
                raise
            raise UserError(
                f"{self.folder}: another run is writing there; wait for it, or choose another folder with --results DIR"
            ) from error
        check_schema(self.folder)
        write_json(self.folder / "schema.json", {"schema": SCHEMA})

    def close(self) -> None:
        """Let the lock go."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def cell(self, cell_id: str) -> CellFolder:
        """The records of a cell."""
        return CellFolder(self.folder / "cells" / cell_id)

    def fit(self, fit_id: str) -> Path:
        """The folder of a fitted network."""
        return self.folder / "fits" / fit_id

    def write_tables(self, results: pd.DataFrame, leaderboard: pd.DataFrame, provenance: Mapping[str, Any]) -> None:
        """Write ``results.csv``, ``results.parquet``, ``leaderboard.csv`` and ``provenance.json``."""
        write(self.folder / "results.parquet", lambda path: results.to_parquet(path, index=False))
        write(self.folder / "results.csv", lambda path: results.to_csv(path, index=False))
        write(self.folder / "leaderboard.csv", lambda path: leaderboard.to_csv(path, index=False))
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

    def add_part(self, records: pd.DataFrame) -> None:
        """Keep the records of one finished batch."""
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / f"part-{int(records['sample'].iloc[0]):08d}.parquet"
        write(path, lambda temporary: records.to_parquet(temporary, index=False))

    def finish(self, summary: Mapping[str, Any]) -> None:
        """Join the parts into ``samples.parquet`` and write ``cell.json``."""
        self.folder.mkdir(parents=True, exist_ok=True)
        records = self.samples()
        write(self.folder / "samples.parquet", lambda path: records.to_parquet(path, index=False))
        for part in self.folder.glob("part-*.parquet"):
            part.unlink()
        write_json(self.folder / "cell.json", summary)


def check_schema(folder: Path) -> None:
    """Refuse a folder that a newer version wrote."""
    found = (read_json(folder / "schema.json") or {}).get("schema", SCHEMA)
    if found > SCHEMA:
        raise UserError(
            f"{folder}: written by a newer tiltyard (schema {found}, this one knows {SCHEMA}); "
            "upgrade tiltyard, or choose another folder with --results DIR"
        )


def write(path: Path, fill: Callable[[Path], object]) -> None:
    """Write a file whole or not at all: into a temporary one beside it, synced, then renamed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=path.suffix)
    temporary = Path(name)
    try:
        os.close(handle)
        fill(temporary)
        with temporary.open("rb+") as written:
            os.fsync(written.fileno())
        temporary.chmod(0o644)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write a JSON file atomically."""
    write(path, lambda temporary: temporary.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8"))


def read_json(path: Path) -> dict[str, Any] | None:
    """A JSON file's object, or None where there is no such file."""
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: cannot be read: {error}; remove it to compute it again") from error
    return content
