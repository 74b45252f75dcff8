"""The architecture holds: imports go down, plugins see the facade alone, start-up stays light."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HARNESS = ROOT / "harness" / "tiltyard"

FLOORS = {
    0: {"behind", "contracts", "hookspecs", "inert", "problems", "results", "stand_in", "victim", "words"},
    1: {
        "parameters",
        "plugins",
        "spec",
        "training",
        "guard",
        "evaluator",
        "health",
        "masking",
        "statistics",
        "leaderboard",
        "provenance",
        "events",
        "tabulate",
        "victims",
        "detection",
        "geometry",
        "workers",
    },
    2: {"runner", "api", "testing", "bundle", "cache", "cost", "figures"},
    3: {"cli"},
}
FLOOR = {module: floor for floor, modules in FLOORS.items() for module in modules}


def _imports(path: Path, package: str) -> set[str]:
    """Top-level modules of ``package`` that a file imports, lazily or not."""
    found = set()
    parts = path.relative_to(HARNESS).parts if path.is_relative_to(HARNESS) else ()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            up = len(parts) - node.level
            names = [node.module] if node.module else [alias.name for alias in node.names]
            if node.level and up == 0:
                found |= {name.split(".")[0] for name in names}
            elif node.module and node.module.split(".")[0] == package:
                rest = node.module.split(".")[1:]
                found |= {rest[0]} if rest else {alias.name for alias in node.names}
        elif isinstance(node, ast.Import):
            found |= {alias.name.split(".")[1] for alias in node.names if alias.name.startswith(f"{package}.")}
    return found


def test_every_module_has_a_floor() -> None:
    modules = {path.stem for path in HARNESS.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}
    assert modules - {"__init__"} == FLOOR.keys()


@pytest.mark.parametrize("path", sorted(HARNESS.rglob("*.py")), ids=lambda p: str(p.relative_to(HARNESS)))
def test_imports_go_down(path: Path) -> None:
    own = path.relative_to(HARNESS).parts[0].removesuffix(".py")
    if own == "__init__":
        return
    above = {name for name in _imports(path, "tiltyard") & FLOOR.keys() if FLOOR[name] > FLOOR[own]}
    assert not above, f"{own} (floor {FLOOR[own]}) imports {above}"


@pytest.mark.parametrize("path", sorted((ROOT / "plugins").rglob("*.py")), ids=lambda p: str(p.relative_to(ROOT)))
def test_plugins_import_the_facade_and_themselves_only(path: Path) -> None:
    own = path.relative_to(ROOT / "plugins").parts[0]
    for node in ast.walk(ast.parse(path.read_text())):
        modules = [node.module or ""] if isinstance(node, ast.ImportFrom) and not node.level else []
        modules += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        for module in modules:
            assert not module.startswith("tiltyard.") or module == "tiltyard", f"{module}: use the facade"
            assert not module.startswith("tiltyard_") or module.split(".")[0] == own, f"{module}: another plugin"


def test_the_core_names_no_plugin_and_no_wrapped_library() -> None:
    for path in HARNESS.rglob("*.py"):
        found = re.findall(r"^\s*(?:import|from) (tiltyard_\w+|art|torchattacks|torchvision)\b", path.read_text(), re.M)
        assert not found, f"{path}: {found}"


def test_help_imports_nothing_heavy() -> None:
    script = (
        "import sys; sys.argv = ['bench', '--help']\n"
        "from tiltyard.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "heavy = {'torch', 'numpy', 'pandas', 'scipy', 'pydantic', 'torchvision'} & set(sys.modules)\n"
        "sys.exit(f'imported {heavy}' if heavy else 0)"
    )
    subprocess.run([sys.executable, "-c", script], check=True, stdout=subprocess.DEVNULL)


@pytest.mark.parametrize("command", [["list"], ["plan", "benchmarks/quickstart.toml"]])
def test_list_and_plan_import_no_wrapped_library(command: list[str]) -> None:
    script = (
        f"import sys; sys.argv = ['bench', *{command!r}]\n"
        "from tiltyard.cli import main\n"
        "try: main()\n"
        "except SystemExit as stop: assert not stop.code, stop.code\n"
        "heavy = {'art', 'torchattacks', 'torchvision', 'pandas', 'sklearn', 'mlxtend'} & set(sys.modules)\n"
        "sys.exit(f'imported {heavy}' if heavy else 0)"
    )
    subprocess.run([sys.executable, "-c", script], check=True, stdout=subprocess.DEVNULL, cwd=ROOT)


def test_the_plugins_register_through_the_public_table() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert set(project["entry-points"]["tiltyard"].values()) == {
        p.name for p in (ROOT / "plugins").iterdir() if p.is_dir()
    }


def test_the_facade_lists_what_it_gives() -> None:
    import tiltyard

    assert list(tiltyard.__all__) == sorted(tiltyard.__all__, key=lambda n: (not n[0].isupper(), n))
    for name in tiltyard.__all__:
        assert getattr(tiltyard, name) is not None
    with pytest.raises(AttributeError, match="nothing_like_it"):
        _ = tiltyard.nothing_like_it
