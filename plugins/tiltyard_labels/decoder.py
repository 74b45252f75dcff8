"""The head of image-shaped codes: a neck and a stack of transposed convolutions."""

from __future__ import annotations

from itertools import pairwise

from torch import nn

from tiltyard import LabelScheme

# Side of a square code -> kernel of the first transposed convolution, whose map is then doubled four times.
FIRST_KERNEL = {64: 4, 48: 3}
WIDTHS = (64, 32, 16, 8, 1)


class DecodedScheme(LabelScheme):
    """A label scheme of codes (K, 64, 64) or (K, 48, 48), whose network ends in a decoder."""

    def head(self, features: int) -> nn.Module:
        """A decoder from ``features`` numbers (N, features) to images (N, 64, 64) or (N, 48, 48).

        It is the one of Chen et al. 2021, arXiv 2104.02226: 109,033 parameters for 64x64 (80,361 for 48x48)
        behind a neck of 66 x features + 64.
        """
        return nn.Sequential(neck(features), decoder(self.shape[0]))


def neck(features: int) -> nn.Sequential:
    """Batch normalisation, leaky ReLU and a linear layer: (N, features) to (N, 64, 1, 1)."""
    return nn.Sequential(
        nn.BatchNorm1d(features),
        nn.LeakyReLU(0.01),
        nn.Linear(features, WIDTHS[0]),
        nn.Unflatten(1, (WIDTHS[0], 1, 1)),
    )


def decoder(side: int) -> nn.Sequential:
    """Transposed convolutions from (N, 64, 1, 1) to (N, side, side), ``side`` being 64 or 48."""
    layers: list[nn.Module] = [nn.ConvTranspose2d(WIDTHS[0], WIDTHS[0], FIRST_KERNEL[side])]
    for width, narrower in pairwise(WIDTHS):
        layers += [
            nn.BatchNorm2d(width),
            nn.LeakyReLU(0.01),
            nn.ConvTranspose2d(width, narrower, 4, stride=2, padding=1),
        ]
    return nn.Sequential(*layers, nn.Flatten(1, 2))
