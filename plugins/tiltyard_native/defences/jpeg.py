"""JPEG compression of the image before it is classified."""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
import torch
from pydantic import PositiveInt
from torch import Tensor, nn

from tiltyard import Classifier, Incompatible, Trainer


def compressed(x: Tensor, quality: int) -> Tensor:
    """Images (N, C, H, W) of one or three channels in [0, 1] through libjpeg and back, one by one, on the CPU.

    Values are rounded to 8 bits first. Colours are kept at half the resolution (4:2:0), as JPEG files mostly do.
    """
    pixels = (x.detach().clamp(0, 1) * 255).round().to("cpu", torch.uint8).permute(0, 2, 3, 1).numpy()
    images = np.stack([_through(image, quality) for image in pixels]) if len(pixels) else pixels
    return torch.from_numpy(images).permute(0, 3, 1, 2).to(x) / 255


def _through(
    pixels: np.ndarray[tuple[int, ...], np.dtype[np.uint8]], quality: int
) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """One image (H, W, C) through the codec."""
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(pixels.squeeze(2) if pixels.shape[2] == 1 else pixels).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file)).reshape(pixels.shape)


class Compression(nn.Module):
    """JPEG as a layer, whose gradient passes as if nothing were compressed.

    The straight-through estimator is the backward pass that Athalye, Carlini & Wagner 2018, "Obfuscated
    Gradients Give a False Sense of Security", arXiv 1802.00420, attack input transformations with (BPDA).
    """

    def __init__(self, quality: int) -> None:
        super().__init__()
        self.quality = quality

    def forward(self, x: Tensor) -> Tensor:
        """Compressed images."""
        return compressed(x, self.quality) + (x - x.detach())


@dataclass(frozen=True)
class JPEG:
    """The undefended network on images that went through JPEG, ``quality`` 1 (coarsest) to 95.

    Guo et al. 2018, "Countering Adversarial Images using Input Transformations", ICLR, arXiv 1711.00117, who use
    75; Das et al. 2018, "SHIELD", KDD, arXiv 1802.06816. The codec runs on the CPU: images on another device
    are copied there and back in every call.
    """

    quality: PositiveInt = 75

    def __post_init__(self) -> None:
        if self.quality > 95:
            raise ValueError(f"quality = {self.quality} is beyond JPEG's scale; choose 1 to 95")

    def __call__(self, train: Trainer) -> Classifier:
        """The wrapped classifier; raises ``Incompatible`` where images have neither one channel nor three."""
        channels = train.held_out[0].shape[1]
        if channels not in (1, 3):
            raise Incompatible(f"JPEG knows images of 1 or 3 channels, and these have {channels}")
        plain = train()
        return Classifier(nn.Sequential(Compression(self.quality), plain.network), plain.scheme).eval()
