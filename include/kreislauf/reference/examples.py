"""Whole examples of the sections of a contract, put together from the examples of their fields."""

from __future__ import annotations

from typing import Any, Literal, get_args, get_origin

from include.kreislauf.requirements.problem import Problem
from include.kreislauf.requirements.section import Section
from include.kreislauf.requirements.sources import Counted

APART: dict[type[Section], tuple[str, ...]] = {Problem: ("classes", "group", "row_hours")}
"""Fields that do not go with the others: numbers have no classes, rows with time no groups, a month no shifts."""


def whole(model: type[Section]) -> dict[str, Any]:
    """Every field of a section with its example, without those that are :data:`APART`."""
    apart = APART.get(model, ())
    return {name: example_of(model, name) for name in model.model_fields if name not in apart}


def example_of(model: type[Section], name: str) -> Any:
    """The example of one field: its own, the only value it may have, or that of the section it holds.

    Raises
    ------
    LookupError: it has none.
    """
    field = model.model_fields[name]
    if field.examples:
        return field.examples[0]
    if get_origin(field.annotation) is Literal and len(values := get_args(field.annotation)) == 1:
        return values[0]
    if issubclass(model, Counted) and name == "columns":
        return _columns(model)
    held = sections_in(field.annotation)
    if not held:
        raise LookupError(f"{model.__name__}.{name} has no example: give its Field examples=[…]")
    example = whole(held[0])
    return {tuple: [example], dict: {"name": example}}.get(holder(field.annotation), example)


def sections_in(annotation: Any) -> list[type[Section]]:
    """The sections that a type holds, in its order."""
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return [annotation]
    return [found for part in get_args(annotation) for found in sections_in(part)]


def holder(annotation: Any) -> Any:
    """``tuple`` or ``dict`` where a type holds several, else anything."""
    return get_origin(annotation)


def _columns(model: type[Counted]) -> dict[str, Any]:
    """One column for each thing by which a kind counts."""
    given = ((by, measures[0]) for by, measures in model.GIVES.items())
    return {f"{measure}_by_{by}": {"measure": measure, "by": by} for by, measure in given}
