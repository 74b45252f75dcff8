"""What the documents say is so: generated pages, links, benchmark files, the README's TOML."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from tiltyard.plugins import Plugins
from tiltyard.results.manual import page
from tiltyard.spec import plan

ROOT = Path(__file__).parents[2]
DOCUMENTS = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), ROOT / "results" / "README.md"]


def test_the_results_page_is_the_schema() -> None:
    """If this fails: python -m tiltyard.results.manual > docs/results.md."""
    assert (ROOT / "docs" / "results.md").read_text() == page()


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda p: str(p.relative_to(ROOT)))
def test_links_lead_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", path.read_text()):
        assert (path.parent / target).exists(), target


@pytest.mark.parametrize("path", sorted(ROOT.glob("benchmarks/**/*.toml")), ids=lambda p: str(p.relative_to(ROOT)))
def test_every_benchmark_file_can_be_planned(path: Path, request: pytest.FixtureRequest) -> None:
    data = request.getfixturevalue("shared_data") if path.parent.name == "published" else None
    files = [path.with_name("networks.py")] if (path.parent.name, path.stem) == ("published", "mnist") else []
    made = plan(path, Plugins(files), data)
    assert made.runnable
    assert made.name == tomllib.loads(path.read_text()).get("benchmark", {}).get("name", path.stem)


def test_the_readmes_benchmark_can_be_planned(tmp_path: Path) -> None:
    (block,) = re.findall(r"```toml\n(.*?)```", (ROOT / "README.md").read_text(), re.S)
    (tmp_path / "readme.toml").write_text(block)
    assert len(plan(tmp_path / "readme.toml", Plugins()).runnable) == 2 * 2 * 2 * 3


def test_the_plugin_page_shows_the_plugin_that_is_tested() -> None:
    text = (ROOT / "docs" / "plugins.md").read_text()
    folder = ROOT / "tests" / "third_party" / "tiltyard-uniform"
    assert (folder / "pyproject.toml").read_text().strip() in text
    source = (folder / "tiltyard_uniform.py").read_text()
    for line in re.findall(r"```python\n(.*?)```", text, re.S)[0].splitlines():
        assert line.split("(")[0].split(":")[0] in source, line


def test_every_installed_component_is_in_the_documents() -> None:
    text = "\n".join(path.read_text() for path in ROOT.glob("docs/*.md"))
    for name, plugin in Plugins().everything():
        for components in plugin.factories.values():
            for short in components:
                assert re.search(rf"`{short}\b|\b{name}\.{short}\b", text), f"{name}.{short} is not documented"
