"""Names and reasons from elsewhere are read and never obeyed: by a spreadsheet or a terminal.

P14 of docs/reliability.md.
"""

from __future__ import annotations

import csv
import io
import sys
from pathlib import Path

import pandas as pd
import pytest

from tiltyard.cli import main
from tiltyard.cli.show import InertConsole, listing, plain_text
from tiltyard.inert import csv_text, from_csv, terminal_text
from tiltyard.results import Column, frame, load
from tiltyard.results.column import read_csv, to_csv

FORMULAS = ("=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", "\tx", "\rx", "\n=x", "\0x", "-a\r=1", "'=1", "''@x")
NUMBERS = ("-1", "+2.5", "-1e-3", "-inf")
PLAIN = ("a=1", "toy.rogue[crime=raise]", "it's", "'quoted'", "", "8/255")
ESCAPES = {
    "\x1b[31mred\x1b[0m": "red",
    "\x1b]0;a window's name\x07x": "x",
    "\x1b]8;;http://e.vil\x1b\\link\x1b]8;;\x1b\\": "link",
    "\x1bcreset": "creset",
    "a\rb\x08\x07": "ab",
    "\x9b2Jx": "2Jx",
    "user\u202etxt.exe": "usertxt.exe",
    "tab\tand\nline": "tab\tand\nline",
    "naïve 漢字": "naïve 漢字",
}
COLUMNS = (Column("name", "string", ""), Column("value", "float64", ""))


@pytest.mark.parametrize("text", FORMULAS)
def test_a_formula_gets_a_quote_and_loses_it_again(text: str) -> None:
    assert csv_text(text) == f"'{text}".replace("\r", "\n")
    assert from_csv(csv_text(text)) == text.replace("\r", "\n")


@pytest.mark.parametrize("text", NUMBERS + PLAIN)
def test_numbers_and_plain_text_are_left_alone(text: str) -> None:
    assert csv_text(text) == text
    assert from_csv(text) == text


def test_no_cell_of_a_csv_begins_like_a_formula_and_numbers_stay_numbers(tmp_path: Path) -> None:
    names = [*FORMULAS, *PLAIN[:-2], None]
    table = frame(COLUMNS, [{"name": name, "value": -0.5} for name in names])
    content = to_csv(table)
    cells = [row[0] for row in csv.reader(io.StringIO(content.decode(), newline=""))][1:]
    assert not any(cell.startswith(("=", "+", "-", "@", "\t", "\r", "\n", "\0")) for cell in cells)
    assert b"'-0.5" not in content
    (tmp_path / "t.csv").write_bytes(content)
    table["name"] = table["name"].str.replace("\r", "\n")
    pd.testing.assert_frame_equal(read_csv(tmp_path / "t.csv", COLUMNS), table)


@pytest.mark.parametrize("text", ESCAPES)
def test_a_terminal_is_told_nothing_but_text(text: str, capsys) -> None:
    assert terminal_text(text) == ESCAPES[text]
    console = InertConsole(width=80)
    table = listing(text, ("name",))
    table.add_row(plain_text(text))
    console.print(table, text, sep="\n")
    shown = capsys.readouterr().out
    assert not set(shown) & {"\x1b", "\x07", "\x08", "\r", "\x9b", "\u202e"}


def test_tables_and_messages_of_hostile_names_are_inert(planned, run, capfd, monkeypatch) -> None:
    hostile = '=HYPERLINK("http://e.vil")\\u001b[2J'
    _, _, results = run(planned(('use = "toy.descent"', f"use = \"toy.descent\"\nname = '''{hostile}'''")))
    monkeypatch.setattr(sys, "argv", ["bench", "table", str(results.folder), "results"])
    with pytest.raises(SystemExit):
        main()
    monkeypatch.setattr(sys, "argv", ["bench", "table", "\x1b[2Jnowhere"])
    with pytest.raises(SystemExit):
        main()
    told = capfd.readouterr()
    assert "HYPERLINK" in told.out
    assert "nowhere" in told.err
    assert "\x1b" not in told.out + told.err
    name = load(results.folder).table["attack"].iloc[0]
    assert name.startswith("=HYPER")
    assert load(results.folder).csv("results")["attack"].iloc[0] == name
    assert ",=HYPER" not in (results.folder / "results.csv").read_text().replace('"', "")
