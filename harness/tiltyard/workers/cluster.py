"""The way into a Ray cluster."""

from __future__ import annotations

import logging
import os
import secrets
from typing import Any

from ..problems import UserError

INSTALL = "python -m pip install 'tiltyard[ray]'"


def connect(address: str) -> Any:
    """Ray, connected to the cluster at ``HOST:PORT``, to that of this machine (``auto``), or to one of its own.

    Raises ``UserError`` where Ray is missing, the token of the cluster is not given, or nobody answers.
    """
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ["RAY_AUTH_MODE"] = "token"
    own = not address
    if not os.environ.get("RAY_AUTH_TOKEN"):
        if not own:
            raise UserError(f"--engine ray://{address}: set RAY_AUTH_TOKEN to the token the cluster was started with")
        os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(32)
    try:
        import ray
    except ImportError as error:
        raise UserError(f"--engine ray: ray is not installed; {INSTALL}") from error
    before = os.umask(0o077)  # what a new cluster writes to disk is nobody else's
    try:
        options: dict[str, Any] = {"include_dashboard": False} if own else {}
        ray.init(address or "local", log_to_driver=False, logging_level=logging.ERROR, **options)
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise UserError(f"--engine ray://{address}: no cluster lets this machine in: {error}") from error
    finally:
        os.umask(before)
    return ray
