"""Randomised smoothing: many noisy copies of an image vote on its class."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from pydantic import PositiveInt
from torch import Tensor, nn

from tiltyard import Classifier, LabelScheme, Outputs, Radius, Setting, Trainer


@dataclass(frozen=True)
class Noisy:
    """The label scheme's own loss (N,) of images with Gaussian noise of deviation ``sigma``, drawn anew each time."""

    sigma: float

    def __call__(self, classifier: Classifier, x: Tensor, y: Tensor) -> Tensor:
        """Losses (N,) of images (N, C, H, W)."""
        return classifier.loss(x + self.sigma * torch.randn_like(x), y)


class Smoothed(Classifier):
    """The class that most of ``votes`` noisy copies of an image are given; draws from torch's global generator.

    The score of a class is the logarithm of its share of the votes, to which the mean of the copies' softmax
    counts as one vote more: that decides ties, orders classes without a vote, and overturns no majority. A
    vote has no gradient; the one that attackers get is that of the logarithm of the mean softmax, which Salman
    et al. 2019, arXiv 1906.04584, attack. One call of ``outputs`` is one call of the network on votes x N images.
    """

    randomised = True

    def __init__(self, network: nn.Module, scheme: LabelScheme, sigma: float, votes: int) -> None:
        super().__init__(network, scheme)
        self.sigma = sigma
        self.votes = votes

    def outputs(self, x: Tensor) -> Outputs:
        """Scores (N, K) of images (N, C, H, W)."""
        scores = self.scheme.scores(self.network(self._copies(x)))
        return Outputs(tally(scores.unflatten(0, (self.votes, len(x)))))

    def loss(self, x: Tensor, y: Tensor) -> Tensor:
        """The label scheme's own loss (N,), averaged over as many noisy copies as vote."""
        losses: Tensor = self.scheme.loss(self.network(self._copies(x)), y.repeat(self.votes))
        return losses.view(self.votes, len(x)).mean(0)

    def _copies(self, x: Tensor) -> Tensor:
        copies = x.repeat(self.votes, 1, 1, 1)
        return copies + self.sigma * torch.randn_like(copies)


def tally(scores: Tensor) -> Tensor:
    """Log shares (N, K) of the votes that scores (V, N, K) cast, with the gradient of the log mean softmax."""
    votes, _, classes = scores.shape
    soft = scores.log_softmax(2).logsumexp(0) - math.log(votes)
    cast = F.one_hot(scores.argmax(2), classes).sum(0).to(soft.dtype)
    share = (torch.logaddexp(cast.log(), soft) - math.log(votes + 1)).detach()
    # Saturated copies may tie exactly: the winner is lifted by one rounding, so that the margin agrees with argmax.
    highest, winner = share.max(1, keepdim=True)
    share = share.scatter(1, winner, highest.nextafter(highest.new_tensor(math.inf)))
    return share + (soft - soft.detach())


@dataclass(frozen=True)
class Smoothing:
    """A vote among copies of the image with Gaussian noise, of a network trained with such noise.

    Cohen, Rosenfeld & Kolter 2019, "Certified Adversarial Robustness via Randomized Smoothing", ICML,
    arXiv 1902.02918: their prediction without its abstention, and no certificate. ``sigma`` is the noise's
    deviation (a difference of pixel values, images being in [0, 1]; noisy copies are not clipped), ``votes`` the
    number of copies. With ``train_noise = false`` the network is the undefended one.
    """

    sigma: Radius = 0.25
    votes: PositiveInt = 16
    train_noise: bool = True

    def __post_init__(self) -> None:
        if self.sigma <= 0:
            raise ValueError(f"sigma = {self.sigma} must be positive: without noise all votes agree")

    @property
    def fits(self) -> int:
        """Networks of its own that it trains."""
        return int(self.train_noise)

    @property
    def views(self) -> int:
        """Images that go through the network for one."""
        return self.votes

    def refuse(self, setting: Setting) -> str | None:
        """Why a setting leaves nothing to train, or None."""
        if self.train_noise and not setting.trained:
            return "smoothing trains with noise, and the weights are given: train_noise = false takes them as they are"
        return None

    def __call__(self, train: Trainer) -> Classifier:
        """The smoothed classifier."""
        plain = train(Noisy(self.sigma), key=f"gaussian noise, sigma {self.sigma}") if self.train_noise else train()
        return Smoothed(plain.network, plain.scheme, self.sigma, self.votes).eval()
