"""A classifier as studies see it that attack behind the input normalisation."""

from __future__ import annotations

from torch import Tensor

from .contracts import Classifier, Outputs


class Behind(Classifier):
    """``classifier`` as one of images that are normalised already, (x - mean) / std, and lie in no box.

    ``mean`` and ``std`` (1, C, 1, 1) are those of the network's own normalisation, which is undone before the
    classifier is asked: what is found out about a normalised image is true of the image that it stands for.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, classifier: Classifier, mean: Tensor, std: Tensor) -> None:
        super().__init__(classifier.network, classifier.scheme)
        self.classifier = classifier
        self.randomised = classifier.randomised
        self.register_buffer("mean", mean)
        self.register_buffer("std", std)

    def outputs(self, x: Tensor) -> Outputs:
        """The classifier's answer to the images that ``x`` stands for."""
        return self.classifier.outputs(self._images(x))

    def loss(self, x: Tensor, y: Tensor) -> Tensor:
        """The classifier's loss on them."""
        return self.classifier.loss(self._images(x), y)

    def raw(self, x: Tensor) -> Tensor:
        """The network's outputs for them."""
        return self.classifier.raw(self._images(x))

    def normalised(self, x: Tensor) -> Tensor:
        """Normalised images (N, C, H, W) of images in [0, 1]."""
        return (x - self.mean) / self.std

    def _images(self, x: Tensor) -> Tensor:
        return x * self.std.to(x) + self.mean.to(x)
