"""Label schemes: a codebook with one target per class, its loss, and the scores it gives."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

# Where the median gap between the two best scores is put: large enough that the decision is clear, small
# enough that the softmax of the scores keeps a float32 gradient.
SCORE_GAP = 5.0


class LabelScheme(nn.Module):
    """A codebook ``codes`` (K, *shape): a network is trained towards the code of the class.

    The class is the nearest codeword. argmin_c |f - c|^2 = argmax_c 2<f, c> - |c|^2, so the scheme is a frozen
    last layer and the model an ordinary classifier with K scores, open to every attack. The codebooks and the
    smooth-L1 loss are those of Chen et al. 2021, "Beyond Categorical Label Representations for Image
    Classification", arXiv 2104.02226.
    """

    codes: Tensor
    temperature: Tensor

    def __init__(self, codes: Tensor) -> None:
        super().__init__()
        self.register_buffer("codes", codes.float())
        self.register_buffer("temperature", torch.ones(()))

    @property
    def classes(self) -> int:
        """Number of classes K."""
        return len(self.codes)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one code, which is the shape of the network's output for one image."""
        return tuple(self.codes.shape[1:])

    def head(self, features: int) -> nn.Module:
        """A layer from ``features`` numbers to one output of the scheme's shape."""
        return nn.Sequential(nn.Linear(features, math.prod(self.shape)), nn.Unflatten(1, self.shape))

    def loss(self, output: Tensor, y: Tensor) -> Tensor:
        """Smooth-L1 distance (N,) of outputs (N, *shape) to the codes of ``y``, averaged over a code's cells."""
        return F.smooth_l1_loss(output, self.codes[y], reduction="none").flatten(1).mean(1)

    def scores(self, output: Tensor) -> Tensor:
        """Scores (N, K) of outputs (N, *shape): -mean squared distance to each code, less what all share."""
        codes = self.codes.flatten(1)
        # Seen from the mean code the decisions are the same, and float32 tells closer ones apart.
        middle = codes.mean(0)
        codes = codes - middle
        raw = 2 * (output.flatten(1) - middle) @ codes.T - codes.square().sum(1)
        return raw / (codes.shape[1] * self.temperature)

    @torch.no_grad()
    def calibrate(self, output: Tensor) -> None:
        """Scale the scores so that the median gap between the two best is ``SCORE_GAP`` on ``output``.

        No decision changes. Unscaled code scores saturate the softmax, and an attack on it then sees no
        gradient where there is one.
        """
        best = self.scores(output).topk(2, dim=1).values
        gap = (best[:, 0] - best[:, 1]).median()
        if bool(gap > 0) and bool(gap.isfinite()):
            self.temperature *= gap / SCORE_GAP


class Category(LabelScheme):
    """The one-hot special case: K outputs are K logits, trained with cross-entropy."""

    def __init__(self, classes: int, smoothing: float = 0.0) -> None:
        super().__init__(torch.eye(classes))
        self.smoothing = smoothing

    def head(self, features: int) -> nn.Module:
        """One linear layer."""
        return nn.Linear(features, self.classes)

    def loss(self, output: Tensor, y: Tensor) -> Tensor:
        """Cross-entropy (N,), with label smoothing (Szegedy et al. 2016, arXiv 1512.00567) where it is set."""
        return F.cross_entropy(output, y, reduction="none", label_smoothing=self.smoothing)

    def scores(self, output: Tensor) -> Tensor:
        """The logits themselves."""
        return output

    def calibrate(self, output: Tensor) -> None:
        """Nothing: logits are attacked as they are."""
