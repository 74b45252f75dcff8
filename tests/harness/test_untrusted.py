"""Files from elsewhere are data: none of them runs code, fills the memory or reaches outside, and each is named.

P10 and P12 of docs/reliability.md.
"""

from __future__ import annotations

import ast
import io
import json
import os
import pickle
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from bundles import pack_toys, run_toys, zipped
from PIL import Image
from safetensors.torch import save_file

from tiltyard.bundle import verify
from tiltyard.contracts import Files, archives, refuse_bomb
from tiltyard.problems import UserError
from tiltyard.spec import Plan
from tiltyard.training.network import CheckpointError, _tensors
from tiltyard_labels.array_file import read
from tiltyard_vision.datasets.arrays import npz_arrays
from tiltyard_vision.datasets.image_folder import central_square
from tiltyard_vision.datasets.image_tree import image_tree

ROOT = Path(__file__).parents[2]


class Evil:
    """Makes a folder when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return os.mkdir, (str(self.mark),)


def _state() -> dict[str, torch.Tensor]:
    return {"weight": torch.arange(64.0).reshape(8, 8)}


def _safetensors(header: dict[str, object]) -> bytes:
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + b"\0" * 256


def _torch_bytes(content: object) -> bytes:
    torch.save(content, buffer := io.BytesIO())
    return buffer.getvalue()


def _deflated(path: Path, name: str, size: int) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, archive.open(name, "w") as member:
        for _ in range(size >> 20):
            member.write(b"\0" * (1 << 20))


@pytest.mark.parametrize("suffix", [".pt", ".pth", ".th", ".bin"])
@pytest.mark.parametrize("forced", [False, True])
def test_a_checkpoint_never_runs_code(tmp_path: Path, monkeypatch, suffix: str, forced: bool) -> None:
    """As torch writes it, and as a bare pickle; also where the environment asks torch to load anything."""
    if forced:
        monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")
    evil = {"state_dict": _state(), "more": Evil(tmp_path / "ran")}
    for content in (_torch_bytes(evil), pickle.dumps(evil, protocol=2)):
        (path := tmp_path / f"net{suffix}").write_bytes(content)
        with pytest.raises(CheckpointError, match="holds more than tensors, and loading it could run code"):
            _tensors(path)
        assert not (tmp_path / "ran").exists()


@pytest.mark.filterwarnings("ignore:.*torch.jit")
def test_a_program_is_no_checkpoint(tmp_path: Path) -> None:
    torch.jit.script(torch.nn.Linear(2, 2)).save(tmp_path / "net.pt")
    with pytest.raises(CheckpointError, match=r"net\.pt"):
        _tensors(tmp_path / "net.pt")


LIES = {
    "header longer than the file": struct.pack("<Q", 1 << 60) + b"{}",
    "shape larger than its bytes": _safetensors({"w": {"dtype": "F32", "shape": [1 << 40], "data_offsets": [0, 256]}}),
    "bytes past the end": _safetensors({"w": {"dtype": "F32", "shape": [1 << 20], "data_offsets": [0, 1 << 22]}}),
    "two tensors in one place": _safetensors(
        {name: {"dtype": "F32", "shape": [64], "data_offsets": [0, 256]} for name in "ab"}
    ),
    "no header": b"",
    "half a header": struct.pack("<Q", 100) + b'{"w"',
}


@pytest.mark.parametrize("lie", LIES)
def test_safetensors_that_lie_are_refused(tmp_path: Path, lie: str) -> None:
    (path := tmp_path / "net.safetensors").write_bytes(LIES[lie])
    with pytest.raises(CheckpointError, match=r"net\.safetensors"):
        _tensors(path)


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_a_truncated_checkpoint_is_refused_wherever_it_ends(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"net{suffix}"
    save_file(_state(), path) if suffix == ".safetensors" else torch.save(_state(), path)
    content = path.read_bytes()
    assert torch.equal(_tensors(path)["weight"], _state()["weight"])
    for end in range(0, len(content), max(1, len(content) // 40)):
        path.write_bytes(content[:end])
        with pytest.raises(CheckpointError, match=f"net{suffix}"):
            _tensors(path)


def test_an_archive_that_unpacks_to_far_more_than_it_holds_is_refused_at_once(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(archives, "UNPACKED", 1 << 20)
    for name, member in (("x.npz", "x_train.npy"), ("codes.npz", "codes.npy"), ("net.pt", "net/data.pkl")):
        _deflated(tmp_path / name, member, 8 << 20)
    with pytest.raises(ValueError, match=r"x\.npz .*would unpack to 8,388,608"):
        npz_arrays(tmp_path / "x.npz", ["x_train"])
    with pytest.raises(ValueError, match=r"codes\.npz: .*would unpack to"):
        read("codes.npz", Files((tmp_path,)), 3)
    with pytest.raises(CheckpointError, match=r"net\.pt: .*would unpack to"):
        _tensors(tmp_path / "net.pt")
    np.savez_compressed(tmp_path / "fair.npz", x=np.random.default_rng(0).integers(0, 255, (4, 64, 64), np.uint8))
    refuse_bomb(tmp_path / "fair.npz")


def test_an_array_that_claims_more_than_there_is_is_refused(tmp_path: Path) -> None:
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "|u1", "fortran_order": False, "shape": (1 << 55,)})
    (tmp_path / "codes.npy").write_bytes(header.getvalue() + b"\0" * 16)
    with zipfile.ZipFile(tmp_path / "x.npz", "w") as archive:
        archive.writestr("x_train.npy", header.getvalue() + b"\0" * 16)
    with pytest.raises(ValueError, match=r"x\.npz is not an \.npz file"):
        npz_arrays(tmp_path / "x.npz", ["x_train"])
    with pytest.raises(ValueError, match=r"codes\.npy: expected a codebook"):
        read("codes.npy", Files((tmp_path,)), 3)


def test_object_arrays_are_refused_unopened(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", x_train=np.array([Evil(tmp_path / "ran")], dtype=object))
    with pytest.raises(ValueError, match=r"x\.npz is not an \.npz file of plain arrays"):
        npz_arrays(tmp_path / "x.npz", ["x_train"])
    assert not (tmp_path / "ran").exists()


def test_an_image_too_slender_to_be_resized_is_refused(tmp_path: Path) -> None:
    Image.new("L", (20_000, 1)).save(tmp_path / "line.png")
    with pytest.raises(ValueError, match=r"line\.png is 20000 x 1 pixels"):
        central_square(tmp_path / "line.png", 64, 64)


def test_an_image_of_too_many_pixels_is_refused(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    Image.new("L", (40, 40)).save(tmp_path / "bomb.png")
    with pytest.raises(ValueError, match=r"bomb\.png cannot be read as an image"):
        central_square(tmp_path / "bomb.png", 8, 8)


@pytest.mark.parametrize("name", ["../../secret.png", "/etc/secret.png", "..", ""])
def test_annotations_name_no_file_outside_of_their_folder(tmp_path: Path, name: str) -> None:
    for folder in ("train/n1", "val/images"):
        (tmp_path / "set" / folder).mkdir(parents=True)
        Image.new("RGB", (4, 4)).save(tmp_path / "set" / folder / "a.png")
    Image.new("RGB", (4, 4)).save(tmp_path / "secret.png")
    (tmp_path / "set" / "val" / "val_annotations.txt").write_text(f"{name}\tn1\t0\t0\t1\t1\n")
    with pytest.raises(ValueError, match=r"val_annotations\.txt, line 1"):
        image_tree(tmp_path / "set", 0.2, 0)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bundle")
    return pack_toys(run_toys(folder))


def test_a_table_of_a_bundle_that_unfolds_to_any_number_of_rows_is_refused(bundle: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(bundle) as archive:
        archive.extractall(tmp_path / "lie")
    rows = pd.DataFrame({"cell": pd.Categorical.from_codes(np.zeros(3_000_000, np.int8), ["0" * 16])})
    rows.to_parquet(tmp_path / "lie" / "results.parquet")
    assert (tmp_path / "lie" / "results.parquet").stat().st_size < 100_000
    with pytest.raises(UserError, match=r"results\.parquet would unfold to"):
        verify(zipped(tmp_path / "lie.zip", tmp_path / "lie"))


@pytest.mark.parametrize("name", ["../x", "a/b", "..", ".", "/etc", "x\0y", ""])
def test_a_benchmark_cannot_be_called_by_a_path(planned: Callable[..., Plan], name: str) -> None:
    """Its name is that of its folder below --results."""
    with pytest.raises(UserError, match="name"):
        planned(('name = "toy"', f"name = {json.dumps(name)}"))


@pytest.mark.parametrize("use", ["os.system", "tiltyard.results.load", "../evil.attack", "/tmp/evil.py", "evil"])
def test_a_benchmark_names_plugins_and_never_modules(planned: Callable[..., Plan], use: str) -> None:
    with pytest.raises(UserError, match="use"):
        planned(('use = "toy.descent"', f'use = "{use}"'))


ASKS = {"load": {"torch": "weights_only=True", "np": "allow_pickle=False"}}
BANNED = {
    "pickle.load", "pickle.loads", "torch.jit.load", "torch.export.load", "pd.read_pickle", "pandas.read_pickle",
    "joblib.load", "shutil.unpack_archive", "yaml.load", "marshal.loads", "eval", "exec",
}  # fmt: skip
FILES = sorted(path for folder in ("harness", "plugins") for path in (ROOT / folder).rglob("*.py"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_loader_asks_for_data_only(path: Path) -> None:
    for call in (node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)):
        name, words = ast.unparse(call.func), {ast.unparse(word) for word in call.keywords}
        assert name not in BANNED, f"line {call.lineno}: {name}"
        assert not name.endswith((".extractall", ".extract")), f"line {call.lineno}: {name}"
        module, _, function = name.rpartition(".")
        if wanted := ASKS.get(function, {}).get(module):
            assert wanted in words, f"line {call.lineno}: {name} without {wanted}"
        if name == "pickle.Unpickler":
            raise AssertionError(f"line {call.lineno}: subclass it with an allow-list, as cifar.py does")
