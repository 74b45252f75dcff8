"""The settings of a benchmark file: one key chooses between overlays, ``protocol = "published"``."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from ..problems import Problem, UserError, suggest
from .document import Document, Place, laid_over, override
from .tables import TOP_LEVEL

_CHOICE = re.compile(r"[A-Za-z0-9_-]+")


def settled(document: Document, overrides: Iterable[str]) -> Document:
    """The document with the overlays of its settings laid over it, and then ``key=value`` overrides applied.

    ``[when.NAME.CHOICE]`` holds tables that count where the top-level key NAME is CHOICE. Settings are taken in the
    order of these keys, and an override of one chooses before the overlays are laid. Mistakes are gathered in
    ``problems``; raises ``UserError`` on an override that cannot be meant.
    """
    when = document.tables.get("when", {})
    names = set(when) if isinstance(when, Mapping) else set()
    choosing: list[str] = []
    others: list[str] = []
    for one in overrides:
        name = one.partition("=")[0].strip()
        if name.split(".")[0] == "when":
            raise UserError(f"--set {one}: overlays are chosen, not changed; set the key itself, without when")
        (choosing if name in names else others).append(one)
    settings = _Settings(document, choosing)
    made = settings.laid() if names else document
    made = replace(made, problems=tuple(settings.problems))
    for one in others:
        override(made, one)
    return made


class _Settings:
    """One pass over the settings of a document; mistakes gather in ``problems``."""

    def __init__(self, document: Document, choosing: Iterable[str]) -> None:
        self.problems: list[Problem] = []
        self.own = document.tables
        self.chosen = replace(document, tables=dict(document.tables), origins=dict(document.origins))
        for one in choosing:
            override(self.chosen, one)

    def laid(self) -> Document:
        """The document without its settings, their overlays laid over it."""
        tables = self.chosen.tables
        when = {name: choices for name, choices in tables["when"].items() if self._known(name, choices)}
        document = replace(self.chosen, tables={key: tables[key] for key in tables if key not in ("when", *when)})
        settings: dict[str, str] = {}
        for name in [key for key in tables if key in when]:
            choice = tables[name]
            if not isinstance(choice, str) or choice not in when[name]:
                hint = suggest(str(choice), when[name])
                self._problem((name,), f"{choice!r} has no table{hint}: write [when.{name}.{choice}], empty or not")
                continue
            document = laid_over(document, ("when", name, choice), self._overlay(when[name][choice]))
            settings[name] = choice
        other = (choice for name, choice in settings.items() if choice != self.own.get(name))
        return replace(document, settings=settings, suffix="".join(f"-{choice}" for choice in other))

    @staticmethod
    def _overlay(given: object) -> dict[str, Any]:
        """What of an overlay can be laid; of the rest its mistakes are told."""
        return {k: v for k, v in given.items() if k in TOP_LEVEL} if isinstance(given, Mapping) else {}

    def _problem(self, place: Place, message: str) -> None:
        self.problems.append(self.chosen.problem(place, message))

    def _known(self, name: str, choices: object) -> bool:
        """Whether ``[when.NAME]`` is a setting; its mistakes are told."""
        place: Place = ("when", name)
        if name in (*TOP_LEVEL, "extends", "when"):
            self._problem(place, f'"{name}" is a table of benchmark files: give the setting another name')
            return False
        if not isinstance(choices, Mapping) or not choices:
            self._problem(place, f"holds no choices: write [when.{name}.CHOICE], empty or not")
            return False
        if name not in self.own:
            near = suggest(name, (key for key, value in self.own.items() if isinstance(value, str)))
            default = next(iter(choices))
            self._problem(place, f'has no default{near}: write {name} = "{default}" at the top of the file')
        for choice, overlay in choices.items():
            self._check((*place, choice), choice, overlay)
        return True

    def _check(self, place: Place, choice: str, overlay: object) -> None:
        """Tell what is wrong with one overlay, chosen or not."""
        if not _CHOICE.fullmatch(choice):
            self._problem(place, f'"{choice}" becomes part of a folder\'s name: use letters, digits, "_" and "-" only')
        if not isinstance(overlay, Mapping):
            self._problem(place, f"must be a table, not {overlay!r}")
            return
        for key in overlay.keys() - set(TOP_LEVEL):
            self._problem((*place, key), f'unknown table "{key}"{suggest(key, TOP_LEVEL)}')


def unknown(document: Document) -> Iterable[Problem]:
    """The top-level keys that are neither tables of benchmark files nor settings."""
    for key, value in document.tables.items():
        if key in TOP_LEVEL:
            continue
        if key == "when":
            message = "holds no settings: write [when.NAME.CHOICE]"
        elif isinstance(value, str):
            message = f'unknown setting "{key}"{suggest(key, document.settings)}: its choices are [when.{key}.CHOICE]'
        else:
            message = f'unknown table "{key}"{suggest(key, (*TOP_LEVEL, "extends", "when"))}'
        yield document.problem((key,), message)
