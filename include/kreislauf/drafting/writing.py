"""A contract's content as YAML with comments: the part of YAML that the strict loader reads, nothing else."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from textwrap import wrap
from typing import Any

from include.kreislauf.requirements.strict_yaml import parse

WIDTH = 116
_INDENT = 2


@dataclass(frozen=True)
class Noted:
    """A value, and why it is proposed: a comment above it."""

    value: Any
    why: str


def plain(content: Any) -> Any:
    """The content without its comments."""
    if isinstance(content, Noted):
        return plain(content.value)
    if isinstance(content, Mapping):
        return {key: plain(value) for key, value in content.items()}
    if isinstance(content, Sequence) and not isinstance(content, str):
        return [plain(value) for value in content]
    return content


def as_yaml(content: Mapping[str, Any], head: Sequence[str] = ()) -> str:
    """The text of a file; sections of the first level stand apart.

    Parameters
    ----------
    head: first lines, as they are.
    """
    lines = list(head)
    for number, (key, value) in enumerate(content.items()):
        if number and isinstance(_bare(value), Mapping | list | tuple):
            lines.append("")
        lines += _entry(key, value, 0)
    return "\n".join(lines) + "\n"


def _entry(key: str, value: Any, depth: int) -> list[str]:
    pad = " " * depth
    comments = _comments(value, pad)
    bare = _bare(value)
    name = f"{pad}{_scalar(key)}:"
    if _is_flat(bare):
        return [*comments, f"{name} {_flat(bare)}"]
    if isinstance(bare, Mapping):
        return [
            *comments,
            name,
            *(line for one, below in bare.items() for line in _entry(one, below, depth + _INDENT)),
        ]
    return [*comments, name, *(line for one in bare for line in _item(one, depth + _INDENT))]


def _item(value: Any, depth: int) -> list[str]:
    pad = " " * depth
    bare = _bare(value)
    if _is_flat(bare):
        return [*_comments(value, pad), f"{pad}- {_flat(bare)}"]
    lines = [line for key, below in bare.items() for line in _entry(key, below, depth + _INDENT)]
    # the dash stands before the first field, its comments above it
    first = next(number for number, line in enumerate(lines) if not line.lstrip().startswith("#"))
    above = [f"{pad}{line.lstrip()}" for line in lines[:first]]
    return [*_comments(value, pad), *above, f"{pad}- {lines[first].lstrip()}", *lines[first + 1 :]]


def _is_flat(bare: Any) -> bool:
    """Whether it fits one line: a value, or a small group of values without comments."""
    if not isinstance(bare, Mapping | list | tuple):
        return True
    below = list(bare.values()) if isinstance(bare, Mapping) else list(bare)
    if any(isinstance(one, Noted | Mapping | list | tuple) for one in below) and bare:
        return False
    return len(_flat(bare)) <= WIDTH // 2 and not (isinstance(bare, Mapping) and len(bare) > 4)


def _flat(bare: Any) -> str:
    if isinstance(bare, Mapping):
        return "{" + ", ".join(f"{_scalar(key)}: {_flat(value)}" for key, value in bare.items()) + "}"
    if isinstance(bare, list | tuple):
        return "[" + ", ".join(_flat(one) for one in bare) + "]"
    return _scalar(bare)


def _scalar(value: Any) -> str:
    """A value that the strict loader reads back as itself; text in quotes where it would not."""
    if not isinstance(value, str):
        return json.dumps(value, allow_nan=False)
    quoted = json.dumps(value, ensure_ascii=False)
    if not value.isascii():
        quoted = "".join(one if one.isprintable() else f"\\U{ord(one):08x}" for one in quoted)
    if any(one in value for one in ",[]{}:#&*!|>'\"%@`\n\\") or not value.isprintable():
        return quoted
    try:
        found, _ = parse(f"[{value}]")
    except Exception:  # noqa: BLE001 - whatever the parser says, quotes are right
        return quoted
    return value if found == [value] else quoted


def _comments(value: Any, pad: str) -> list[str]:
    if not isinstance(value, Noted) or not value.why:
        return []
    text = "".join(one if one.isprintable() else "?" for one in value.why)
    return [f"{pad}# {line}" for line in wrap(text, WIDTH - len(pad), break_long_words=False)]


def _bare(value: Any) -> Any:
    return value.value if isinstance(value, Noted) else value
