"""Mistakes in what the user gave, collected so that all of them are told at once."""

from __future__ import annotations

import difflib
import errno
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, order=True)
class Problem:
    """One mistake: where it stands, and what to do about it."""

    file: str
    line: int
    where: str
    message: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}: " if self.line else f"{self.file}: " if self.file else ""
        return f"{place}{self.where}: {self.message}" if self.where else f"{place}{self.message}"


class UserError(Exception):
    """Something only the user can put right; the command line prints it without a traceback and exits with 2."""


class ConfigError(UserError):
    """The mistakes of a benchmark file, sorted by file and line."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = sorted(set(problems))
        super().__init__("\n".join(map(str, self.problems)))


def suggest(word: str, choices: Iterable[str]) -> str:
    """A clause that names the nearest choice, if one is near, and all of them."""
    choices = sorted(choices)
    near = difflib.get_close_matches(word, choices, n=1)
    hint = f'; did you mean "{near[0]}"?' if near else ""
    return f"{hint} (choices: {', '.join(choices) or 'none'})"


def refused_by_disk(error: BaseException) -> bool:
    """Whether a disk said no: full, over quota, read-only, forbidden or broken. The user's to put right."""
    no = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EIO}
    return isinstance(error, OSError) and error.errno in no
