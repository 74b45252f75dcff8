"""What the plugin offers, and what it does not import to offer it."""

from __future__ import annotations

import inspect
import subprocess
import sys
from typing import Any

import pytest

import tiltyard_vision

HOST_KEYS = {"use", "name", "weights", "rename", "normalise", "finetune"}
FACTORIES: dict[str, Any] = {**tiltyard_vision.datasets(), **tiltyard_vision.models()}


def test_no_heavy_library_is_imported_to_list_or_build_components() -> None:
    code = (
        "import sys, tiltyard_vision as v; v.datasets()['mnist5k'](); v.datasets()['image_folder'](folder='x');"
        "v.models()['torchvision'](architecture='resnet50'); v.models()['resnet20']();"
        "print(sorted({'torchvision', 'sklearn', 'mlxtend', 'scipy', 'PIL', 'pandas'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("name", FACTORIES)
def test_keys_do_not_clash_with_those_of_the_harness(name: str) -> None:
    assert not HOST_KEYS & set(inspect.signature(FACTORIES[name]).parameters)


def test_depth_is_no_key_of_the_named_residual_networks() -> None:
    for depth in (20, 32, 44, 56, 110):
        assert list(inspect.signature(FACTORIES[f"resnet{depth}"]).parameters) == ["shortcut"]


@pytest.mark.parametrize(("name", "classes"), [("mnist5k", 10), ("cifar10", 10), ("cifar100", 100), ("svhn", 10)])
def test_number_of_classes_is_known_without_the_data(name: str, classes: int) -> None:
    assert FACTORIES[name]().classes == classes


@pytest.mark.parametrize(
    ("name", "keys", "message"),
    [
        ("resnet20", {"shortcut": "zero"}, 'shortcut = "zero" is none of pad, projection'),
        ("wrn", {"depth": 30}, "depth = 30 must be 6 n [+] 4"),
        ("wrn", {"dropout": 1.0}, "dropout = 1.0"),
        ("cifar10", {"variant": "png"}, 'variant = "png" is none of official'),
        ("image_folder", {"folder": "x", "size": 64, "resize": 32}, "resize = 32 must be at least size = 64"),
        ("image_folder", {"folder": "x", "test_fraction": 1.0}, "test_fraction = 1.0"),
    ],
)
def test_impossible_keys_are_refused_by_name(name: str, keys: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        FACTORIES[name](**keys)
