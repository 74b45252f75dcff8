"""A TOML file with everything it extends and overrides, and the line each key stands in."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ..problems import ConfigError, Problem, UserError

Place = tuple[str | int, ...]

_HEADER = re.compile(r"^\s*(\[\[?)\s*([^\[\]]+?)\s*\]\]?\s*(?:#.*)?$")
_KEY = re.compile(r"^\s*((?:[\w-]+|\"[^\"]*\"|'[^']*')(?:\s*\.\s*(?:[\w-]+|\"[^\"]*\"|'[^']*'))*)\s*=")
_PART = re.compile(r"\"[^\"]*\"|'[^']*'|[\w-]+")


@dataclass(frozen=True)
class Document:
    """The merged tables, and for each path the file and line that set it."""

    path: Path
    tables: dict[str, Any]
    origins: dict[Place, tuple[str, int]] = field(default_factory=dict)
    settings: Mapping[str, str] = field(default_factory=dict)
    """What each setting was chosen to be (``settled``)."""
    suffix: str = ""
    """What the choices that are not the file's own add to the name of the results folder."""
    problems: tuple[Problem, ...] = ()
    """Mistakes in the settings."""

    def problem(self, path: Place, message: str) -> Problem:
        """A mistake at ``path``, placed at the nearest line known: its own, the first inside it, or one around it."""
        inside = next((where for where in self.origins if path and where[: len(path)] == path), ())
        around = next((path[:n] for n in range(len(path), -1, -1) if path[:n] in self.origins), ())
        known = path if path in self.origins else inside or around
        file, line = self.origins.get(known, (str(self.path), 0))
        return Problem(file, line, _shown(path, self.tables), message)


def read(path: Path) -> Document:
    """The document at ``path`` with its ``extends`` resolved.

    A file's tables are laid over those of the file it extends; an array of tables replaces the whole array.
    """
    return _read(path, ())


def _read(path: Path, chain: tuple[Path, ...]) -> Document:
    if path.resolve() in chain:
        raise UserError(f"{path}: extends itself through {' -> '.join(p.name for p in chain)}")
    try:
        text = path.read_text(encoding="utf-8")
        tables = tomllib.loads(text)
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read: {error}") from error
    except tomllib.TOMLDecodeError as error:
        line = re.search(r"at line (\d+)", str(error))
        raise ConfigError([Problem(str(path), int(line[1]) if line else 0, "", f"not TOML: {error}")]) from error
    origins = {where: (str(path), line) for where, line in key_lines(text).items()}
    base = tables.pop("extends", None)
    if base is None:
        return Document(path, tables, origins)
    if not isinstance(base, str):
        raise ConfigError(
            [Problem(*origins.get(("extends",), (str(path), 0)), "extends", "must be the name of a TOML file")]
        )
    below = _read(path.parent / base, (*chain, path.resolve()))
    kept = {where: place for where, place in below.origins.items() if not _replaced(where, tables)}
    return Document(path, _merged(below.tables, tables), kept | origins)


def laid_over(document: Document, place: Place, overlay: Mapping[str, Any]) -> Document:
    """The document with the tables laid over it that stood at ``place``, and with their lines."""
    depth = len(place)
    kept = {where: origin for where, origin in document.origins.items() if not _replaced(where, overlay)}
    moved = {w[depth:]: origin for w, origin in document.origins.items() if w[:depth] == place and len(w) > depth}
    return replace(document, tables=_merged(document.tables, overlay), origins=kept | moved)


def _replaced(where: Place, over: Mapping[str, Any]) -> bool:
    """Whether the value at ``where`` is, or is part of, one that ``over`` replaces."""
    below: Any = over
    for part in where:
        if not isinstance(below, Mapping) or part not in below:
            return False
        below = below[part]
        if not isinstance(below, Mapping):
            return True
    return False


