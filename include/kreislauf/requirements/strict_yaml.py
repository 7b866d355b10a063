"""YAML as contracts use it: the part of YAML 1.2 that reads the same for a person, an editor and the program.

PyYAML by itself follows YAML 1.1, where ``1e-3`` is text, ``no`` is false, ``1:30`` is 90 and a few lines of merged
anchors stand for gigabytes. Here numbers are numbers, everything else that is not ``true``, ``false`` or ``null`` is
text, and what a contract has no need of (anchors, tags, a key given twice) is refused with its line.
"""

from __future__ import annotations

import re
from typing import Any, cast

import yaml
from yaml.composer import Composer

MAX_DEPTH = 32
_RESOLVERS = (
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", r"[-+]?(0|[1-9][0-9]{0,17})", list("-+0123456789")),
    ("float", r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", list("-+.0123456789")),
    ("float", r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)", list("-+.")),
)


class YamlFault(Exception):
    """A text is not the YAML that contracts use: what is wrong, and in which line (from 1)."""

    def __init__(self, what: str, line: int) -> None:
        self.what = what
        self.line = line
        super().__init__(f"line {line}: {what}")


def parse(text: str) -> tuple[Any, yaml.Node | None]:
    """The value that a text stands for, and its nodes, which know their lines; an empty text is ``None``.

    Raises
    ------
    YamlFault: the text is no YAML, or uses more of it than contracts do.
    """
    try:
        loader = _Loader(text)
        tree = loader.get_single_node()
        return (loader.construct_document(tree) if tree else None), tree
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise YamlFault(f"character #x{error.character:04x} is not allowed", line) from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise YamlFault(error.problem or str(error), mark.line + 1 if mark else 1) from error


class _Loader(Composer, yaml.CSafeLoader):
    """YAML's safe loader, stricter; what is refused is refused before anything is built from it.

    The text is read by libyaml: in Python alone, a hundred contracts would take half a minute.
    """

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 - PyYAML's own name
    _depth = 0

    def __init__(self, text: str) -> None:
        yaml.CSafeLoader.__init__(self, text)
        Composer.__init__(self)

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        event: Any = self.peek_event()
        if isinstance(event, yaml.AliasEvent) or event.anchor:
            raise _fault(
                "anchors and aliases (& and *) are not part of a contract: write the value out", event
            )
        if event.tag:
            raise _fault(f"tags such as {event.tag} are not part of a contract", event)
        if self._depth == MAX_DEPTH:
            raise _fault(f"nested more than {MAX_DEPTH} levels deep", event)
        self._depth += 1
        node = super().compose_node(parent, index)
        self._depth -= 1
        if isinstance(node, yaml.MappingNode):
            _check_keys(node)
        return node


for _tag, _pattern, _first in _RESOLVERS:
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(f"^(?:{_pattern})$"), _first)


def _check_keys(node: yaml.MappingNode) -> None:
    seen: set[str] = set()
    for key, _ in node.value:
        if not isinstance(key, yaml.ScalarNode):
            raise _fault("a key must be plain text", key)
        if key.value in seen:
            raise _fault(f"key {key.value!r} is given twice", key)
        seen.add(key.value)


def _fault(what: str, place: yaml.Event | yaml.Node) -> yaml.MarkedYAMLError:
    return yaml.MarkedYAMLError(problem=what, problem_mark=cast("yaml.error.Mark", place.start_mark))
