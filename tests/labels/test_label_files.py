"""Codebooks from files: which are read, and how a broken one is told."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tiltyard import Files, LabelScheme, MissingFile
from tiltyard_labels import label_schemes

CLASSES = ("cat", "dog", "frog")
GOOD = np.random.RandomState(0).normal(size=(3, 4))


def read(folder: Path, file: str, name: str = "from_file", **keys: Any) -> LabelScheme:
    return label_schemes()[name](file=file, **keys)(CLASSES, Files((folder,)))


def test_npy_and_npz_are_read(tmp_path: Path) -> None:
    """An archive may hold one array of any name, or several of which one is called codes."""
    np.save(tmp_path / "plain.npy", GOOD)
    np.savez(tmp_path / "one.npz", anything=GOOD)
    np.savez(tmp_path / "named.npz", codes=GOOD, other=np.zeros(2))
    for file in ("plain.npy", "one.npz", "named.npz"):
        assert torch.equal(read(tmp_path, file).codes, torch.from_numpy(GOOD).float())


def test_integers_are_read(tmp_path: Path) -> None:
    np.save(tmp_path / "codes.npy", np.arange(12, dtype=np.uint8).reshape(3, 4))
    assert read(tmp_path, "codes.npy").codes.tolist()[2] == [8, 9, 10, 11]


def altered(**changes: Any) -> np.ndarray[Any, Any]:
    array = GOOD.copy()
    for where, value in changes.values():
        array[where] = value
    return array


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (GOOD[:2], r"shape \(3, \*shape\), a code for each class, not \(2, 4\)"),
        (np.arange(3.0), r"not \(3,\)"),
        (np.zeros((3, 0)), r"not \(3, 0\)"),
        (altered(a=((1, 2), np.nan)), r"finite codes, but that of class 1 \('dog'\)"),
        (altered(a=((2, 0), np.inf)), r"finite codes, but that of class 2 \('frog'\)"),
        (altered(a=((0, 0), 1e39)), r"finite codes, but that of class 0 \('cat'\)"),
        (altered(a=(2, GOOD[0])), r"but 0 \('cat'\) and 2 \('frog'\) share one"),
        (GOOD.astype(complex), "real numbers"),
        (np.array([["a", "b"]] * 3), "real numbers"),
        (GOOD > 0, "real numbers"),
    ],
)
def test_broken_codebook_names_the_file_and_what_was_expected(
    tmp_path: Path, array: np.ndarray[Any, Any], message: str
) -> None:
    np.save(tmp_path / "codes.npy", array)
    with pytest.raises(ValueError, match=r"codes\.npy: expected.*" + message):
        read(tmp_path, "codes.npy")


def test_codes_that_differ_beyond_float32_only_count_as_the_same(tmp_path: Path) -> None:
    array = GOOD.copy()
    array[1] = array[0] * (1 + 1e-12)
    np.save(tmp_path / "codes.npy", array)
    with pytest.raises(ValueError, match="share one"):
        read(tmp_path, "codes.npy")


def test_zero_and_minus_zero_are_the_same_code(tmp_path: Path) -> None:
    np.save(tmp_path / "codes.npy", np.array([[0.0], [-0.0], [1.0]]))
    with pytest.raises(ValueError, match="share one"):
        read(tmp_path, "codes.npy")


def test_archive_of_several_arrays_must_name_the_codebook(tmp_path: Path) -> None:
    np.savez(tmp_path / "codes.npz", a=GOOD, b=GOOD)
    with pytest.raises(ValueError, match=r'codes\.npz: expected.*holds a, b; .*"codes"'):
        read(tmp_path, "codes.npz")


class Bomb:
    """Sets off when it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (pytest.fail, ("a pickle was executed",))


def test_pickles_are_never_executed(tmp_path: Path) -> None:
    """Neither as an object array, nor in an archive, nor as a bare pickle."""
    np.save(tmp_path / "codes.npy", np.array([Bomb()] * 3, dtype=object), allow_pickle=True)
    np.savez(tmp_path / "codes.npz", codes=np.array([Bomb()] * 3, dtype=object))
    (tmp_path / "codes.pkl").write_bytes(pickle.dumps(Bomb()))
    for file in ("codes.npy", "codes.npz", "codes.pkl"):
        with pytest.raises(ValueError, match=rf"{file}: expected a codebook in \.npy or \.npz form"):
            read(tmp_path, file)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut off", b"\x93NUMPY\x01", b"plain text"])
def test_unreadable_file_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "codes.npy").write_bytes(content)
    with pytest.raises(ValueError, match=r"codes\.npy: expected a codebook"):
        read(tmp_path, "codes.npy")


def test_missing_file_says_where_it_was_looked_for(tmp_path: Path) -> None:
    for name in ("from_file", "bert", "speech", "shuffle", "glove"):
        with pytest.raises(MissingFile, match=str(tmp_path)):
            read(tmp_path, "nowhere.npy", name)


def test_bert_takes_both_layouts_and_no_other(tmp_path: Path) -> None:
    array = np.random.RandomState(1).normal(size=(3, 48, 48)).astype(np.float32)
    np.save(tmp_path / "square.npy", array)
    np.save(tmp_path / "flat.npy", array.reshape(3, 2304))
    np.save(tmp_path / "raw.npy", array.reshape(3, 3, 768))
    for file in ("square.npy", "flat.npy"):
        assert torch.equal(read(tmp_path, file, "bert").codes, torch.from_numpy(array))
    with pytest.raises(ValueError, match=r"\(3, 48, 48\) or \(3, 2304\).*not \(3, 3, 768\)"):
        read(tmp_path, "raw.npy", "bert")


def glove(folder: Path, text: str, classes: tuple[str, ...]) -> LabelScheme:
    (folder / "glove.6B.50d.txt").write_text(text)
    return label_schemes()["glove"]()(classes, Files((folder,)))


VECTORS = "the 0 0 0\npickup 1 2 3\nt-shirt -1 .5 2e-1\n0 4 4 4\ncat 1 1 1\n"


def test_glove_takes_the_first_word_in_lower_case(tmp_path: Path) -> None:
    scheme = glove(tmp_path, VECTORS, ("pickup_truck", "T-shirt/top", "0 - zero", " Cat, wild"))
    expected = torch.tensor([[1, 2, 3], [-1, 0.5, 0.2], [4, 4, 4], [1, 1, 1]])
    assert torch.equal(scheme.codes, expected)


def test_glove_names_all_missing_words(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"glove\.6B\.50d\.txt: no vector for 'wumpus', 'yeti'"):
        glove(tmp_path, VECTORS, ("cat", "wumpus", "Yeti snow man"))


def test_glove_refuses_two_names_with_one_first_word(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"0 \('cat black'\) and 1 \('cat white'\) share one"):
        glove(tmp_path, VECTORS, ("cat black", "cat white"))


@pytest.mark.parametrize(
    ("text", "message"),
    [("cat 1 x\ndog 1 2\n", "numbers after 'cat'"), ("cat\ndog 1 2\n", "no vector|numbers after"),
     ("cat 1\ndog 1 2\n", "one dimension"), ("cat nan 1\ndog 1 2\n", "finite")],
)  # fmt: skip
def test_glove_names_a_broken_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ValueError, match=r"glove\.6B\.50d\.txt: .*(" + message + ")"):
        glove(tmp_path, text, ("cat", "dog"))
