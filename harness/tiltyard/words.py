"""Numbers as people write them, for tables and figures."""

from __future__ import annotations

import math


def eps_text(eps: float) -> str:
    """The number, or a fraction such as ``8/255`` where the number would be long and the fraction is not."""
    levels = eps * 255
    short = float(f"{eps:.3g}") == eps
    tenths = math.isclose(levels, round(levels, 1), abs_tol=1e-6)
    return f"{round(levels, 1):g}/255" if tenths and not short else f"{eps:g}"


def ball_text(norm: str, eps: float, units: str = "pixels") -> str:
    """A ball in words: ``linf 8/255``, with its units where they are not pixels."""
    return f"{norm} {eps_text(eps)}" if units == "pixels" else f"{norm} {eps:g} {units}"
