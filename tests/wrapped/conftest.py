"""A linear victim, and a call as the harness makes it."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from wrapped_victim import CLASSES, SHAPE, Linear, Strike

from tiltyard import Attack, Batch, Category, Classifier, Threat, Victim, distance


@pytest.fixture(scope="session")
def linear() -> Linear:
    generator = torch.Generator().manual_seed(5)
    network = nn.Sequential(nn.Flatten(), nn.Linear(64, CLASSES))
    with torch.no_grad():
        network[1].weight.copy_(torch.randn(CLASSES, 64, generator=generator))
        network[1].bias.copy_(-network[1].weight.sum(1) / 2)
    classifier = Classifier(network, Category(CLASSES)).eval().requires_grad_(False)
    x = 0.4 + 0.2 * torch.rand(64, *SHAPE, generator=generator)
    best = classifier(x).topk(2).values
    x = x[(best[:, 0] - best[:, 1] > 0.2) & (best[:, 0] - best[:, 1] < 0.8)][:6]
    return Linear(classifier, x, classifier(x).argmax(1))


@pytest.fixture
def strike(capfd: pytest.CaptureFixture[str]) -> Strike:
    """Calls an attack as the harness does, and checks what every call must keep to."""

    def struck(
        attack: Attack,
        classifier: Classifier,
        x: Tensor,
        y: Tensor,
        threat: Threat,
        target: Tensor | None = None,
        seed: int = 3,
    ) -> Tensor:
        batch = Batch(x, y, 100 + torch.arange(len(x)), target, seed=seed, key="cell")
        victim, before = Victim(classifier, batch), x.clone()
        modes = [module.training for module in classifier.modules()]
        images = attack(victim, batch, threat)
        assert images.shape == x.shape
        assert images.dtype == torch.float32
        assert not images.requires_grad
        assert images.isfinite().all()
        assert images.min() >= 0
        assert images.max() <= 1
        assert (distance(images - x, threat.norm) <= threat.eps * (1 + 1e-5) + 1e-6).all()
        assert torch.equal(x, before)
        assert modes == [module.training for module in classifier.modules()]
        assert all(parameter.grad is None for parameter in classifier.parameters())
        forwards, backwards = attack.passes(classifier.classes)  # type: ignore[attr-defined]
        assert 0 < victim.forwards.max() <= forwards
        assert victim.backwards.max() <= backwards
        assert (getattr(attack, "access", "gradients") == "gradients") == bool(victim.backwards.any())
        assert capfd.readouterr() == ("", "")
        return images

    return struck
