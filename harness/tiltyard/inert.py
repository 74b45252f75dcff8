"""Text from elsewhere (names, reasons, a stranger's bundle) made harmless where it leaves: cells of a CSV, a terminal.

Parquet and JSON hold it as it is: JSON escapes control characters itself.
"""

from __future__ import annotations

import re

_FORMULA = re.compile(r"'*[=+\-@\t\r\n\0]")
"""How a cell begins that a spreadsheet takes for a formula, after any quotes put before it already."""
_CONTROL = re.compile(
    r"\x1b(?:[@-Z\\^_]|\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\))"  # ANSI sequences, and titles and links
    r"|[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]"  # but for tab and newline; bidi
)


def csv_text(text: str) -> str:
    """A cell of a CSV: one that a spreadsheet would compute gets a quote before it, unless it is a number.

    A carriage return becomes a newline: writers leave it unquoted, and readers begin a row there.
    """
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return f"'{text}" if _FORMULA.match(text) and not _is_number(text) else text


def from_csv(text: str) -> str:
    """What ``csv_text`` was given, but for carriage returns."""
    return text[1:] if text.startswith("'") and _FORMULA.match(text) else text


def terminal_text(text: str) -> str:
    """Text without what would move the cursor, colour, ring, rename the window or turn the direction of writing."""
    return _CONTROL.sub("", text)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return text == text.strip()
