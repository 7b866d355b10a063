"""Tables of the fields of a model: type in words, default, meaning, example."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from include.kreislauf.handovers import NAME_PATTERN
from include.kreislauf.settings import ROOT

Node = Mapping[str, Any]
LinkOf = Callable[[str], str]
"""From the name of a model to the text that stands for it."""
PLAIN = {"string": "text", "integer": "whole number", "number": "number", "boolean": "true or false", "object": "mapping"}  # fmt: skip
FORMATS = {"date-time": "time with its zone", "path": "path", "date": "day"}
BOUNDS = {
    "minimum": "at least {}", "exclusiveMinimum": "more than {}", "maximum": "at most {}", "exclusiveMaximum": "less than {}",
    "minItems": "at least {}", "maxItems": "at most {}", "minProperties": "at least {}", "maxLength": "{} characters at most",
}  # fmt: skip


def table(rows: list[list[str]], heads: list[str]) -> list[str]:
    """The lines of a Markdown table."""
    written = ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
    return ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads), *written]


def code(value: Any) -> str:
    """A value as it is written in a contract, marked as code, without the path of the machine that writes the page."""
    text = json.dumps(value, ensure_ascii=False) if not isinstance(value, str | Path) else str(value)
    return f"`{text.replace(f'{ROOT}/', '')}`"


def default(field: FieldInfo) -> str:
    """What counts where a field is left out."""
    if field.is_required():
        return "**required**"
    value = field.get_default(call_default_factory=True, validated_data={})
    if isinstance(value, BaseModel):
        return "its defaults"
    if value is None or value is PydanticUndefined or value in ("", (), {}):
        return "empty"
    return code(list(value) if isinstance(value, tuple) else value)


def in_words(node: Node, link: LinkOf) -> str:
    """A JSON Schema as people say it."""
    if "$ref" in node:
        return link(node["$ref"].rsplit("/", 1)[-1])
    if choice := node.get("oneOf") or node.get("anyOf"):
        said = [in_words(one, link) for one in choice if one.get("type") != "null"]
        return " or ".join(dict.fromkeys(said))
    if "const" in node:
        return code(node["const"])
    if "enum" in node:
        return "one of " + ", ".join(code(one) for one in node["enum"])
    return ", ".join([_kind(node, link), *_bounds(node)])


def _kind(node: Node, link: LinkOf) -> str:
    if "prefixItems" in node:
        return f"list of {len(node['prefixItems'])}: " + ", ".join(
            in_words(one, link) for one in node["prefixItems"]
        )
    match node.get("type"):
        case "array":
            return f"list of: {in_words(node.get('items', {}), link)}"
        case "object" if isinstance(held := node.get("additionalProperties"), Mapping):
            return f"mapping from names to: {in_words(held, link)}"
        case None:
            return "any value"
    return FORMATS.get(node.get("format", ""), PLAIN[node["type"]])


def _bounds(node: Node) -> list[str]:
    if "prefixItems" in node:
        return []
    said = [text.format(f"{node[name]:,}".replace(",", " ")) for name, text in BOUNDS.items() if name in node]
    pattern = node.get("pattern", "")
    if pattern == NAME_PATTERN:
        return ["lower-case letters, digits and underscores, starting with a letter"]
    return [*said, f"matches {code(pattern)}"] if pattern and "\\x00" not in pattern else said
