"""Official sets: what is read, what is refused, and what is said when nothing is there."""

from __future__ import annotations

import hashlib
import pickle
import shutil
import struct
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from tiltyard import Files, MissingFile
from tiltyard_vision.datasets.cifar import Cifar10, Cifar100, _unpickled
from tiltyard_vision.datasets.cifar10_reduced import NAMES, jpeg_bundle
from tiltyard_vision.datasets.idx import FashionMnist, Mnist
from tiltyard_vision.datasets.svhn import Svhn

CLOSED_PORT = "http://127.0.0.1:9/"


def _md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def test_mnist_has_its_published_shape_and_class_counts(real_files: Callable[[str], Files]) -> None:
    data = Mnist()(real_files("mnist"))
    assert data.train.images.shape == (60000, 1, 28, 28)
    assert torch.bincount(data.test.labels).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]


def test_idx_files_are_read_as_torchvision_reads_them(real: Callable[[str], Path], tmp_path: Path) -> None:
    from torchvision.datasets import FashionMNIST
    from torchvision.datasets.mnist import read_image_file, read_label_file
    from torchvision.datasets.utils import extract_archive

    folder = real("fashion-mnist")
    data = FashionMnist()(Files((folder.parent,)))
    for part in ("images-idx3", "labels-idx1"):
        extract_archive(str(folder / f"t10k-{part}-ubyte.gz"), str(tmp_path))
    assert data.test.images[:, 0].equal(read_image_file(str(tmp_path / "t10k-images-idx3-ubyte")))
    assert data.test.labels.equal(read_label_file(str(tmp_path / "t10k-labels-idx1-ubyte")))
    assert data.classes == tuple(FashionMNIST.classes)


def test_a_flipped_byte_is_refused_by_file_name(real: Callable[[str], Path], tmp_path: Path) -> None:
    shutil.copytree(real("mnist"), tmp_path / "mnist", copy_function=shutil.copyfile)
    damaged = tmp_path / "mnist" / "t10k-labels-idx1-ubyte.gz"
    damaged.chmod(0o644)
    content = bytearray(damaged.read_bytes())
    content[1000] ^= 1
    damaged.write_bytes(content)
    with pytest.raises(ValueError, match=r"t10k-labels-idx1-ubyte\.gz is damaged.*ec29112d.*delete it"):
        Mnist()(Files((tmp_path,)))


