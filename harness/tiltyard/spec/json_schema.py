"""A JSON Schema of benchmark files, with the keys of every installed component, for editors."""

from __future__ import annotations

import inspect
from typing import Any

from pydantic import BaseModel

from ..parameters import keys
from ..plugins import Plugin, Plugins
from .matrix import AXIS_ORDER
from .tables import AXES, TOP_LEVEL, Benchmark, Host, ModelHost, ThreatTable, Training

SWEEP = "Values by key: one table for each combination of them."


def json_schema(plugins: Plugins) -> dict[str, Any]:
    """The schema; components of plugins that cannot be loaded are left out."""
    definitions: dict[str, Any] = {}
    loaded = [plugin for _, plugin in plugins.everything() if isinstance(plugin, Plugin)]
    axes = {axis: _array(_components(axis, loaded, definitions)) for axis in AXES}
    pattern = {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}
    excluded = {"type": "object", "additionalProperties": False, "properties": dict.fromkeys(AXIS_ORDER, pattern)}
    included = {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            axis: {"anyOf": [*pattern["anyOf"], axes[axis]["items"]]} if axis in axes else pattern
            for axis in AXIS_ORDER
        },
    }
    definitions["tables"] = {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "benchmark": _table(Benchmark, definitions),
            "training": _table(Training, definitions),
            **axes,
            "threat": _array(_sweepable(_table(ThreatTable, definitions))),
            "exclude": _array(excluded),
            "include": _array(included),
        },
    }
    choices = {"type": "object", "additionalProperties": {"$ref": "#/$defs/tables"}}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "tiltyard benchmark",
        "type": "object",
        "additionalProperties": {"type": "string", "description": "A setting: which of its overlays counts."},
        "properties": {
            "extends": {"type": "string", "description": "A benchmark file that this one is laid over."},
            "when": {
                "type": "object",
                "description": "Overlays: [when.NAME.CHOICE.training] counts where NAME = CHOICE.",
                "additionalProperties": choices,
            },
            **{name: {"$ref": f"#/$defs/tables/properties/{name}"} for name in TOP_LEVEL},
        },
        "$defs": definitions,
    }


def _array(items: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": items}


def _table(model: type[BaseModel], definitions: dict[str, Any]) -> dict[str, Any]:
    schema = model.model_json_schema()
    definitions |= schema.pop("$defs", {})
    return schema


def _components(axis: str, plugins: list[Plugin], definitions: dict[str, Any]) -> dict[str, Any]:
    """One alternative per component: its name, its own keys and those of the axis."""
    host = _table(ModelHost if axis == "model" else Host, definitions)
    alternatives = []
    for plugin in plugins:
        for short, factory in plugin.factories[AXES[axis]].items():
            own = _table(keys(factory), definitions)
            component = {
                "title": f"{plugin.name}.{short}",
                "description": first_sentence(factory),
                "type": "object",
                "additionalProperties": False,
                "required": ["use", *own.get("required", [])],
                "properties": host["properties"] | own["properties"] | {"use": {"const": f"{plugin.name}.{short}"}},
            }
            alternatives.append(_sweepable(component))
    several = {"type": "object", "required": ["sweep"], "properties": {"use": False, "sweep": {"required": ["use"]}}}
    return {"oneOf": [*alternatives, {"title": "Several components", **several}]}


def _sweepable(table: dict[str, Any]) -> dict[str, Any]:
    """The table, or one that stands for several: any of its keys but ``use`` may be in ``sweep`` instead."""
    required = [key for key in table["required"] if key != "use"]
    either = {"anyOf": [{"required": required}, {"required": ["sweep"]}]}
    sweep = {"type": "object", "description": SWEEP, "additionalProperties": {"type": "array"}, "minProperties": 1}
    always = {"required": [key for key in table["required"] if key == "use"]}
    return table | always | either | {"properties": {**table["properties"], "sweep": sweep}}


def first_sentence(factory: object) -> str:
    """The first paragraph of a factory's docstring, in one line."""
    return " ".join((inspect.getdoc(factory) or "").split("\n\n")[0].split())
