"""Networks are laid out channels last for their training where that changes nothing."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from tiltyard.training.layout import lay_out, restore


class Viewing(nn.Module):
    """Wants its maps in the usual order: ``view`` refuses any other."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x).view(len(x), -1)


class Peeking(Viewing):
    """Reads its maps in the order in which they lie."""

    def forward(self, x: Tensor) -> Tensor:
        maps: Tensor = self.conv(x)
        return maps.as_strided((len(x), maps[0].numel()), (maps[0].numel(), 1))


def _layout(network: nn.Module) -> set[bool]:
    return {p.is_contiguous(memory_format=torch.channels_last) for p in network.parameters() if p.ndim == 4}


@pytest.fixture
def images() -> Tensor:
    return torch.rand(4, 3, 8, 8, generator=torch.Generator().manual_seed(0))


def test_an_ordinary_network_is_laid_out_and_back(images: Tensor) -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(144, 5))
    asked = network.eval()(images)
    lay_out(network, images)
    assert _layout(network) == {True}
    torch.testing.assert_close(network(images), asked)
    restore(network)
    assert _layout(network) == {False}
    torch.testing.assert_close(network(images), asked, rtol=0, atol=0)


@pytest.mark.parametrize("kind", [Viewing, Peeking])
def test_a_network_that_depends_on_the_order_of_its_maps_keeps_it(kind: type[nn.Module], images: Tensor) -> None:
    network = kind()
    asked = network(images)
    lay_out(network, images)
    assert _layout(network) == {False}
    torch.testing.assert_close(network(images), asked)