def test_absent_files_come_from_the_mirror_into_the_data_folder(
    real: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first mirror is unreachable, the second one serves; afterwards none is asked."""
    monkeypatch.setattr("torchvision.datasets.MNIST.mirrors", [CLOSED_PORT, real("mnist").as_uri() + "/"])
    first = Mnist()(Files((tmp_path,)))
    assert len(list((tmp_path / "MNIST" / "raw").iterdir())) == 4
    monkeypatch.setattr("torchvision.datasets.MNIST.mirrors", [])
    assert Mnist()(Files((tmp_path,))).test.sha256() == first.test.sha256()


def test_what_a_mirror_sends_is_checked_before_it_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mirror = tmp_path / "mirror"
    mirror.mkdir()
    (mirror / "train-images-idx3-ubyte.gz").write_text("<html>please log in</html>")
    monkeypatch.setattr("torchvision.datasets.MNIST.mirrors", [mirror.as_uri() + "/"])
    with pytest.raises(MissingFile, match="what it sent has not the MD5 f68b3c2d"):
        Mnist()(Files((tmp_path / "data",)))
    assert not (tmp_path / "data").exists()


def test_without_network_the_message_names_file_places_and_way_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torchvision.datasets.CIFAR10.url", CLOSED_PORT + "x.tar.gz")
    with pytest.raises(MissingFile) as caught:
        Cifar10()(Files((tmp_path,)))
    for word in ("cifar-10-python.tar.gz", str(tmp_path), "--data", "refused", "cifar-10-batches-py", "jpeg75"):
        assert word in str(caught.value)


def _string(text: bytes) -> bytes:
    return b"T" + struct.pack("<I", len(text)) + text


def _python2_batch(images: NDArray[np.uint8], key: bytes, labels: list[int]) -> bytes:
    """A batch as Python 2 pickled the official ones: byte strings, and numpy's old module names."""
    reconstruct = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85" + _string(b"b") + b"\x87R"
    dtype = b"cnumpy\ndtype\n" + _string(b"u1") + b"K\x00K\x01\x87R"
    dtype += b"(K\x03" + _string(b"|") + b"NNN" + 2 * b"J\xff\xff\xff\xff" + b"K\x00tb"
    shape = b"".join(b"J" + struct.pack("<i", side) for side in images.shape) + b"\x86"
    array = reconstruct + b"(K\x01" + shape + dtype + b"\x89" + _string(images.tobytes()) + b"tb"
    numbers = b"](" + b"".join(b"K" + bytes([label]) for label in labels) + b"e"
    return b"\x80\x02}(" + _string(b"data") + array + _string(key) + numbers + b"u."


@pytest.fixture
def tiny_cifar(monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    """A CIFAR-100 of 12 + 4 random images whose checksums torchvision's class is made to publish."""
    random = np.random.default_rng(0)
    files = {
        "train": _python2_batch(random.integers(0, 256, (12, 3072), np.uint8), b"fine_labels", list(range(12))),
        "test": _python2_batch(random.integers(0, 256, (4, 3072), np.uint8), b"fine_labels", [3, 2, 1, 0]),
        "meta": pickle.dumps({"fine_label_names": [f"class {i}" for i in range(100)]}, 2),
    }
    source = "torchvision.datasets.CIFAR100"
    monkeypatch.setattr(f"{source}.train_list", [["train", _md5(files["train"])]])
    monkeypatch.setattr(f"{source}.test_list", [["test", _md5(files["test"])]])
    monkeypatch.setattr(f"{source}.meta", {"filename": "meta", "key": "fine_label_names", "md5": _md5(files["meta"])})
    return files


def _lay(folder: Path, files: dict[str, bytes]) -> Path:
    folder.mkdir(parents=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder


def test_cifar_batches_are_read_from_the_unpacked_folder(tmp_path: Path, tiny_cifar: dict[str, bytes]) -> None:
    _lay(tmp_path / "cifar-100-python", tiny_cifar)
    data = Cifar100()(Files((tmp_path,)))
    expected = np.random.default_rng(0).integers(0, 256, (12, 3, 32, 32), np.uint8)
    assert np.array_equal(data.train.images.numpy(), expected)
    assert data.test.labels.tolist() == [3, 2, 1, 0]
    assert data.classes[99] == "class 99"


def test_cifar_is_read_from_the_archive_without_unpacking(
    tmp_path: Path, tiny_cifar: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    data_folder, aside = tmp_path / "data", tmp_path / "aside"
    data_folder.mkdir()
    archive = data_folder / "cifar-100-python.tar.gz"
    with tarfile.open(archive, "w:gz") as opened:
        opened.add(_lay(aside, tiny_cifar), "cifar-100-python")
    monkeypatch.setattr("torchvision.datasets.CIFAR100.tgz_md5", _md5(archive.read_bytes()))
    packed = Cifar100()(Files((data_folder,)))
    assert list(data_folder.iterdir()) == [archive]
    _lay(data_folder / "cifar-100-python", tiny_cifar)
    assert packed.train.sha256() == Cifar100()(Files((data_folder,))).train.sha256()


def test_an_incomplete_folder_says_what_it_lacks(tmp_path: Path, tiny_cifar: dict[str, bytes]) -> None:
    (_lay(tmp_path / "cifar-100-python", tiny_cifar) / "test").unlink()
    with pytest.raises(MissingFile, match="cifar-100-python lacks test"):
        Cifar100()(Files((tmp_path,)))


class _Evil:
    """Pickles as a call of ``exec``."""

    def __reduce__(self) -> tuple[Any, ...]:
        return exec, ("print('this code ran')",)


def test_a_wrong_checksum_is_refused_before_anything_is_unpickled(
    tmp_path: Path, tiny_cifar: dict[str, bytes], capsys: pytest.CaptureFixture[str]
) -> None:
    _lay(tmp_path / "cifar-100-python", {**tiny_cifar, "train": pickle.dumps(_Evil())})
    with pytest.raises(ValueError, match="train is damaged or not the official file"):
        Cifar100()(Files((tmp_path,)))
    assert capsys.readouterr().out == ""


def test_a_pickle_that_asks_for_code_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ValueError, match=r"asks for builtins\.exec"):
        _unpickled(pickle.dumps(_Evil()))
    assert capsys.readouterr().out == ""


def test_the_official_names_file_of_cifar10_is_read(real: Callable[[str], Path]) -> None:
    content = real("cifar10/batches.meta").read_bytes()
    assert tuple(_unpickled(content)["label_names"]) == NAMES


def test_lossless_subset_is_the_beginning_of_the_official_test_set(
    real: Callable[[str], Path], real_files: Callable[[str], Files]
) -> None:
    data = Cifar10(variant="lossless_subset")(real_files("cifar10/cifar10_lossless_subset.npz"))
    with np.load(real("cifar10/cifar10_labels.npz")) as labels:
        assert data.test.labels.tolist() == labels["test"][:1017].tolist()
    assert (len(data.train), data.shape) == (8068, (3, 32, 32))


def test_jpeg_bundle_is_the_official_test_set_at_its_documented_loss(
    real: Callable[[str], Path], real_files: Callable[[str], Files], cache: Path
) -> None:
    """Mean PSNR of quality 75 against the exact pixels: 30.5 dB; a shifted order would be near 10 dB."""
    lossy = jpeg_bundle(real("cifar10/cifar10_jpeg75_test.npz"))
    exact = Cifar10(variant="lossless_subset")(real_files("cifar10/cifar10_lossless_subset.npz")).test
    error = (lossy.images[:1017].float() - exact.images.float()).square().flatten(1).mean(1)
    assert float((10 * (255**2 / error).log10()).mean()) == pytest.approx(30.5, abs=0.2)
    assert lossy.labels[:1017].equal(exact.labels)
    assert len(lossy) == 10000
    assert len(list((cache / "images").iterdir())) == 1


def test_svhn_matlab_files_become_images_with_zero_as_class_zero(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from scipy.io import savemat

    images = np.random.default_rng(0).integers(0, 256, (5, 32, 32, 3), np.uint8)
    published = {}
    (tmp_path / "svhn").mkdir()
    for part in ("train", "test"):
        file = tmp_path / "svhn" / f"{part}_32x32.mat"
        savemat(file, {"X": images.transpose(1, 2, 3, 0), "y": np.array([[1], [10], [9], [10], [2]], np.uint8)})
        published[part] = [CLOSED_PORT, file.name, _md5(file.read_bytes())]
    monkeypatch.setattr("torchvision.datasets.SVHN.split_list", published)
    data = Svhn()(Files((tmp_path,)))
    assert data.test.labels.tolist() == [1, 0, 9, 0, 2]
    assert np.array_equal(data.train.images.numpy(), images.transpose(0, 3, 1, 2))
