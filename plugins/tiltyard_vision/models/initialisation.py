"""How convolutions start."""

from __future__ import annotations

from torch import nn


def he_normal(network: nn.Module) -> None:
    """Convolutions drawn from N(0, 2 / (kernel area x output channels)), their biases 0.

    The fan-out form of He et al. 2015, "Delving Deep into Rectifiers", arXiv 1502.01852. Everything else
    keeps torch's initial values, which for batch normalisation are 1 and 0.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
