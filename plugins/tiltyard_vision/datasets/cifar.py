"""CIFAR-10 and CIFAR-100, from the official batches or from the reduced forms that fit a small upload."""

from __future__ import annotations

import pickle
import tarfile
from dataclasses import dataclass
from io import BytesIO
from typing import Any, ClassVar, Literal

import numpy as np

from tiltyard import Data, Files, MissingFile, Outline, Split

from .cifar10_reduced import NAMES, jpeg75, lossless_subset
from .downloads import obtain, verify
from .splits import from_arrays


@dataclass(frozen=True)
class Cifar10:
    """CIFAR-10: 50,000 + 10,000 photographs of 10 classes, 32x32 RGB.

    ``variant``: "official" reads the batches in ``cifar-10-batches-py``, else the archive
    ``cifar-10-python.tar.gz``, which is downloaded where it is absent. "jpeg75" decodes all 60,000 images
    from JPEG of quality 75, so clean accuracy is not comparable with published figures. "lossless_subset" holds
    8,068 training images and the first 1,017 test images, pixel by pixel the official ones. Source:
    Krizhevsky 2009, "Learning Multiple Layers of Features from Tiny Images".
    """

    variant: Literal["official", "jpeg75", "lossless_subset"] = "official"

    def __post_init__(self) -> None:
        choices = ("official", "jpeg75", "lossless_subset")
        if self.variant not in choices:
            raise ValueError(f'variant = "{self.variant}" is none of {", ".join(choices)}')

    classes: ClassVar[int] = 10

    def outline(self, files: Files) -> Outline:
        """What is known before anything is read."""
        return Outline((3, 32, 32), 8068 if self.variant == "lossless_subset" else 50_000, NAMES)

    def __call__(self, files: Files) -> Data:
        """Images uint8 (N, 3, 32, 32); raises ``MissingFile``, or ``ValueError`` on a wrong checksum."""
        if self.variant == "jpeg75":
            return jpeg75(files)
        if self.variant == "lossless_subset":
            return lossless_subset(files)
        from torchvision.datasets import CIFAR10

        try:
            return _official(files, CIFAR10)
        except MissingFile as error:
            raise MissingFile(f'{error}; variant = "jpeg75" or "lossless_subset" read reduced forms') from error


@dataclass(frozen=True)
class Cifar100:
    """CIFAR-100 with its 100 fine classes: 50,000 + 10,000 photographs, 32x32 RGB.

    Read from ``cifar-100-python``, else from the archive ``cifar-100-python.tar.gz``, which is downloaded
    where it is absent. Source: Krizhevsky 2009, "Learning Multiple Layers of Features from Tiny Images".
    """

    classes: ClassVar[int] = 100

    def outline(self, files: Files) -> Outline:
        """What is known before anything is read."""
        return Outline((3, 32, 32), 50_000, tuple(f"class {number}" for number in range(100)))

    def __call__(self, files: Files) -> Data:
        """Images uint8 (N, 3, 32, 32); raises ``MissingFile``, or ``ValueError`` on a wrong checksum."""
        from torchvision.datasets import CIFAR100

        return _official(files, CIFAR100)


def _official(files: Files, source: Any) -> Data:
    """Both splits; ``source`` is torchvision's class, which publishes names, checksums and the address."""
    meta = source.meta["filename"]
    checksums = {meta: source.meta["md5"], **dict(source.train_list), **dict(source.test_list)}
    content = _content(files, source, checksums)
    names = tuple(_unpickled(content[meta])[source.meta["key"]])
    train, test = (
        _split([_unpickled(content[name]) for name, _ in part]) for part in (source.train_list, source.test_list)
    )
    return Data(train, test, names)


def _content(files: Files, source: Any, checksums: dict[str, str]) -> dict[str, bytes]:
    """The bytes of every file, checked, from the unpacked folder where there is one, else from the archive."""
    try:
        folder = files.find(source.base_folder)
    except MissingFile:
        try:
            origin = obtain(files, [source.filename], source.tgz_md5, [source.url])
        except MissingFile as error:
            raise MissingFile(f"{error}; the unpacked folder {source.base_folder} serves as well") from error
        content = _members(origin.read_bytes(), source.base_folder)
    else:
        missing = [name for name in checksums if not (folder / name).is_file()]
        if missing:
            raise MissingFile(f"{folder} lacks {', '.join(missing)}; complete it, or remove it to use the archive")
        content = {name: (folder / name).read_bytes() for name in checksums}
        origin = folder
    for name, md5 in checksums.items():
        verify(content[name], md5, origin / name)
    return content


def _members(archive: bytes, folder: str) -> dict[str, bytes]:
    """The plain files in a folder of a gzipped archive, without unpacking it to the disk."""
    found = {}
    with tarfile.open(fileobj=BytesIO(archive), mode="r:gz") as opened:
        for member in opened:
            stream = opened.extractfile(member)
            if stream is not None:
                found[member.name.removeprefix(f"{folder}/")] = stream.read()
    return found


def _split(batches: list[dict[str, Any]]) -> Split:
    images = np.concatenate([batch["data"] for batch in batches]).reshape(-1, 3, 32, 32)
    labels = [batch["labels"] if "labels" in batch else batch["fine_labels"] for batch in batches]
    return from_arrays(images, np.concatenate(labels))


class _Arrays(pickle.Unpickler):
    """Unpickles plain data and numpy arrays; any other name in the file, which could be code, is refused."""

    def find_class(self, module: str, name: str) -> Any:
        known = {"ndarray": np.ndarray, "dtype": np.dtype, "_reconstruct": np.empty(0).__reduce__()[0]}
        if module in {"numpy", "numpy.core.multiarray", "numpy._core.multiarray"} and name in known:
            return known[name]
        raise ValueError(f"the file asks for {module}.{name}; only numpy arrays are read from a pickle")


def _unpickled(content: bytes) -> Any:
    return _Arrays(BytesIO(content), encoding="latin1").load()
