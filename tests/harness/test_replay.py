"""Training passes that are replays of a recording give what the network gives, or there is no recording."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from tiltyard.training.replay import replayed

COUNT = 16
cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device: there are no CUDA graphs to record")


class Waits(nn.Module):
    """Looks at a value in each pass, as no recording can."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(192, 10)

    def forward(self, x: Tensor) -> Tensor:
        output: Tensor = self.linear(x.flatten(1))
        return output * 2 if float(x.mean()) > 0.5 else output


class Counts(nn.Module):
    """Does another thing in each pass without asking the device."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(192, 10)
        self.passes = 0

    def forward(self, x: Tensor) -> Tensor:
        self.passes += 1
        output: Tensor = self.passes * self.linear(x.flatten(1))
        return output


def _network() -> nn.Module:
    torch.manual_seed(0)
    conv = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Dropout(0.3), nn.Flatten())
    return nn.Sequential(nn.Identity(), nn.Sequential(conv, nn.Linear(288, 10)))


def _batches(device: str, count: int = COUNT) -> Tensor:
    return torch.rand(6, count, 3, 8, 8, generator=torch.Generator().manual_seed(1)).to(device)


def _trained(network: nn.Module, batches: Tensor, amp: bool) -> dict[str, Tensor]:
    """The state after a step on each batch, a shorter one and a pass in eval mode among them."""
    optimiser = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9)
    torch.manual_seed(3)
    for step, x in enumerate(batches):
        network.train()
        optimiser.zero_grad(set_to_none=True)
        with torch.autocast("cuda", torch.bfloat16, enabled=amp):
            output = network(x[: COUNT // 2] if step == 2 else x)
        output.float().square().mean().backward()
        optimiser.step()
        network.eval()
        with torch.no_grad():
            network(x)
    return network.state_dict()


def test_off_cuda_nothing_is_recorded_and_nothing_changes() -> None:
    network, (first, second, *_) = _network(), _batches("cpu")
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    with replayed(network, first, second, amp=False) as recorded:
        assert not recorded
    torch.testing.assert_close(network.state_dict(), before, rtol=0, atol=0)
    assert "forward" not in vars(network)


@cuda
@pytest.mark.parametrize("amp", [False, True])
def test_training_by_replays_is_training(amp: bool) -> None:
    batches = _batches("cuda")
    wanted = _trained(_network().cuda(), batches, amp)
    network = _network().cuda()
    state = torch.cuda.get_rng_state()
    with replayed(network, batches[0], batches[1], amp) as recorded:
        assert recorded
        assert torch.equal(torch.cuda.get_rng_state(), state)
        found = _trained(network, batches, amp)
    torch.testing.assert_close(found, wanted, rtol=1e-2, atol=1e-3)
    assert "forward" not in vars(network)


@cuda
@pytest.mark.parametrize("kind", [Waits, Counts])
def test_a_network_that_cannot_be_recorded_is_trained_as_it_is(kind: type[nn.Module]) -> None:
    torch.manual_seed(0)
    network = kind().cuda()
    first, second, *_ = _batches("cuda")
    with replayed(network, first, second, amp=False) as recorded:
        assert not recorded
        network(second).square().mean().backward()
    with replayed(_network().cuda(), first, second, amp=False) as recorded:
        assert recorded  # a failed recording leaves the device as it was
