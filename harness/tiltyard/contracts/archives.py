"""Zip files from elsewhere, as ``.npz`` and ``.pt`` are: refused before they fill the memory."""

from __future__ import annotations

import zipfile
from pathlib import Path

UNPACKED = 1 << 30
"""Bytes that any archive may unpack to."""
RATIO = 100
"""How many times its own size a larger one may; of arrays of images, deflate rarely saves more than half."""


def refuse_bomb(path: Path) -> None:
    """Raise ``ValueError`` where a zip file would unpack to far more than it holds; other files pass."""
    if not zipfile.is_zipfile(path):
        return
    with zipfile.ZipFile(path) as archive:
        claimed = sum(member.file_size for member in archive.infolist())
    limit = max(UNPACKED, RATIO * path.stat().st_size)
    if claimed > limit:
        raise ValueError(f"its {path.stat().st_size:,} bytes would unpack to {claimed:,}, more than {limit:,}")
