"""A stand-in for recorded speech: an audio-like mel spectrogram made from the letters of a name."""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

from .codebook import Codes

BANDS = 64
FRAMES = 64
FLOOR = -80.0
HIGHEST = 8000.0
FORMANT_POWERS = np.array([1.0, 0.1, 0.02])
FORMANT_WIDTHS = np.array([60.0, 90.0, 120.0])


def spectrogram(name: str) -> Codes:
    """Mel spectrogram (64 bands, 64 frames) in [-80, 0] dB of a made-up utterance of ``name``.

    Every letter is a sound with three formants, a noise band, a share of voice and a loudness, all hashed
    from the letter; sounds glide into each other under a falling pitch. It is a function of ``name`` alone.
    """
    hertz, width = mel_bands()
    sounds = np.stack([sound(letter) for letter in name.lower() or " "])
    centres = (np.arange(len(sounds)) + 0.5) / len(sounds)
    time = (np.arange(FRAMES) + 0.5) / FRAMES
    tracks = np.stack([np.interp(time, centres, track) for track in sounds.T])
    formants, (hiss, voice, loudness) = tracks[:3], tracks[3:]
    pitch = 150 - 50 * time
    power = voice * voiced(hertz, width, formants, pitch) + 0.003 * (1 - voice) * noisy(hertz, hiss)
    power *= 10 ** (loudness / 10) * np.minimum(1, 12 * time) * np.minimum(1, 6 * (1 - time))
    grain = stream(f"grain of {name}").exponential(size=power.shape)
    return decibels(power * (0.5 + 0.5 * grain) + 1e-8 * grain)


def mel_bands() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Centres and widths in hertz (64, 1) of bands equally spaced in mel (2595 log10(1 + f / 700))."""
    top = 2595 * np.log10(1 + HIGHEST / 700)
    edges = 700 * (10 ** (np.linspace(0, top, BANDS + 1) / 2595) - 1)
    return ((edges[1:] + edges[:-1]) / 2)[:, None], np.diff(edges)[:, None]


def sound(letter: str) -> NDArray[np.float64]:
    """Three formants and a noise centre in hertz, share of voice, and loudness in dB, of one letter."""
    draw = stream(f"sound of {letter}").uniform
    formants = draw([250, 900, 2500], [850, 2400, 3600])
    return np.array([*formants, draw(1500, 7000), draw(), draw(-45, 0)])


def voiced(
    hertz: NDArray[np.float64],
    width: NDArray[np.float64],
    formants: NDArray[np.float64],
    pitch: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Power (64, 64) of resonances at ``formants`` (3, 64), rippled by the harmonics of ``pitch`` (64,)."""
    resonances = sum(
        power / (1 + ((hertz - centre) / np.hypot(spread, width)) ** 2) ** 2
        for power, spread, centre in zip(FORMANT_POWERS, FORMANT_WIDTHS, formants, strict=True)
    )
    ripple = np.exp(-((width / pitch) ** 2)) * np.cos(2 * np.pi * hertz / pitch)
    return np.asarray(resonances * (1 + 0.9 * ripple))


def noisy(hertz: NDArray[np.float64], centre: NDArray[np.float64]) -> NDArray[np.float64]:
    """Power (64, 64) of a band of noise around ``centre`` (64,)."""
    return np.exp(-0.5 * ((hertz - centre) / (0.25 * centre)) ** 2)


def decibels(power: NDArray[np.float64]) -> Codes:
    """Power relative to its maximum, in dB, not below -80."""
    levels: Codes = np.maximum(10 * np.log10(power / power.max()), FLOOR)
    return levels


def stream(text: str) -> np.random.RandomState:
    """Random numbers that belong to ``text``."""
    return np.random.RandomState(int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "little"))
