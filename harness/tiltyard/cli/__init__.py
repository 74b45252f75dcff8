"""The command ``bench``."""

from __future__ import annotations

import os
import signal
import sys
from typing import NoReturn

import rich_click as click

from tiltyard.inert import terminal_text
from tiltyard.problems import UserError, refused_by_disk

from . import audit as audit
from . import bundle as bundle
from . import cache as cache
from . import compare as compare
from . import doctor as doctor
from . import merge as merge
from . import plot as plot
from .commands import again, bench

EXIT_USAGE, EXIT_INTERRUPTED = 2, 130


def main() -> NoReturn:
    """Run the command line; exit codes are those of ``bench --help``."""
    # OpenMP threads that spin while they wait cost a busy machine a multiple of the work; torch reads this once.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        code = bench.main(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        code = EXIT_USAGE
    except UserError as error:
        code = _tell(str(error))
    except OSError as error:
        if not refused_by_disk(error):
            raise
        where = f"{error.filename}: " if error.filename else ""
        code = _tell(f"{where}{error.strerror}; nothing that was finished is lost. Go on with: {again()}")
    except (KeyboardInterrupt, click.Abort):
        _tell(f"interrupted; finished batches are kept. Go on with: {again()}")
        code = EXIT_INTERRUPTED
    sys.exit(code if isinstance(code, int) else 0)


def _tell(message: str) -> int:
    click.echo(terminal_text(f"bench: {message}"), err=True)
    return EXIT_USAGE


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt
