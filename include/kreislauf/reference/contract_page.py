"""``docs/reference/contract.md``: every section and every field of a contract."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import yaml

from include.kreislauf.reference.examples import example_of, holder, sections_in, whole
from include.kreislauf.reference.fields import code, default, in_words, table
from include.kreislauf.requirements.contract import Contract
from include.kreislauf.requirements.section import Section

CHOOSES = ("kind", "step", "engine")
"""Fields that choose a section where there are several."""
HEADS = ["field", "type", "default", "meaning", "example"]
START = """# Contract

Every section and field of `contract.yaml`, written from the models by `make reference`. How to put one together:
[write a contract](../how-to/write-a-contract.md). Unknown fields are refused; types are not converted (`"3"` is no number).
*Empty* as a default: the field is left out. The examples of a section belong together, those of two sections need not.
"""


@dataclass(frozen=True)
class Part:
    """A section, and where it stands.

    Parameters
    ----------
    title: heading, such as ``sources: kind table``.
    field: name of the field that holds it; empty: the contract itself.
    within: ``tuple`` or ``dict`` where that field holds several.
    """

    model: type[Section]
    title: str
    field: str
    within: Any


def parts(model: type[Section] = Contract) -> dict[str, Part]:
    """All sections below a model, by the name of their class, each where it occurs first."""
    found = {model.__name__: Part(model, "contract.yaml", "", None)}
    for part in _below(model, ""):
        if part.model.__name__ not in found:
            taken = any(one.title == part.title for one in found.values())
            title = f"{part.title}: {part.model.__name__}" if taken else part.title
            found[part.model.__name__] = replace(part, title=title)
    return found


def contract_page() -> str:
    """The page as Markdown."""
    known = parts()
    return "\n".join([START, *(line for part in known.values() for line in _section(part, known))])


def slug(title: str) -> str:
    """The anchor that GitHub gives a heading."""
    return re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")


def as_yaml(value: Any, indent: str = "") -> str:
    """A value as a contract writes it: mappings of mappings in lines of their own, all else behind its name."""
    lines = []
    for name, held in value.items():
        if isinstance(held, list) and held and isinstance(held[0], dict):
            inner = as_yaml(held[0], f"{indent}    ")
            lines.append(f"{indent}{name}:\n{indent}  - {inner.lstrip()}")
        elif isinstance(held, dict) and (indent == "" or any(isinstance(one, dict) for one in held.values())):
            lines.append(f"{indent}{name}:\n{as_yaml(held, indent + '  ')}")
        else:
            lines.append(f"{indent}{name}: {_flow(held)}")
    return "\n".join(lines)


def _flow(value: Any) -> str:
    text: str = yaml.safe_dump(
        value, sort_keys=False, allow_unicode=True, default_flow_style=True, width=10_000
    )
    return text.removesuffix("\n").removesuffix("\n...")


def _below(model: type[Section], path: str) -> Iterator[Part]:
    for name, field in model.model_fields.items():
        held = sections_in(field.annotation)
        for one in held:
            tag = _tag(one) if len(held) > 1 else ""
            title = f"{path}{name}{tag}"
            yield Part(one, title, name, holder(field.annotation))
            yield from _below(one, f"{path}{name}.")


def _tag(model: type[Section]) -> str:
    """What chooses a section where there are several, such as ``: kind table``."""
    name = next(name for name in CHOOSES if name in model.model_fields)
    return f": {name} {example_of(model, name)}"


def _section(part: Part, known: dict[str, Part]) -> list[str]:
    schema = part.model.model_json_schema()

    def link(name: str) -> str:
        title = known[name].title if name in known else ""
        return f"[{title}](#{slug(title)})" if title else "any value"

    names = sorted(part.model.model_fields, key=lambda name: name not in CHOOSES)
    rows = [_row(part.model, name, in_words(schema["properties"][name], link)) for name in names]
    shown = {} if part.model is Contract else whole(part.model)
    ordered = {name: shown[name] for name in names if name in shown}
    return [
        f"## {part.title}\n", f"{inspect.getdoc(part.model)}\n", *table(rows, HEADS), "",
        *(["```yaml", as_yaml(_placed(part, ordered)), "```", ""] if shown else []),
    ]  # fmt: skip


def _row(model: type[Section], name: str, words: str) -> list[str]:
    field = model.model_fields[name]
    held = sections_in(field.annotation)
    example = "" if held and not field.examples else code(example_of(model, name))
    return [code(name), words, default(field), meaning(model, name), example]


def meaning(model: type[Section], name: str) -> str:
    """What a field says of itself; one that only chooses the section, or only holds one, needs to say nothing."""
    field = model.model_fields[name]
    held = sections_in(field.annotation)
    if field.description or name in CHOOSES or len(held) != 1:
        return field.description or ("Chooses this section." if name in CHOOSES else "")
    return (inspect.getdoc(held[0]) or "").splitlines()[0]


def _placed(part: Part, example: dict[str, Any]) -> dict[str, Any]:
    within: dict[Any, Any] = {tuple: [example], dict: {"name": example}}
    return {part.field: within.get(part.within, example)}
