"""The file itself: a zip of stored members, the same bytes for the same content, opened with suspicion."""

from __future__ import annotations

import re
import shutil
import stat
import zipfile
from collections.abc import Mapping
from pathlib import Path

from ..problems import UserError, refused_by_disk
from ..results import sha256
from .manifest import NAME, Manifest, read_manifest
from .report import Report

_ID = "[0-9a-f]{16}"
ALLOWED = re.compile(
    rf"manifest\.json|schema\.json|provenance\.json|results\.parquet|[a-z_]+\.csv"
    rf"|cells/{_ID}/(cell\.json|samples\.parquet|images-\d{{8,}}(-{_ID})?\.safetensors)"
    rf"|fits/{_ID}/(model\.safetensors|fit\.json)"
    rf"|victims/{_ID}/[a-z0-9_-]+\.(json|csv|parquet)"
    rf"|health/{_ID}\.json"
    rf"|files/[0-9a-f]{{64}}(\.[A-Za-z0-9]{{1,12}})?"
)
"""Names of members: nothing else is packed, nothing else is unpacked."""
EPOCH = (1980, 1, 1, 0, 0, 0)
"""The date of every member: the earliest a zip knows."""
CHUNK = 1 << 20
UNREADABLE = (OSError, zipfile.BadZipFile, NotImplementedError, ValueError, EOFError)
"""What zipfile raises, in that order: no such file, no zip, a version of the format that it does not know
(``NotImplementedError`` is zipfile's own word for it), numbers that make no sense, a file cut short."""


def write_archive(path: Path, manifest: Manifest, members: Mapping[str, Path]) -> None:
    """Write a bundle whole or not at all: the manifest, then the files of ``members`` in order of their names."""
    unfinished = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(unfinished, "w") as archive:
            archive.writestr(_info(NAME), manifest.encoded())
            for name in sorted(members):
                info = _info(name)
                info.file_size = members[name].stat().st_size
                with archive.open(info, "w") as target, members[name].open("rb") as source:
                    shutil.copyfileobj(source, target, CHUNK)
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def _info(name: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name, EPOCH)
    info.create_system = 3  # the same bytes on every system
    info.external_attr = (stat.S_IFREG | 0o644) << 16
    return info


def unpack(path: Path, folder: Path, report: Report) -> Manifest:
    """Unpack a bundle into an empty folder and tell every member that is not what the manifest says.

    Raises ``UserError`` on a file that is no bundle, or that tries to be more than one: names outside of what is
    packed, links, compressed or encrypted members, more bytes than the file has.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            infos = archive.infolist()
            if mistake := _mistake(infos, path.stat().st_size):
                raise UserError(f"{path}: {mistake}; nothing was unpacked")
            damaged = {info.filename for info in infos if not _extract(archive, info, folder / info.filename)}
    except UNREADABLE as error:
        if refused_by_disk(error):
            raise  # it is the disk that takes nothing more, and no fault of the bundle
        raise UserError(f"{path}: is no bundle that can be read: {error}") from error
    manifest = read_manifest(folder / NAME)
    _compare(manifest, {info.filename for info in infos} - {NAME}, damaged, folder, report)
    return manifest


def _mistake(infos: list[zipfile.ZipInfo], size: int) -> str:
    names = [info.filename for info in infos]
    if strange := next((name for name in names if not ALLOWED.fullmatch(name)), None):
        return f"holds {strange!r}, which no bundle does"
    if len(set(names)) < len(names):
        return f"holds {max(names, key=names.count)!r} twice"
    for info in infos:
        if info.compress_type != zipfile.ZIP_STORED or info.flag_bits & 1 or info.file_size != info.compress_size:
            return f"{info.filename!r} is compressed or encrypted, which no bundle is"
        if stat.S_IFMT(info.external_attr >> 16) not in (0, stat.S_IFREG):
            return f"{info.filename!r} is a link or a device"
    if sum(info.file_size for info in infos) > size:
        return "its members claim more bytes than the file has"
    return "" if NAME in names else f"has no {NAME}"


def _extract(archive: zipfile.ZipFile, info: zipfile.ZipInfo, target: Path) -> bool:
    """Write one member; whether its checksum was right."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with archive.open(info) as source, target.open("xb") as file:
        try:
            shutil.copyfileobj(source, file, CHUNK)
        except zipfile.BadZipFile:
            return False
    return True


def _compare(manifest: Manifest, found: set[str], damaged: set[str], folder: Path, report: Report) -> None:
    """Members that are missing, unknown, or other bytes than were packed."""
    if NAME in damaged:
        report.find(NAME, "is damaged")
    for name in sorted(manifest.members.keys() - found):
        report.find(name, "is in the manifest and not in the file")
    for name in sorted(found - manifest.members.keys()):
        report.find(name, "is in the file and not in the manifest")
    for name in sorted(found & manifest.members.keys()):
        if name in damaged or sha256(folder / name) != manifest.members[name].sha256:
            report.find(name, "is not what was packed: its sha256 is another")
