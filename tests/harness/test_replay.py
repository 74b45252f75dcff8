"""A recorded gradient is the gradient, or there is no recording."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from tiltyard.training.replay import Gradient, recorded

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


def _network(device: str) -> nn.Module:
    torch.manual_seed(0)
    conv = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Dropout(0.3), nn.Flatten())
    return nn.Sequential(conv, nn.Linear(288, 10)).to(device)


def _batches(device: str) -> list[tuple[Tensor, Tensor]]:
    generator = torch.Generator().manual_seed(1)
    x = torch.rand(6, COUNT, 3, 8, 8, generator=generator).to(device)
    y = torch.randint(0, 10, (6, COUNT), generator=generator).to(device)
    return list(zip(x, y, strict=True))


def _gradient(network: nn.Module, amp: bool = False) -> Gradient:
    def gradient(x: Tensor, y: Tensor) -> Tensor:
        network.zero_grad(set_to_none=True)
        with torch.autocast(x.device.type, torch.bfloat16, enabled=amp):
            loss = nn.functional.cross_entropy(network(x), y).float()
        loss.backward()
        return loss.detach()

    return gradient


def _recorded(network: nn.Module, gradient: Gradient, device: str = "cuda") -> Gradient:
    (x, y), (other, _), *_ = _batches(device)
    return recorded(network, gradient, x, y, other)


def _trained(network: nn.Module, gradient: Gradient) -> list[Tensor]:
    """Losses and final weights of a step on each batch, a shorter one and a pass in eval mode among them."""
    optimiser = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9)
    torch.manual_seed(3)
    losses = []
    for step, (x, y) in enumerate(_batches("cuda")):
        losses.append(gradient(x[:7], y[:7]) if step == 2 else gradient(x, y))
        optimiser.step()
        network.eval()
        with torch.no_grad():
            network(x)
        network.train()
    return [torch.stack(losses), *network.state_dict().values()]


def test_off_cuda_nothing_is_recorded_and_nothing_changes() -> None:
    network = _network("cpu")
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    gradient = _gradient(network)
    assert _recorded(network, gradient, "cpu") is gradient
    torch.testing.assert_close(network.state_dict(), before, rtol=0, atol=0)


@cuda
@pytest.mark.parametrize("amp", [False, True])
def test_training_by_a_recording_is_training(amp: bool) -> None:
    plain, network = _network("cuda"), _network("cuda")
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    random = torch.cuda.get_rng_state()
    gradient = _gradient(network, amp)
    replay = _recorded(network, gradient)
    assert replay is not gradient
    torch.testing.assert_close(network.state_dict(), before, rtol=0, atol=0)
    assert torch.equal(torch.cuda.get_rng_state(), random)
    torch.testing.assert_close(
        _trained(network, replay), _trained(plain, _gradient(plain, amp)), rtol=1e-2 if amp else 1e-4, atol=1e-4
    )


@cuda
@pytest.mark.parametrize("kind", [Waits, Counts])
def test_a_network_that_cannot_be_recorded_is_trained_as_it_is(kind: type[nn.Module]) -> None:
    torch.manual_seed(0)
    network = kind().cuda()
    gradient = _gradient(network)
    assert _recorded(network, gradient) is gradient
    after = _network("cuda")
    assert _recorded(after, _gradient(after)) is not gradient  # a recording that broke off leaves the device as it was
