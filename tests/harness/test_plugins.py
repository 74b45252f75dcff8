"""Plugins: found by entry point, loaded by name, each broken one on its own."""

from __future__ import annotations

import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

from tiltyard.plugins import PluginError, Plugins


def _installed(monkeypatch: pytest.MonkeyPatch, folder: Path, *plugins: tuple[str, str, str]) -> Plugins:
    """Distributions (name, entry point, module source) as if they were installed beside ours."""
    real = metadata.entry_points(group="tiltyard")
    points = []
    for number, (distribution, name, source) in enumerate(plugins):
        module = f"fake_plugin_{folder.name.replace('-', '_')}_{number}"
        (folder / f"{module}.py").write_text(source)
        info = folder / f"{distribution}-1.{number}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.{number}\n")
        (info / "entry_points.txt").write_text(f"[tiltyard]\n{name} = {module}\n")
        points += list(metadata.PathDistribution(info).entry_points)
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setattr(metadata, "entry_points", lambda group: [*real, *points])
    return Plugins()


GOOD = "import tiltyard\n@tiltyard.hookimpl\ndef attacks():\n    return {'x': object}\n"


def test_one_broken_plugin_does_not_stop_the_others(monkeypatch, tmp_path: Path) -> None:
    plugins = _installed(monkeypatch, tmp_path, ("dist-bad", "bad", "raise OSError('boom')"), ("dist-ok", "ok", GOOD))
    found = dict(plugins.everything())
    assert "plugin bad (dist-bad 1.0) cannot be imported: OSError: boom" in str(found["bad"])
    assert found["ok"].provenance == "dist-ok 1.1"
    assert plugins.factory("attacks", "ok.x")[1] is object


def test_two_distributions_that_claim_one_name_are_both_named(monkeypatch, tmp_path: Path) -> None:
    plugins = _installed(monkeypatch, tmp_path, ("dist-a", "twice", GOOD), ("dist-b", "twice", GOOD))
    with pytest.raises(PluginError, match="dist-a and dist-b both claim"):
        plugins.factory("attacks", "twice.x")


def test_a_misspelt_hook_is_reported(monkeypatch, tmp_path: Path) -> None:
    source = GOOD.replace("def attacks", "def atacks")
    plugins = _installed(monkeypatch, tmp_path, ("dist-typo", "typo", source))
    with pytest.raises(PluginError, match=r"atacks.*hooks: datasets"):
        plugins.load("typo")


def test_a_hook_that_raises_is_reported(monkeypatch, tmp_path: Path) -> None:
    source = GOOD.replace("return {'x': object}", "return 1 / 0")
    plugins = _installed(monkeypatch, tmp_path, ("dist-div", "div", source))
    with pytest.raises(PluginError, match="hook attacks raised ZeroDivisionError"):
        plugins.load("div")


def test_a_missing_library_makes_a_plugin_unavailable_with_the_install_line(monkeypatch, tmp_path: Path) -> None:
    source = "requires = {'no-such-library': 'pip install no-such-library'}\n" + GOOD
    plugins = _installed(monkeypatch, tmp_path, ("dist-needs", "needs", source))
    assert plugins.load("needs").unavailable == "no-such-library is not installed; pip install no-such-library"


def test_unknown_names_come_with_choices(toys: Plugins) -> None:
    with pytest.raises(PluginError, match=r'unknown plugin "toys"; did you mean "toy"'):
        toys.factory("attacks", "toys.descent")
    with pytest.raises(PluginError, match=r'did you mean "toy.descent"'):
        toys.factory("attacks", "toy.decent")


def test_a_plugin_file_must_be_there_and_have_a_name_of_its_own(tmp_path: Path) -> None:
    with pytest.raises(PluginError, match="no such file"):
        Plugins([tmp_path / "none.py"])
    clash = tmp_path / "native.py"
    clash.write_text(GOOD)
    with pytest.raises(PluginError, match="already"):
        Plugins([clash])
    odd = tmp_path / "my-plugin.py"
    odd.write_text(GOOD)
    with pytest.raises(PluginError, match="rename the file"):
        Plugins([odd])


def test_changed_code_is_another_plugin(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text(GOOD)
    before = Plugins([path]).load("mine").code
    path.write_text(GOOD + "# changed\n")
    assert Plugins([path]).load("mine").code != before


def test_only_the_plugins_that_are_named_are_imported(toys: Plugins) -> None:
    script = (
        "import sys; from tiltyard.plugins import Plugins; Plugins().factory('attacks', 'native.pgd');"
        "loaded = {'tiltyard_art', 'tiltyard_vision', 'tiltyard_torchattacks', 'art'} & set(sys.modules);"
        "sys.exit(f'imported {loaded}' if loaded else 0)"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
