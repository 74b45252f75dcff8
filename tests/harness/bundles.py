"""Toy benchmarks run and packed, and bundles told anew by a liar."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from toy_benchmark import TOML, TOY

from tiltyard.bundle import Report, pack, verify
from tiltyard.plugins import Plugins
from tiltyard.results import CellFolder, Store, sha256
from tiltyard.runner import Run, pick_device
from tiltyard.spec import plan as make_plan


def run_toys(
    folder: Path, *replacements: tuple[str, str], extra: str = "", plugins: Sequence[Path] = (), **more: Any
) -> Path:
    """Run the toy benchmark, with replacements, and give the folder of its results."""
    text = TOML
    for old, new in replacements:
        assert old in text
        text = text.replace(old, new)
    (folder / "toy.toml").write_text(text + extra)
    overrides = ["benchmark.doctor=false", f"benchmark.masking={str(more.pop('masking', False)).lower()}"]
    plan = make_plan(folder / "toy.toml", Plugins([TOY, *plugins]), overrides=overrides, **more)
    with (store := Store(folder / "results")).locked():
        assert Run(plan, store, pick_device("cpu"), lambda _: None)()
    return store.folder


def pack_toys(results: Path, plugins: Sequence[Path] = (), **more: Any) -> Path:
    return pack(results, results.with_name("toy.tiltyard.zip"), plugins=[TOY, *plugins], **more)[0]


def check(path: Path, plugins: Sequence[Path] = ()) -> Report:
    return verify(path, plugins=[TOY, *plugins])


def retold(path: Path, change: Callable[[Path], None]) -> Path:
    """The bundle of a liar: unpacked, changed, and packed again with hashes that fit."""
    folder = path.parent / "lie"
    with zipfile.ZipFile(path) as archive:
        archive.extractall(folder)
    change(folder)
    _seal(folder)
    manifest = json.loads((folder / "manifest.json").read_text())
    files = {
        p.relative_to(folder).as_posix(): p for p in folder.rglob("*") if p.is_file() and p.name != "manifest.json"
    }
    manifest["members"] = {name: {"sha256": sha256(p), "size": p.stat().st_size} for name, p in files.items()}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return zipped(path.with_name("lie.zip"), folder)


def _seal(folder: Path) -> None:
    """Checksums of the store that fit the lie as well."""
    for cell in map(CellFolder, folder.glob("cells/*")):
        for path in cell.images():
            path.rename(path.with_name(f"{path.stem[:15]}-{sha256(path)[:16]}.safetensors"))
        if (cell.folder / "samples.parquet").exists() and (summary := cell.summary):
            cell.seal(summary)


def zipped(path: Path, folder: Path) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for member in sorted(p for p in folder.rglob("*") if p.is_file()):
            archive.write(member, member.relative_to(folder).as_posix())
    return path
