"""Speech and shuffle: from a user's spectrograms, and the synthesised stand-in."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from tiltyard import Files
from tiltyard_labels import label_schemes
from tiltyard_labels.voice import mel_bands, spectrogram

CIFAR10 = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
HERE = Files((Path(),))


def test_a_file_is_used_as_it_is(tmp_path: Path) -> None:
    array = np.random.RandomState(0).uniform(-80, 0, (10, 64, 64)).astype(np.float32)
    np.save(tmp_path / "speech.npy", array)
    scheme = label_schemes()["speech"](file="speech.npy")(CIFAR10, Files((tmp_path,)))
    assert torch.equal(scheme.codes, torch.from_numpy(array))


def test_another_shape_is_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "speech.npy", np.zeros((10, 64, 63)))
    for name in ("speech", "shuffle"):
        with pytest.raises(ValueError, match=r"speech\.npy: expected.*\(10, 64, 64\).*not \(10, 64, 63\)"):
            label_schemes()[name](file="speech.npy")(CIFAR10, Files((tmp_path,)))


def test_shuffle_permutes_the_columns_with_the_published_permutations(tmp_path: Path) -> None:
    """One legacy stream with seed 8, one permutation a class; each column moves as a whole."""
    array = np.random.RandomState(0).uniform(-80, 0, (10, 64, 64)).astype(np.float32)
    np.save(tmp_path / "speech.npy", array)
    codes = label_schemes()["shuffle"](file="speech.npy")(CIFAR10, Files((tmp_path,))).codes.numpy()
    stream = np.random.RandomState(8)
    for shuffled, original in zip(codes, array, strict=True):
        order = stream.permutation(64)
        assert (order != np.arange(64)).any()
        assert np.array_equal(shuffled, original[:, order])


def test_a_remark_says_that_the_codes_are_the_stand_in() -> None:
    for name in ("speech", "shuffle"):
        assert label_schemes()[name]().remark == "synthesised"
        assert label_schemes()[name](file="speech.npy").remark == ""


@pytest.mark.parametrize("name", ["speech", "shuffle"])
def test_stand_in_has_the_range_and_about_the_geometry_of_the_published_codes(name: str) -> None:
    """Published: -46.4 +- 19.5 dB, mean distance of two codes 16.2 (speech) and 23.6 (shuffle)."""
    codes = label_schemes()[name]()(CIFAR10, HERE).codes.double()
    assert codes.flatten(1).amax(1).eq(0).all()
    assert codes.min() >= -80
    assert codes.mean().item() == pytest.approx(-46.4, abs=5)
    assert codes.std().item() == pytest.approx(19.5, abs=5)
    pairs = torch.combinations(torch.arange(10))
    distances = (codes[pairs[:, 0]] - codes[pairs[:, 1]]).flatten(1).square().mean(1).sqrt()
    assert distances.min() > 8
    assert 12 < distances.mean() < 28


def test_stand_in_is_like_audio() -> None:
    """Neighbouring frames resemble each other, which shuffling destroys; low bands are louder than high ones."""
    speech, shuffled = (label_schemes()[name]()(CIFAR10, HERE).codes for name in ("speech", "shuffle"))
    change = [codes.diff(dim=2).abs().mean().item() for codes in (speech, shuffled)]
    assert change[0] < 0.5 * change[1]
    assert speech[:, :32].mean() > speech[:, 32:].mean() + 5


def test_stand_in_belongs_to_the_name_alone() -> None:
    """The order and number of the classes do not matter."""
    forward = label_schemes()["speech"]()(CIFAR10, HERE).codes
    backward = label_schemes()["speech"]()(CIFAR10[::-1], HERE).codes
    assert torch.equal(forward, backward.flip(0))


def test_stand_in_takes_any_names() -> None:
    """Anagrams, one letter, digits, other scripts, capitals, an empty name: all distinct and in range."""
    names = ("dog", "god", "Dog", "a", "7", "0 - zero", "", "кот", "猫", "x" * 200)
    codes = np.stack([spectrogram(name) for name in names])
    assert np.isfinite(codes).all()
    assert (codes.max((1, 2)) == 0).all()
    assert codes.min() >= -80
    distances = [np.sqrt(((a - b) ** 2).mean()) for i, a in enumerate(codes) for b in codes[:i]]
    assert min(distances) > 1


def test_two_classes_of_one_name_are_refused() -> None:
    with pytest.raises(ValueError, match=r"labels\.speech: .* 0 \('cat'\) and 2 \('cat'\) share one"):
        label_schemes()["speech"]()(("cat", "dog", "cat"), HERE)


def test_mel_bands_follow_the_formula() -> None:
    """64 bands from 0 to 8,000 Hz, of equal width in mel."""
    centre, width = mel_bands()
    edges = np.append(centre - width / 2, centre[-1] + width[-1] / 2)
    assert edges[0] == pytest.approx(0, abs=1e-9)
    assert edges[-1] == pytest.approx(8000)
    assert np.allclose(np.diff(2595 * np.log10(1 + edges / 700)), 2840.0230 / 64)
