"""What holds for every label scheme: protocol, decisions, scale, heads, number of classes."""

from __future__ import annotations

import ast
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_type_hints

import numpy as np
import pytest
import torch
from pydantic import ConfigDict, ValidationError, create_model

import tiltyard_labels
from tiltyard import Category, Files, LabelScheme
from tiltyard_labels import label_schemes
from tiltyard_labels.codebook import rms_distance
from tiltyard_labels.decoder import DecodedScheme

NAMES = sorted(label_schemes())
LOGITS = ["category", "projected"]
CODED = [name for name in NAMES if name not in LOGITS]
Build = Callable[..., LabelScheme]


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> Build:
    """Any scheme for K classes; the files that some need are made up."""
    folder = tmp_path_factory.mktemp("codes")

    def built(name: str, classes: int = 10, **keys: Any) -> LabelScheme:
        names = tuple(f"{chr(97 + i % 26)}{i}" for i in range(classes))
        draw = np.random.RandomState(classes)
        if name == "glove":
            lines = [f"{word} {' '.join(map(str, draw.normal(size=50)))}\n" for word in names]
            (folder / f"glove{classes}.txt").write_text("".join(lines))
            keys = {"file": f"glove{classes}.txt", **keys}
        if name in {"bert", "from_file"}:
            shape = (48, 48) if name == "bert" else (3, 5)
            np.save(folder / f"{name}{classes}.npy", draw.normal(size=(classes, *shape)))
            keys = {"file": f"{name}{classes}.npy", **keys}
        return label_schemes()[name](**keys)(names, Files((folder,)))

    return built


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("classes", [2, 3, 100])
def test_any_number_of_classes(build: Build, name: str, classes: int) -> None:
    """The codebook has K different codes, the nearest of which to each code is itself."""
    scheme = build(name, classes)
    assert scheme.classes == classes
    assert len(scheme.codes.flatten(1).unique(dim=0)) == classes
    assert scheme.scores(scheme.codes).argmax(1).tolist() == list(range(classes))


@pytest.mark.parametrize("name", NAMES)
def test_building_twice_gives_the_same_codes(build: Build, name: str) -> None:
    assert torch.equal(build(name).codes, build(name).codes)


def test_building_touches_no_global_random_state(build: Build) -> None:
    import random

    before = (random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state())
    for name in NAMES:
        build(name)
    after = (random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state())
    assert before[:2] == after[:2]
    assert torch.equal(before[2], after[2])


@pytest.mark.parametrize("scale", ["published", "unit"])
@pytest.mark.parametrize("name", CODED)
def test_best_score_is_the_nearest_codeword_before_and_after_calibration(build: Build, name: str, scale: str) -> None:
    """The oracle is the mean squared distance in float64; calibration changes no decision, only the gap."""
    scheme = build(name, scale=scale)
    noise = torch.Generator().manual_seed(0)
    codes = scheme.codes.double().flatten(1)
    low, high = codes.min(), codes.max()
    drawn = torch.rand(256, codes.shape[1], generator=noise, dtype=torch.float64)
    output = (0.5 * codes[torch.arange(256) % 10] + 0.5 * (low + (high - low) * drawn)).float()
    distance = (output.double()[:, None] - codes).square().mean(2)
    best = distance.topk(2, largest=False).values
    clear = best[:, 1] - best[:, 0] > 1e-5 * best[:, 1]  # closer calls are within float32
    assert clear.sum() > 250
    output = output.view(-1, *scheme.shape)
    assert torch.equal(scheme.scores(output).argmax(1)[clear], distance.argmin(1)[clear])
    scheme.calibrate(output)
    assert torch.equal(scheme.scores(output).argmax(1)[clear], distance.argmin(1)[clear])
    top = scheme.scores(output).topk(2).values
    assert (top[:, 0] - top[:, 1]).median().item() == pytest.approx(5.0, rel=1e-3)


@pytest.mark.parametrize("name", CODED)
def test_unit_scale_makes_the_root_mean_square_distance_one(build: Build, name: str) -> None:
    """Over all pairs and cells; nothing is centred, so the codes are the published ones times a number."""
    published, unit = (build(name, scale=scale).codes.double() for scale in ("published", "unit"))
    pairs = torch.combinations(torch.arange(10))
    rms = (published[pairs[:, 0]] - published[pairs[:, 1]]).square().mean().sqrt()
    assert rms_distance(published.numpy()) == pytest.approx(rms.item())
    assert torch.allclose(unit * rms, published, rtol=1e-5, atol=1e-6)
    assert (unit[pairs[:, 0]] - unit[pairs[:, 1]]).square().mean().sqrt().item() == pytest.approx(1, rel=1e-5)


@pytest.mark.parametrize("name", CODED)
def test_unit_scale_puts_every_scheme_into_the_quadratic_zone_of_the_loss(build: Build, name: str) -> None:
    """A network that knows nothing answers the mean code: its loss is then nearly the same for all schemes."""
    scheme = build(name, scale="unit")
    mean = scheme.codes.mean(0, keepdim=True).expand_as(scheme.codes)
    loss = scheme.loss(mean, torch.arange(10)).mean().item()
    # All cells in the quadratic zone would give (K - 1) / 4K = 0.225; the linear zone takes a little off.
    assert 0.18 < loss <= 0.2251
    assert ((scheme.codes - mean).abs() < 1).float().mean() > 0.75


