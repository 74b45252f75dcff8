"""The health gate: properties that must hold of every attack before its rows may reach a leaderboard."""

from .check import SECONDS, UNCHECKED, Finding, Health, check, sound
from .kept import badge, examine, health_id, keep_crash
from .properties import PROPERTIES, Property

__all__ = [
    "PROPERTIES",
    "SECONDS",
    "UNCHECKED",
    "Finding",
    "Health",
    "Property",
    "badge",
    "check",
    "examine",
    "health_id",
    "keep_crash",
    "sound",
]
