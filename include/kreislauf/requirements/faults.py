"""What pydantic found wrong in a contract, in a person's words: which field, what is wrong, what is allowed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from include.kreislauf.handovers import NAME_PATTERN
from include.kreislauf.requirements.section import Section

Location = tuple[str | int, ...]

_SHOWN = 80
_TYPES = {
    "string_type": "text",
    "int_type": "a whole number",
    "float_type": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "tuple_type": "a list",
}
_MAPPINGS = ("dict_type", "model_type", "model_attributes_type")
_BOUNDS = {
    "ge": "at least {}",
    "gt": "more than {}",
    "le": "at most {}",
    "lt": "less than {}",
    "min_length": "a length of at least {}",
    "max_length": "a length of at most {}",
}


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong with a contract."""

    location: Location
    what: str
    allowed: str


def faults_of(error: ValidationError, model: type[Section]) -> list[Fault]:
    """Every fault of a validation against a model, without those that only follow from another.

    A list whose items are at fault also counts as too short: that fault goes, the item's stays.
    """
    found = error.errors()
    deeper = {fault["loc"][:length] for fault in found for length in range(len(fault["loc"]))}
    schema = model.model_json_schema()
    name = model.__name__.lower()
    kept = (one for one in found if one["type"] != "too_short" or one["loc"] not in deeper)
    return [_fault(one, schema, name) for one in kept]


def _fault(details: ErrorDetails, schema: dict[str, Any], name: str) -> Fault:
    location, kind, context = details["loc"], details["type"], details.get("ctx", {})
    if kind.startswith("union_tag"):  # pydantic points to the item: the fault is in the field that chooses
        location = (*location, context["discriminator"].strip("'"))
    field = _short(".".join(_as_in_the_file(schema, location))) or name
    return Fault(location, f"{field}: {_what(details)}", _allowed(details, schema))


def _what(details: ErrorDetails) -> str:
    match details["type"]:
        case "extra_forbidden":
            return "unknown field"
        case "missing" | "union_tag_not_found":
            return "required field is missing"
        case "union_tag_invalid":
            return f"unknown kind {_short(repr(details['ctx']['tag']))}"
    shown = "" if isinstance(details["input"], dict | list) else f" (found {_short(repr(details['input']))})"
    return f"{details['msg']}{shown}"


def _allowed(details: ErrorDetails, schema: dict[str, Any]) -> str:
    """What would have been accepted in the place of a fault."""
    location, kind, context = details["loc"], details["type"], details.get("ctx", {})
    if kind.startswith("union_tag"):
        return ", ".join(_schema_at(schema, location)["discriminator"]["mapping"])
    if kind in ("extra_forbidden", "missing"):
        return ", ".join(_fields_at(schema, location[:-1]))
    if kind in _MAPPINGS:
        return ", ".join(_fields_at(schema, location)) or "a mapping of fields"
    if context.get("pattern") == NAME_PATTERN:
        return "lower-case letters, digits and underscores, starting with a letter, at most 63"
    bounds = [text.format(context[name]) for name, text in _BOUNDS.items() if name in context]
    return _TYPES.get(kind) or str(context.get("expected", "")) or " and ".join(bounds)


def _as_in_the_file(schema: dict[str, Any], location: Sequence[str | int]) -> list[str]:
    """A location without the tags that pydantic adds where a field's value chooses the model."""
    tagged = (_schema_at(schema, location[:place]).get("discriminator") for place in range(len(location)))
    return [
        str(part)
        for part, found in zip(location, tagged, strict=True)
        if not (found and part in found["mapping"])
    ]


def _fields_at(schema: dict[str, Any], location: Sequence[str | int]) -> list[str]:
    """Names of the fields that the model at a location has."""
    return list(_schema_at(schema, location).get("properties", {}))


def _schema_at(schema: dict[str, Any], location: Sequence[str | int]) -> dict[str, Any]:
    """JSON Schema of the value at a location."""
    node: dict[str, Any] = schema
    for part in location:
        node = _resolve(schema, node)
        if isinstance(part, int):
            node = node.get("items", {})
        elif part in node.get("discriminator", {}).get("mapping", {}):
            node = {"$ref": node["discriminator"]["mapping"][part]}
        else:
            node = node.get("properties", {}).get(part, node.get("additionalProperties") or {})
    return _resolve(schema, node)


def _resolve(schema: dict[str, Any], node: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in node:
        node = schema["$defs"][node["$ref"].rsplit("/", 1)[-1]]
    return node


def _short(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