def test_category_is_cross_entropy_with_smoothing(build: Build) -> None:
    scheme = build("category", smoothing=0.1)
    assert isinstance(scheme, Category)
    output, y = torch.randn(5, 10, generator=torch.Generator().manual_seed(0)), torch.arange(5)
    target = 0.1 / 10 + 0.9 * torch.eye(10)[y]
    assert torch.allclose(scheme.loss(output, y), -(target * output.log_softmax(1)).sum(1))


@pytest.mark.parametrize("smoothing", [-0.1, 1.0, float("nan")])
def test_smoothing_outside_its_range_is_refused(smoothing: float) -> None:
    with pytest.raises(ValueError, match="smoothing"):
        label_schemes()["category"](smoothing=smoothing)


def parameters(module: torch.nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


@pytest.mark.parametrize(("features", "size"), [(512, 33_856), (64, 4_288)])
@pytest.mark.parametrize(
    ("name", "side", "decoder"), [("random", 64, 109_033), ("uniform", 64, 109_033), ("bert", 48, 80_361)]
)
def test_image_shaped_codes_get_the_published_decoder(
    build: Build, name: str, side: int, decoder: int, features: int, size: int
) -> None:
    """The sizes of neck and decoder are those of the released networks; 48x48 has a 3x3 first kernel."""
    scheme = build(name)
    assert isinstance(scheme, DecodedScheme)
    head = scheme.head(features)
    assert [parameters(part) for part in head.children()] == [size, decoder]
    output = head(torch.randn(3, features))
    assert output.shape == (3, side, side)
    scheme.loss(output, torch.tensor([0, 1, 2])).sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in head.parameters())


@pytest.mark.parametrize("shape", [(7,), (32, 32), (80, 80), (64, 48), (1, 64, 64)])
def test_all_other_shapes_get_one_linear_layer(build: Build, shape: tuple[int, ...]) -> None:
    head = build("random", shape=shape).head(6)
    assert [type(layer).__name__ for layer in head.children()] == ["Linear", "Unflatten"]
    assert head(torch.randn(2, 6)).shape == (2, *shape)


def test_hook_names_every_scheme_and_which_are_logits() -> None:
    drawn, computed = ["gap", "lowdim", "normal", "random"], ["composite", "shuffle", "speech", "uniform"]
    assert sorted([*LOGITS, *drawn, *computed, "bert", "from_file", "glove"]) == NAMES
    required = {"bert": {"file": "x.npy"}, "from_file": {"file": "x.npy"}}
    schemes = {name: make(**required.get(name, {})) for name, make in label_schemes().items()}
    assert [name for name, scheme in schemes.items() if scheme.category] == LOGITS


@pytest.mark.parametrize(
    ("name", "keys", "wrong"),
    [
        ("category", {"smoothing": 0.1, "neck": True}, {"smoothing": "0.1"}),
        ("projected", {"seed": 1}, {"scale": "unit"}),
        ("random", {"shape": [8, 8], "seed": 1, "scale": "unit"}, {"scale": "metric"}),
        ("lowdim", {"seed": 1}, {"seed": 2**32}),
        ("normal", {"dimension": 5}, {"dimension": 0}),
        ("gap", {"gap": 10}, {"seed": -1}),
        ("speech", {"file": "speech.npy"}, {"file": 3}),
        ("from_file", {"file": "codes.npy"}, {"fiel": "codes.npy"}),
    ],
)
def test_annotations_are_a_strict_table(name: str, keys: dict[str, Any], wrong: dict[str, Any]) -> None:
    """A strict model made of a scheme's annotations takes what TOML can say and refuses the rest."""
    make: Any = label_schemes()[name]
    hints = get_type_hints(make.__init__, include_extras=True)
    fields: dict[str, Any] = {key: (hint, None) for key, hint in hints.items() if key != "return"}
    table = create_model("Table", __config__=ConfigDict(strict=True, extra="forbid"), **fields)
    model = table.model_validate_json(json.dumps(keys))
    assert make(**{key: getattr(model, key) for key in keys})
    with pytest.raises(ValidationError):
        table.model_validate_json(json.dumps(wrong))


@pytest.mark.parametrize(
    ("name", "keys", "message"),
    [
        ("random", {"shape": ()}, "shape"),
        ("random", {"shape": (8, 0)}, "shape"),
        ("normal", {"dimension": 0}, "dimension"),
        ("gap", {"gap": -1.0}, "gap"),
        ("gap", {"gap": float("inf")}, "gap"),
    ],
)
def test_keys_out_of_range_are_refused_by_name(name: str, keys: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        label_schemes()[name](**keys)


def test_unknown_scale_is_refused_with_the_choices(build: Build) -> None:
    with pytest.raises(ValueError, match="published, unit"):
        build("random", scale="metric")


def test_imports_are_light() -> None:
    """Listing the schemes loads no image or statistics library."""
    folder = Path(tiltyard_labels.__file__).parent
    statements = [node for path in folder.glob("*.py") for node in ast.parse(path.read_text()).body]
    names = {alias.name for node in statements if isinstance(node, ast.Import) for alias in node.names}
    names |= {str(node.module) for node in statements if isinstance(node, ast.ImportFrom) and not node.level}
    roots = {name.partition(".")[0] for name in names} - sys.stdlib_module_names
    assert roots == {"numpy", "pydantic", "tiltyard", "torch"}


@pytest.mark.parametrize("name", [name for name in CODED if name not in {"bert", "from_file", "glove"}])
def test_one_class_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="at least two classes"):
        label_schemes()[name]()(("only",), Files((Path(),)))
