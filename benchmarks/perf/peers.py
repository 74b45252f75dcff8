"""tiltyard beside other libraries, timed in one process: the tables of docs/performance.md.

python benchmarks/perf/peers.py --data DIR --write docs/performance.md [--only 'cifar10_resnet20 pgd*'] [--missing]
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import os
import statistics
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from functools import cache
from pathlib import Path

import passes
import torch
from contests import CONTESTS, MODULES, OURS, Contest
from memory import per_image
from passes import NATIVE, Flops, matmul, step_seconds
from places import PLACES, WITHOUT_DATA, Loaded, Place, half_broken, places
from table import Row, merged, page, stored
from timing import Found, paired, side_by_side

from tiltyard import Norm
from tiltyard.provenance import device_name

MEMORY = ("memory", 16)
"""The row of peak memory, and how many times as many images it has as the row of PGD."""


@dataclass(frozen=True)
class Setting:
    """What is common to all rows: folders, device, images as a multiple, seconds that a row may be repeated."""

    data: Path | None
    fits: Path
    device: torch.device
    scale: int
    seconds: float

    @cache  # noqa: B019 - one setting a process
    def whole(self, place: Place) -> Loaded:
        """A place's network with all the images that its rows need."""
        return place.load(self.data, self.fits, self.device, place.count * self.scale)

    def loaded(self, place: Place, share: float) -> Loaded:
        """A place's network with a share of its images, spread evenly over them."""
        network, x, y = self.whole(place)
        chosen = torch.linspace(0, len(x) - 1, max(2, round(len(x) * share))).round().long().to(x.device)
        return network, x[chosen], y[chosen]

    @cache  # noqa: B019
    def eps(self, place: Place, norm: Norm) -> float:
        """At which about half of a place's images fall."""
        return place.eps[norm] if place.eps else half_broken(self.whole(place), norm)

    @cache  # noqa: B019
    def flops(self, place: Place) -> Flops:
        """Of one image of a place."""
        network, x, _ = self.whole(place)
        return Flops.of(network, x)


def contest_rows(setting: Setting, place: Place, contest: Contest) -> Iterator[Row]:
    """One attack by all implementations."""
    peers = [name for name in contest.peers if installed(name) and (place.small or name not in contest.patient)]
    loaded, eps = setting.loaded(place, contest.share), setting.eps(place, contest.norm)
    found = side_by_side(contest, peers, loaded, eps, setting.seconds)
    ours, flops = found[OURS], setting.flops(place)
    for name, one in found.items():
        common = _common(setting, place, contest.name, name, len(loaded[1])) | {"norm": contest.norm, "eps": eps}
        if name == "bare":  # of the steps of one PGD, so that nothing but its time can be compared
            yield common | _times(one, found, ours)
            continue
        work = len(loaded[1]) * (one.forwards * flops.forward + one.backwards * flops.backward)
        yield (
            common
            | _times(one, found, ours)
            | {
                "robust": one.robust,
                "median": one.median if contest.minimal else None,
                "forwards": one.forwards,
                "backwards": one.backwards,
                "gflops": work / statistics.median(one.seconds) / 1e9,
            }
        )


def _times(one: Found, found: Mapping[str, Found], ours: Found) -> Row:
    times: Row = {"rounds": len(one.seconds), "seconds": statistics.median(one.seconds)}
    times["ours_by_it"] = paired(ours.seconds, one.seconds)
    return times | ({"by_bare": paired(one.seconds, found["bare"].seconds)} if "bare" in found else {})


def step_rows(setting: Setting, place: Place) -> Iterator[Row]:
    """What one step costs on one image."""
    loaded = setting.loaded(place, 0.5)
    found, flops = step_seconds(loaded, setting.seconds), setting.flops(place)
    for name, seconds in found.items():
        median = statistics.median(seconds)
        yield _common(setting, place, passes.NAME, name, len(loaded[1])) | {
            "rounds": len(seconds),
            "seconds": median,
            "by_bare": paired(seconds, found["bare"]),
            "by_folded": paired(seconds, found["bare, folded"]),
            "gflops": (flops.forward + flops.backward) / median / 1e9,
        }


