"""Controls: the head of 64x64 codes without their codebook; and what decoding costs, counted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from tiltyard import Category, Files, LabelScheme
from tiltyard_labels import label_schemes
from tiltyard_vision import models

TEN = tuple("abcdefghij")


def scheme(name: str, classes: tuple[str, ...] = TEN, **keys: Any) -> LabelScheme:
    made: LabelScheme = label_schemes()[name](**keys)(classes, Files((Path(),)))
    return made


def parameters(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


@pytest.mark.parametrize(("features", "neck"), [(64, 4_288), (512, 33_856)])
def test_controls_have_the_parameters_of_the_heads_they_control(features: int, neck: int) -> None:
    """The projection is not trained, and is the only thing that `projected` has besides the head of `random`."""
    projected, random = scheme("projected").head(features), scheme("random").head(features)
    assert [parameters(part) for part in projected.children()] == [neck, 109_033, 0]
    assert parameters(projected) == parameters(random)
    assert [parameters(part) for part in scheme("category", neck=True).head(features).children()] == [neck, 0, 650]


@pytest.mark.parametrize(
    ("network", "keys", "plain", "neck"),
    [("resnet32", {"shortcut": "projection"}, 466_906, 4_288), ("vgg19", {}, 20_040_522, 33_856)],
)
def test_published_networks_have_the_published_sizes(network: str, keys: dict[str, Any], plain: int, neck: int) -> None:
    with torch.device("meta"):
        sizes = {
            name: parameters(models()[network](**keys)((3, 32, 32), made.head))
            for name, made in {
                "category": scheme("category"),
                "neck": scheme("category", neck=True),
            }.items()
        }
    features = 64 if network == "resnet32" else 512
    assert sizes["category"] == plain
    assert sizes["neck"] == plain - (10 * features + 10) + neck + 650


@pytest.mark.parametrize("control", [scheme("projected"), scheme("category", neck=True)])
def test_controls_are_category_labels_that_train(control: LabelScheme) -> None:
    """Cross-entropy on K logits, with a gradient for every parameter, and the scores are the logits."""
    assert isinstance(control, Category)
    head, y = control.head(6), torch.tensor([0, 3, 9, 3])
    logits = head(torch.randn(4, 6))
    assert logits.shape == (4, 10)
    assert torch.equal(control.scores(logits), logits)
    assert torch.allclose(control.loss(logits, y), F.cross_entropy(logits, y, reduction="none"))
    control.loss(logits, y).sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in head.parameters())


def test_the_projection_decides_as_the_codes_of_random_do() -> None:
    """Rows are the centred codes of the same seed at length 1; smoothing is not lost on the way either."""
    codes = scheme("random", seed=7).codes.double().flatten(1)
    centred = codes - codes.mean(0)
    rows = scheme("projected", seed=7).head(6)[2].rows
    assert torch.allclose(rows.double(), centred / centred.norm(dim=1, keepdim=True), atol=1e-7)
    images = torch.randn(5, 64, 64)
    projection = scheme("projected", seed=7).head(6)[2]
    assert torch.allclose(projection(images), torch.einsum("nd,kd->nk", images.flatten(1), rows), atol=1e-5)
    assert scheme("category", neck=True, smoothing=0.1).smoothing == 0.1


def test_two_networks_of_one_scheme_share_the_projection_whatever_the_global_seed() -> None:
    control = scheme("projected")
    torch.manual_seed(1)
    one = control.head(6)[2].rows
    torch.manual_seed(2)
    assert torch.equal(one, control.head(6)[2].rows)


class Counting(TorchDispatchMode):
    """The operations that are called, and the size of the largest tensor that any of them makes."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[str] = []
        self.largest = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        self.calls.append(func.overloadpacket.__name__)
        self.largest = max(self.largest, made.numel() if isinstance(made, torch.Tensor) else 0)
        return made


@pytest.mark.parametrize("name", ["random", "lowdim", "uniform", "composite", "normal"])
@pytest.mark.parametrize("images", [1, 64])
def test_decoding_a_codebook_is_one_matrix_product(name: str, images: int) -> None:
    """No loop over classes and no (N, K, D) differences: one product, and nothing larger than outputs and codes."""
    made = scheme(name)
    output = torch.randn(images, *made.shape)
    with Counting() as counted:
        made.scores(output)
    assert [call for call in counted.calls if call in {"mm", "addmm", "bmm", "baddbmm", "mv", "dot"}] == ["mm"]
    assert counted.largest <= max(output.numel(), made.codes.numel())
