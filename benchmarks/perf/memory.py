"""Peak memory of PGD above the loaded network, in a process of its own.

python benchmarks/perf/memory.py PLACE IMPLEMENTATION COUNT FITS [DATA]    prints MiB per image
"""

from __future__ import annotations

import ctypes
import subprocess
import sys
from pathlib import Path

import torch
from contests import OURS, pgd
from places import Loaded, Place, places

from tiltyard import Threat, evaluate

CONTEST = pgd(2, 1)
"""Two steps: the second one's peak is that of all that follow."""
EPS = 1 / 255
_MIB = float(2**20)


def per_image(place: Place, implementation: str, count: int, fits: Path, data: Path | None) -> float:
    """MiB per image at a batch of ``count``, measured in a fresh interpreter; raises ``CalledProcessError``."""
    words = [place.name, implementation, str(count), str(fits), *([str(data)] if data else [])]
    done = subprocess.run([sys.executable, __file__, *words], check=True, stdout=subprocess.PIPE, text=True)
    return float(done.stdout.split()[-1])


def _attack(implementation: str, loaded: Loaded, eps: float) -> None:
    network, x, y = loaded
    if implementation == OURS:
        attack = CONTEST.ours[OURS](eps)
        evaluate(network, x, y, [attack], Threat("linf", eps), batch_size=len(x), doctor=False, masking=False)
    else:
        CONTEST.peers[implementation](eps)(network, x, y)


def _measured(implementation: str, loaded: Loaded, eps: float) -> float:
    """Bytes that a call needs at its peak; one on two images before it loads what is loaded once."""
    network, x, y = loaded
    _attack(implementation, (network, x[:2], y[:2]), eps)
    if x.is_cuda:
        held = torch.cuda.memory_allocated(x.device)
        torch.cuda.reset_peak_memory_stats(x.device)
        _attack(implementation, loaded, eps)
        return float(torch.cuda.max_memory_allocated(x.device) - held)
    if trim := getattr(ctypes.CDLL(None), "malloc_trim", None):
        trim(0)
    Path("/proc/self/clear_refs").write_text("5")  # ru_maxrss would begin at what the parent process once had
    before = _status("VmRSS")
    _attack(implementation, loaded, eps)
    return _status("VmHWM") - before


def _status(name: str) -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return float(next(line.split()[1] for line in lines if line.startswith(name))) * 1024


def main() -> None:
    """What the command line asks for."""
    name, implementation, count, fits, *data = sys.argv[1:]
    torch.set_num_threads(1)
    folder = Path(data[0]) if data else None
    place = next(place for place in places(folder) if place.name == name)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    network, x, y = place.load(folder, Path(fits), device, int(count))
    again = torch.arange(int(count)) % len(y)  # images may come twice: memory does not look at them
    print(_measured(implementation, (network, x[again], y[again]), EPS) / int(count) / _MIB)


if __name__ == "__main__":
    main()
