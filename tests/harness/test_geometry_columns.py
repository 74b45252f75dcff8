"""The geometry of a victim's codes is a fact of the store: columns of every row, found anew where it was lost."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict
from pathlib import Path

import pandas as pd
import pytest
from bundles import check, pack_toys, retold, run_toys
from toy import RandomCodes

from tiltyard import Files
from tiltyard.geometry import geometry
from tiltyard.results import CODEBOOK, load, write_json

BOTH = '[[labels]]\nuse = "toy.codes"\n'
COLUMNS = [column.name for column in CODEBOOK]


def test_rows_of_code_networks_have_the_geometry_and_category_has_none(planned, run) -> None:
    _, _, results = run(planned(extra=BOTH))
    rows = results.table.set_index("labels")
    codes = RandomCodes()(tuple("abcd"), Files()).codes.double().numpy()
    expected = {f"code_{name}": value for name, value in asdict(geometry(codes)).items()}
    assert set(expected) == set(COLUMNS)
    assert len(rows.loc["toy.codes"]) == 2
    for row in rows.loc["toy.codes", COLUMNS].to_dict("records"):
        assert row == pytest.approx(expected)
    assert rows.loc["toy.onehot", COLUMNS].isna().all(axis=None)


def test_a_lost_geometry_is_found_again_with_the_next_tables(planned, run, tmp_path: Path) -> None:
    plan = planned(extra=BOTH)
    _, _, before = run(plan)
    table = before.table
    shutil.rmtree(before.folder / "victims")
    (before.folder / "worst.csv").unlink()
    _, _, after = run(plan)
    pd.testing.assert_frame_equal(after.table, table)


def test_a_bundle_that_lies_about_its_codes_is_found_out(tmp_path: Path) -> None:
    results = run_toys(tmp_path, ('use = "toy.onehot"', 'use = "toy.codes"'))
    path = pack_toys(results)
    assert check(path).verified

    def lie(folder: Path) -> None:
        (file,) = folder.glob("victims/*/codebook.json")
        write_json(file, json.loads(file.read_text()) | {"coherence": 0.01})

    told = "\n".join(map(str, check(retold(path, lie)).findings))
    assert "another geometry than recorded: code_coherence" in told
    assert load(results).table["code_coherence"].notna().all()
