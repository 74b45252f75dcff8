"""Plain arrays out of .npz files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any
from zipfile import BadZipFile
from zlib import error as ZlibError

import numpy as np
from numpy.typing import NDArray

from tiltyard import refuse_bomb


def npz_arrays(path: Path, required: Sequence[str], optional: Sequence[str] = ()) -> dict[str, NDArray[Any]]:
    """The named arrays of a file, without unpickling; raises ``ValueError`` naming the file and what it lacks."""
    try:
        refuse_bomb(path)
        with path.open("rb") as stream:
            opened = np.load(stream, allow_pickle=False)
            if not isinstance(opened, np.lib.npyio.NpzFile):
                raise ValueError(f"it holds one array; np.savez writes {', '.join(required)} as named ones")
            found = ", ".join(opened) or "none"
            arrays = {name: opened[name] for name in (*required, *optional) if name in opened}
    except (OSError, ValueError, EOFError, BadZipFile, ZlibError, MemoryError) as error:
        raise ValueError(f"{path} is not an .npz file of plain arrays: {error}") from error
    missing = [name for name in required if name not in arrays]
    if missing:
        raise ValueError(f"{path} lacks the array {', '.join(missing)}; it holds {found}")
    return arrays
