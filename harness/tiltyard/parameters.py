"""A factory's TOML keys: read off its signature, checked strictly, and told as a JSON Schema."""

from __future__ import annotations

import dataclasses
import inspect
import json
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, TypeVar, get_type_hints

from pydantic import BaseModel, ConfigDict, ValidationError, create_model

from .problems import suggest


class Table(BaseModel):
    """A TOML table: strict types, no unknown keys, frozen."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, use_attribute_docstrings=True)


TableT = TypeVar("TableT", bound=Table)


@cache
def keys(factory: Callable[..., Any]) -> type[Table]:
    """The table of a factory's parameters, derived from its signature and annotations."""
    hints = get_type_hints(factory, include_extras=True)
    fields: dict[str, Any] = {}
    for name, parameter in inspect.signature(factory).parameters.items():
        default = ... if parameter.default is inspect.Parameter.empty else parameter.default
        fields[name] = (hints.get(name, Any), default)
    return create_model(getattr(factory, "__name__", "Component"), __base__=Table, **fields)


def check(
    table: type[TableT], given: Mapping[str, Any]
) -> tuple[TableT | None, list[tuple[tuple[str | int, ...], str]]]:
    """The table of the given keys, or None and the mistakes: the path of each key and what is wrong with it."""
    try:
        # TOML has JSON's types: the strict rules for JSON accept an array for a tuple, and nothing loose.
        return table.model_validate_json(json.dumps(dict(given))), []
    except ValidationError as error:
        return None, [(tuple(e["loc"]), _explain(table, e)) for e in error.errors(include_url=False)]
    except (TypeError, ValueError) as error:
        return None, [((), f"holds a value that no component takes: {error}")]


def _explain(table: type[BaseModel], error: Any) -> str:
    loc = error["loc"]
    if error["type"] == "extra_forbidden" and len(loc) == 1:
        return f'unknown key "{loc[-1]}"{suggest(str(loc[-1]), table.model_fields)}'
    if error["type"] == "missing":
        return f'the key "{loc[-1]}" is missing'
    message = error["msg"].removeprefix("Value error, ")
    return f"{message[:1].lower()}{message[1:]} (got {error['input']!r})"


def effective(factory: Callable[..., Any], component: object, given: Mapping[str, Any]) -> dict[str, Any]:
    """All parameters with their defaults, as JSON values: what identifies a component in a record."""
    if dataclasses.is_dataclass(component) and not isinstance(component, type):
        values = {f.name: getattr(component, f.name) for f in dataclasses.fields(component) if f.init}
    else:
        values = {name: field.default for name, field in keys(factory).model_fields.items()} | dict(given)
    return {name: plain(value) for name, value in values.items()}


def plain(value: Any) -> Any:
    """A value as JSON knows it."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return value if isinstance(value, (str, int, float, bool)) or value is None else repr(value)


def words(parameters: Mapping[str, Any]) -> str:
    """Parameters in a line of words: ``steps=50, shape=64x64``."""

    def word(value: Any) -> str:
        return "x".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)

    return ", ".join(f"{key}={word(value)}" for key, value in parameters.items())
