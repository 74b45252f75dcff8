"""Many attacks checked side by side, in processes of one thread each: eight samples of 36 pixels fill no more."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import cache, partial
from itertools import starmap
from pathlib import Path

import torch

from ..contracts import Norm
from ..plugins import Plugins
from ..problems import UserError
from ..spec.build import components
from .check import Health, check

WORTH = 4
"""Pairs that a process must have before it, to be worth its start."""
Pair = tuple[str, Norm]


def check_many(pairs: Sequence[Pair], files: tuple[Path, ...], seconds: float) -> Iterator[Health]:
    """The health of each pair of an attack's name and a norm, in their order, ``seconds`` long each.

    ``files`` are those of plugins that are not installed. As many processes share the work as torch has threads.
    """
    work = partial(_checked, files=files, seconds=seconds)
    processes = min(torch.get_num_threads(), len(pairs) // WORTH)
    if processes < 2:
        yield from starmap(work, pairs)
        return
    spawned = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, spawned, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        try:
            yield from pool.map(work, *zip(*pairs, strict=True))
        except BrokenProcessPool as error:
            raise UserError(
                "bench doctor: a check took its process down; name the attacks one by one to find which"
            ) from error
        finally:
            pool.shutdown(cancel_futures=True)


def _checked(name: str, norm: Norm, files: tuple[Path, ...], seconds: float) -> Health:
    (attack,) = components("attack", [{"use": name}], _plugins(files))
    return check(attack.object, norm, seconds)


@cache
def _plugins(files: tuple[Path, ...]) -> Plugins:
    return Plugins(files)
