"""``docs/reference/settings.md`` and ``handovers.md``: the installation's variables, and what is handed over."""

from __future__ import annotations

import inspect

from pydantic import BaseModel

from include.kreislauf.handovers import Evidence, Frozen, Handover, Loop
from include.kreislauf.reference.fields import code, default, in_words, table
from include.kreislauf.settings import Settings

SETTINGS = """# Settings

Environment variables of one installation, for every Airflow component, the service and the command line; written by
`make reference`. Those that are no part of the models (secrets, connections, Airflow's user) stand in
[operate](../how-to/operate.md#settings).
"""
HANDOVERS = """# Handovers and loops

What one discipline gives the next, and what is sent back: the `extra` of an asset event, and a row of the workflow store.
Written by `make reference` from `include/kreislauf/handovers.py`; events with other fields are refused on receipt.
"""


def settings_page() -> str:
    """The page as Markdown."""
    return "\n".join([SETTINGS, *_fields(Settings, "KREISLAUF_"), ""])


def handovers_page() -> str:
    """The page as Markdown."""
    models: tuple[type[Frozen], ...] = (Handover, Loop, Evidence)
    lines = [HANDOVERS]
    for model in models:
        lines += [f"## {model.__name__}\n", f"{inspect.getdoc(model)}\n", *_fields(model), ""]
    return "\n".join(lines)


def _fields(model: type[BaseModel], prefix: str = "") -> list[str]:
    schema = model.model_json_schema()

    def link(name: str) -> str:
        held = schema["$defs"][name]
        return in_words(held, link) if "enum" in held or not held else name

    rows = []
    for name, field in model.model_fields.items():
        shown = f"{prefix}{name}".upper() if prefix else name
        rows.append(
            [code(shown), in_words(schema["properties"][name], link), default(field), field.description or ""]
        )
    return table(rows, ["variable" if prefix else "field", "type", "default", "meaning"])
