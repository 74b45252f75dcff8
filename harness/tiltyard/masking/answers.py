"""What the harness answers to each indicator."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

EOT = {"use": "native.pgd", "steps": 40, "eot": 20}
MARGIN = {"use": "native.pgd", "steps": 100, "restarts": 5}
QUERIES = {"use": "native.square", "queries": 5000}
STRAIGHT = {"use": "native.pgd", "steps": 100, "restarts": 2}
TRANSFER = {"use": "native.transfer"}

ANSWERS: Mapping[str, tuple[dict[str, Any], ...]] = {
    "randomised": (EOT,),
    "probabilities": (MARGIN,),
    "zero gradient": (QUERIES,),
    "saturated": (MARGIN,),
    "undefined scores": (MARGIN, QUERIES),
    "cross-entropy fails": (MARGIN,),
    "one step beats many": (MARGIN, QUERIES),
    "not converged": (MARGIN,),
    "black box beats white box": (QUERIES,),
    "transfer beats white box": (TRANSFER,),
    "not monotone": (MARGIN,),
    "not at chance": (MARGIN, QUERIES),
    "silent success": (MARGIN,),
    "weak attacks": (MARGIN,),
    "targeted beats untargeted": (MARGIN,),
}
"""The attacks that answer each indicator; gradients that are missing are borrowed as well."""