def _merged(below: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for key, value in over.items():
        both = isinstance(value, Mapping) and isinstance(merged.get(key), Mapping)
        merged[key] = _merged(merged[key], value) if both else value
    return merged


def override(document: Document, given: str) -> None:
    """Set what ``key=value`` says, in place; raises ``UserError`` where there is no such place."""
    key, equals, text = given.partition("=")
    if not equals or not key.strip():
        raise UserError(f"--set {given}: write --set KEY=VALUE, for example --set training.epochs=2")
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        value = text  # an unquoted word is meant as text
    path: Place = tuple(int(part) if part.isdigit() else part for part in key.strip().split("."))
    place: Any = document.tables
    for done, part in enumerate(path[:-1]):
        try:
            place = place[part] if isinstance(part, int) else place.setdefault(part, {})
        except (KeyError, IndexError, TypeError, AttributeError):
            shown = ".".join(map(str, path[: done + 1]))
            raise UserError(f"--set {given}: there is no {shown} (an array's tables count from 0)") from None
    try:
        place[path[-1]] = value
    except (IndexError, TypeError):
        raise UserError(f"--set {given}: there is no {key.strip()} (an array's tables count from 0)") from None
    document.origins[path] = (f"--set {given}", 0)


def key_lines(text: str) -> dict[Place, int]:
    """The line of each header and key, by path; arrays of tables count from 0.

    ``tomllib`` tells no positions. This reads what benchmark files are made of: headers, and keys at the start
    of a line outside of multi-line values. A key it does not see is reported at its table's line.
    """
    lines: dict[Place, int] = {}
    counts: dict[str, int] = {}
    table: Place = ()
    depth, quote = 0, ""
    for number, line in enumerate(text.splitlines(), 1):
        if not depth and not quote:
            if header := _HEADER.match(line):
                table = _table(header, counts)
                lines.setdefault(table, number)
            elif key := _KEY.match(line):
                lines[table + tuple(part.strip("\"'") for part in _PART.findall(key[1]))] = number
        depth, quote = _open_values(line, depth, quote)
        if not quote and _HEADER.match(line) and depth < 0:
            depth = 0
    return lines


def _table(header: re.Match[str], counts: dict[str, int]) -> Place:
    name = header[2].strip()
    parts: list[str | int] = []
    names = [part.strip("\"'") for part in _PART.findall(name)]
    for depth, part in enumerate(names, 1):
        prefix = ".".join(names[:depth])
        last = depth == len(names)
        if last and header[1] == "[[":
            counts[prefix] = counts.get(prefix, -1) + 1
        parts.append(part)
        if prefix in counts:
            parts.append(counts[prefix])
    return tuple(parts)


def _open_values(line: str, depth: int, quote: str) -> tuple[int, str]:
    """How many brackets, and which multi-line string, are open at the end of a line."""
    rest = line
    while rest:
        if quote:
            end = rest.find(quote)
            if end < 0:
                return depth, quote
            rest, quote = rest[end + 3 :], ""
            continue
        token = re.search(r"\"\"\"|'''|\"(?:\\.|[^\"\\])*\"|'[^']*'|[\[{]|[\]}]|#", rest)
        if token is None or token[0] == "#":
            break
        if token[0] in ('"""', "'''"):
            quote = token[0]
        depth += {"[": 1, "{": 1, "]": -1, "}": -1}.get(token[0], 0)
        rest = rest[token.end() :]
    return depth, quote


def _shown(path: Place, tables: Mapping[str, Any]) -> str:
    """A path as TOML writes it: ``[[attack]] native.pgd: steps``."""
    if len(path) >= 2 and isinstance(path[1], int):
        entries = tables.get(str(path[0]))
        entry = entries[path[1]] if isinstance(entries, list) and path[1] < len(entries) else {}
        use = entry.get("use", "") if isinstance(entry, Mapping) else ""
        head, rest = f"[[{path[0]}]]{f' {use}' if use else f' number {path[1] + 1}'}", path[2:]
    else:
        plain = path and isinstance(tables.get(str(path[0])), str)
        head, rest = (str(path[0]) if plain else f"[{path[0]}]", path[1:]) if path else ("", ())
    return f"{head} {'.'.join(map(str, rest))}".strip()
