"""The hooks a plugin may implement: each answers a mapping from short names to factories.

A factory is called with the keys of a TOML table as keyword arguments and returns a component; a frozen
dataclass is one. Its annotations are checked before it is called, so they are also the documentation.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    from .contracts import Attack, Dataset, Defence, Labels, Model

GROUP = "tiltyard"

hookspec = pluggy.HookspecMarker(GROUP)
hookimpl = pluggy.HookimplMarker(GROUP)


@hookspec
def datasets() -> Mapping[str, Callable[..., Dataset]]:  # type: ignore[empty-body]
    """Sources of images."""


@hookspec
def models() -> Mapping[str, Callable[..., Model]]:  # type: ignore[empty-body]
    """Architectures."""


@hookspec
def label_schemes() -> Mapping[str, Callable[..., Labels]]:  # type: ignore[empty-body]
    """Codebooks that networks are trained towards."""


@hookspec
def defences() -> Mapping[str, Callable[..., Defence]]:  # type: ignore[empty-body]
    """Ways to train or wrap a classifier."""


@hookspec
def attacks() -> Mapping[str, Callable[..., Attack]]:  # type: ignore[empty-body]
    """Searches for adversarial images."""
