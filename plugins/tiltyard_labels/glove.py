"""Word vectors of the class names."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from tiltyard import Files, LabelScheme

from .codebook import Codes, Scale, label_scheme


@dataclass(frozen=True)
class Glove:
    """GloVe vectors (Pennington et al. 2014, EMNLP) of the class names.

    The scheme of Chen et al. 2021 (arXiv 2104.02226), whose vectors are those of the 6B.50d file. ``file`` is
    a GloVe text file: a word and its numbers on each line. Of a name of several words the first counts, in
    lower case: "pickup_truck" is "pickup".
    """

    file: str = "glove.6B.50d.txt"
    scale: Scale = "published"

    category: ClassVar[bool] = False

    def __call__(self, classes: tuple[str, ...], files: Files) -> LabelScheme:
        """Codes (K, d), d being the file's dimension.

        Raises ``MissingFile``, and ``ValueError`` where a word is missing or two names share their first one.
        """
        words = [first_word(name) for name in classes]
        codes = vectors(files.find(self.file), words, self.file)
        return label_scheme(codes, self.scale, classes, self.file)


def first_word(name: str) -> str:
    """What a class is looked up by: its name up to a space, comma, slash or underscore, in lower case."""
    return re.split(r"[\s,/_]", name.strip().lower(), maxsplit=1)[0]


def vectors(path: Path, words: list[str], source: str) -> Codes:
    """The vectors (len(words), d) of ``words``; ``ValueError`` where one is missing or not d numbers."""
    found: dict[str, Codes] = {}
    wanted = set(words)
    with path.open(encoding="utf-8", errors="replace") as lines:
        for line in lines:
            word, _, numbers = line.partition(" ")
            if word in wanted:
                found[word] = _numbers(numbers, word, source)
                if len(found) == len(wanted):
                    break
    missing = [word for word in words if word not in found]
    if missing:
        raise ValueError(
            f"{source}: no vector for {', '.join(map(repr, missing))}; "
            "expected a line for the first word of every class name"
        )
    sizes = {word: vector.size for word, vector in found.items()}
    if len(set(sizes.values())) > 1:
        raise ValueError(f"{source}: expected vectors of one dimension, not {sizes}")
    return np.stack([found[word] for word in words])


def _numbers(text: str, word: str, source: str) -> Codes:
    try:
        vector = np.array(text.split(), dtype=np.float64)
    except ValueError as error:
        raise ValueError(f"{source}: expected numbers after {word!r}: {error}") from error
    if not vector.size:
        raise ValueError(f"{source}: expected numbers after {word!r}, found none")
    return vector