def memory_rows(setting: Setting, place: Place) -> Iterator[Row]:
    """Peak memory of PGD by every implementation."""
    count = place.count * MEMORY[1]
    for name in (*filter(installed, CONTESTS[0].peers), OURS):
        mib = per_image(place, name, count, setting.fits, setting.data)
        yield _common(setting, place, MEMORY[0], name, count) | {"mib": mib}


def machine_rows(setting: Setting) -> Iterator[Row]:
    """What a product of matrices reaches; in bfloat16 on accelerators alone, many processors only imitate it."""
    for dtype in (torch.float32, torch.bfloat16) if setting.device.type == "cuda" else (torch.float32,):
        name = str(dtype).removeprefix("torch.")
        row: Row = {"network": "matmul", "row": f"{passes.SIDE} x {passes.SIDE}", "implementation": name}
        device = f"{device_name(setting.device)}, torch {torch.__version__}"
        yield row | {"gflops": matmul(setting.device, dtype) / 1e9, "device": device}


def _common(setting: Setting, place: Place, row: str, implementation: str, count: int) -> Row:
    key = {"network": place.name, "row": row, "implementation": implementation}
    return {**key, "n": count, "device": setting.device.type}


def installed(peer: str) -> bool:
    """Whether a peer is there; the extra ``dev`` has them all."""
    return importlib.util.find_spec(MODULES[peer][0].split(".")[0]) is not None


def order() -> list[tuple[str, str, str]]:
    """Every row that there can be, in the order of the file."""
    keys = [("matmul", f"{passes.SIDE} x {passes.SIDE}", name) for name in ("float32", "bfloat16")]
    for place in (*PLACES, *WITHOUT_DATA):
        for contest in CONTESTS:
            names = (*contest.ours, *contest.peers, "bare")
            keys += [(place.name, contest.name, name) for name in names]
        keys += [(place.name, passes.NAME, name) for name in ("bare", "bare, folded", *NATIVE)]
        keys += [(place.name, MEMORY[0], name) for name in (OURS, *CONTESTS[0].peers)]
    return keys


def jobs(setting: Setting) -> Iterator[tuple[str, str, Iterator[Row]]]:
    """Network, row, and its rows by implementation, which are measured when they are asked for."""
    yield "matmul", f"{passes.SIDE} x {passes.SIDE}", machine_rows(setting)
    for place in places(setting.data):
        for contest in CONTESTS:
            if not (place.large and contest.long and setting.device.type == "cpu"):
                yield place.name, contest.name, contest_rows(setting, place, contest)
        yield place.name, passes.NAME, step_rows(setting, place)
        yield place.name, MEMORY[0], memory_rows(setting, place)


def warm() -> None:
    """Import what would otherwise be imported in the middle of somebody's first call."""
    importlib.import_module("torch._dynamo")  # torch.optim asks for it
    for peer, modules in MODULES.items():
        for module in modules if installed(peer) else ():
            importlib.import_module(module)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print, and with ``--write`` merge the rows into perf.csv and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=os.environ.get("TILTYARD_DATA"), help="folder of real images")
    parser.add_argument("--only", default="*", help="pattern of network and row: 'cifar10_resnet20 pgd*'")
    parser.add_argument("--missing", action="store_true", help="pass over rows that are in perf.csv")
    parser.add_argument("--scale", type=int, default=1, help="so many times the images; 16 or more suit a GPU")
    parser.add_argument("--seconds", type=float, default=10, help="time in which a row is repeated, up to 5 times")
    parser.add_argument("--fits", type=Path, default=Path(tempfile.gettempdir()) / "tiltyard-perf", help="trained here")
    parser.add_argument("--write", type=Path, help="page to write: docs/performance.md")
    chosen = parser.parse_args(arguments)
    torch.set_num_threads(1)
    warm()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    data = None if chosen.data is None else Path(chosen.data)
    setting = Setting(data, chosen.fits, device, chosen.scale, chosen.seconds)
    there = {(row["network"], row["row"]) for row in stored()} if chosen.missing else set()
    for network, name, rows in jobs(setting):
        if fnmatch(f"{network} {name}", chosen.only) and (network, name) not in there:
            measured = list(rows)
            for row in measured:
                print(", ".join(f"{k} {v:.4g}" if isinstance(v, float) else f"{v}" for k, v in row.items()), flush=True)
            if chosen.write:  # after each, so that what is done stays done
                chosen.write.write_text(page(merged(measured, order())))


if __name__ == "__main__":
    main()
