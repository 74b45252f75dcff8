"""Whatever is wrong in a bundle is found and named, even if its hashes fit."""

from __future__ import annotations

import errno
import json
import shutil
import stat
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from bundles import check, pack_toys, retold, run_toys
from safetensors.torch import load_file, save_file
from toy import Blobs

from tiltyard.bundle import judging, verify
from tiltyard.bundle.archive import unpack
from tiltyard.bundle.report import Report
from tiltyard.problems import UserError
from tiltyard.results import sha256, write_json


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundle of the toy benchmark, which tests copy and do not change."""
    return pack_toys(run_toys(tmp_path_factory.mktemp("base")))


@pytest.fixture
def bundle(base: Path, tmp_path: Path) -> Path:
    """A copy of the toy bundle."""
    return Path(shutil.copy(base, tmp_path / "toy.tiltyard.zip"))


def _cell(folder: Path) -> Path:
    return next((folder / "cells").iterdir())


def _edit_records(change: Callable[[pd.DataFrame], pd.DataFrame]) -> Callable[[Path], None]:
    def apply(folder: Path) -> None:
        path = _cell(folder) / "samples.parquet"
        change(pd.read_parquet(path)).to_parquet(path, index=False)

    return apply


def _set(column: str, value: object, where: Callable[[pd.DataFrame], Any]) -> Callable[[Path], None]:
    def change(records: pd.DataFrame) -> pd.DataFrame:
        records.loc[records.index[where(records)][:2], column] = value
        return records

    return _edit_records(change)


def _edit_images(change: Callable[[dict[str, torch.Tensor]], None]) -> Callable[[Path], None]:
    def apply(folder: Path) -> None:
        path = next(_cell(folder).glob("images-*"))
        tensors = load_file(path)
        change(tensors)
        save_file(tensors, path)

    return apply


def _edit_json(name: str, change: Callable[[dict[str, Any]], None]) -> Callable[[Path], None]:
    def apply(folder: Path) -> None:
        path = next(folder.glob(name))
        content = json.loads(path.read_text())
        change(content)
        write_json(path, content)

    return apply


def _weights(folder: Path) -> None:
    path = next(folder.glob("fits/*/model.safetensors"))
    save_file(
        {name: tensor.flip(0) for name, tensor in load_file(path).items() if "codes" not in name}
        | {"scheme.codes": load_file(path)["scheme.codes"]},
        path,
    )
    _edit_json("fits/*/fit.json", lambda fit: fit.update(sha256=sha256(path)))(folder)


def _table(folder: Path) -> None:
    board = pd.read_csv(folder / "leaderboard.csv")
    board["robust_accuracy"] += 0.25
    board.to_csv(folder / "leaderboard.csv", index=False)


LIES = {
    "image out of the ball": (_edit_images(lambda t: t["pixels"][0].clamp_(0.3, 0.4)), "the image is outside the ball"),
    "image out of the box": (_edit_images(lambda t: t["pixels"][0].add_(2)), "outside [0, 1]"),
    "image without effect": (
        _edit_images(lambda t: t["pixels"].copy_(Blobs()(None).test.floats()[t["sample"]])),
        "the image does not do what is recorded",
    ),
    "image of another shape": (
        _edit_images(lambda t: t.update(pixels=t["pixels"][:, :, :4].clone())),
        "can not be checked",
    ),
    "image of another sample": (_edit_images(lambda t: t["sample"].add_(1).remainder_(60)), "belong to no record"),
    "success without an image": (_set("left_class", True, lambda r: r["eps"] < 0.1), "there is no image"),
    "success denied": (_set("left_class", False, lambda r: r["left_class"]), "the image does not do what is recorded"),
    "sample left out": (_edit_records(lambda r: r[r["sample"] != r["sample"][0]]), "no record: 1 samples"),
    "sample twice": (_edit_records(lambda r: pd.concat([r, r.head(1)])), "records are there twice"),
    "other label": (_set("label", 3, lambda r: r["label"] == 1), "the label is not the data set's"),
    "clean image wrong": (_set("correct", False, lambda r: r["correct"]), "wrong to begin with"),
    "not attacked": (_set("status", "not_attacked", lambda r: ~r["left_class"]), "recorded as not attacked"),
    "other distance": (_set("distance", 0.01, lambda r: r["success"]), "the distance is not that of the image"),
    "other margin": (_set("margin", -99.0, lambda r: r["success"]), "the margin is not that of the image"),
    "table": (_table, "leaderboard.csv: robust_accuracy of row 1"),
    "weights": (_weights, "the clean image is not classified as recorded"),
    "configuration": (
        _edit_json("provenance.json", lambda p: p["config"]["training"].update(epochs=200)),
        "does not make 1 of 1 cells",
    ),
    "test images": (
        _edit_json("provenance.json", lambda p: p["data_sha256"].update({"toy.blobs": "0"})),
        "data set toy.blobs",
    ),
    "cell of another name": (
        _edit_json("cells/*/cell.json", lambda c: c["cell"].update(defence="strong")),
        "not about this cell",
    ),
    "cell with extra columns": (
        _edit_json("cells/*/cell.json", lambda c: c.update(defence="strong")),
        "not about this cell",
    ),
    "no fit": (lambda folder: shutil.rmtree(folder / "fits"), "there is no such fit"),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_lie_with_hashes_that_fit_is_found_and_named(bundle: Path, lie: str) -> None:
    change, words = LIES[lie]
    report = check(retold(bundle, change))
    assert any(words in str(finding) for finding in report.findings), report.findings


@pytest.mark.parametrize("name", ["images-", "samples.parquet", "model.safetensors", "leaderboard.csv", "cell.json"])
def test_a_changed_byte_is_found_by_the_hash_of_its_member(bundle: Path, name: str) -> None:
    path = bundle
    with zipfile.ZipFile(path) as archive:
        info = next(info for info in archive.infolist() if name in info.filename)
        content = archive.read(info)
    bytes_ = path.read_bytes()
    assert bytes_.count(content) == 1
    path.write_bytes(bytes_.replace(content, content[:-5] + bytes([content[-5] ^ 1]) + content[-4:]))
    report = check(path)
    assert f"{info.filename}: is not what was packed" in "\n".join(map(str, report.findings))


def _rewritten(path: Path, write: Callable[[zipfile.ZipFile], None]) -> Path:
    shutil.copy(path, other := path.with_name("other.zip"))
    with zipfile.ZipFile(other, "a") as archive:
        write(archive)
    return other


def _link(archive: zipfile.ZipFile) -> None:
    info = zipfile.ZipInfo("health/0123456789abcdef.json")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    archive.writestr(info, "/etc/passwd")


@pytest.mark.parametrize(
    ("write", "words"),
    [
        (lambda z: z.writestr("../evil.json", "{}"), "holds '../evil.json'"),
        (lambda z: z.writestr("/etc/evil", "{}"), "holds '/etc/evil'"),
        (lambda z: z.writestr("cells/evil.py", "{}"), "holds 'cells/evil.py'"),
        (_link, "is a link"),
        (lambda z: z.writestr("pairs_more.csv", "0" * 10**6, zipfile.ZIP_DEFLATED), "is compressed"),
    ],
    ids=["traversal", "absolute", "code", "link", "bomb"],
)
def test_a_file_that_tries_to_be_more_than_a_bundle_is_refused(bundle: Path, tmp_path: Path, write, words: str) -> None:
    before = set(tmp_path.rglob("*"))
    other = _rewritten(bundle, write)
    with pytest.raises(UserError, match="nothing was unpacked") as refused:
        check(other)
    assert words in str(refused.value)
    assert not (bundle.parent / "evil.json").exists()
    assert not [p for p in tmp_path.rglob("*evil*") if p not in before]


def test_a_renamed_member_is_told_twice(bundle: Path) -> None:
    other = _rewritten(bundle, lambda z: z.writestr("health/0123456789abcdef.json", "{}"))
    (finding,) = check(other).findings
    assert str(finding) == "health/0123456789abcdef.json: is in the file and not in the manifest"


@pytest.mark.parametrize("content", [b"", b"PK", b"no zip at all"])
def test_what_is_no_bundle_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.zip"
    path.write_bytes(content)
    with pytest.raises(UserError, match="is no bundle that can be read"):
        verify(path)


def test_another_protocol_is_not_judged(bundle: Path) -> None:
    def older(folder: Path) -> None:
        _edit_json("manifest.json", lambda m: m.update(protocol=1, tiltyard="0.0.9"))(folder)

    with pytest.raises(UserError, match=r"made by tiltyard 0.0.9 .*verify it with that version"):
        check(retold(bundle, older))


def test_a_verdict_within_rounding_is_borderline_and_no_lie(bundle: Path, monkeypatch) -> None:
    other = retold(bundle, _set("left_class", False, lambda r: r["left_class"]))
    monkeypatch.setattr(judging, "ROUNDING", 10.0)
    report = check(other)
    assert report.borderline > 0
    assert not [finding for finding in report.findings if "does not do what is recorded" in finding.message]


def test_a_full_disk_is_no_fault_of_the_bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "one.tyb"
    with zipfile.ZipFile(path, "w") as bundle:
        bundle.writestr("manifest.json", "{}")

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("shutil.copyfileobj", full)
    with pytest.raises(OSError, match="No space left"):
        unpack(path, tmp_path / "unpacked", Report())
