"""What each column is for: target, entity, time, group, feature, or nothing that a model may see."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from include.kreislauf.drafting.calendar import Calendar, calendar_of
from include.kreislauf.drafting.profiling import Column
from include.kreislauf.drafting.table import DraftError, Table
from include.kreislauf.drafting.targets import Target, target_candidates, target_of
from include.kreislauf.drafting.wishes import NONE, Question, Wishes
from include.kreislauf.preparation.features import GROUP, KEYS, TARGET

LEAST_GROUPS = 5
ROWS_PER_GROUP = 2
"""A column that is called an identifier, and has so many rows for each value, tells groups of rows apart."""


@dataclass(frozen=True)
class Roles:
    """The columns of a use case by what they are for.

    Parameters
    ----------
    hidden: columns that no model may see, by name why.
    """

    target: Target
    entity: str
    group: str
    calendar: Calendar | None
    features: tuple[str, ...]
    hidden: Mapping[str, str]

    @property
    def keys(self) -> tuple[str, ...]:
        """Columns that are neither target nor feature."""
        time = self.calendar.time if self.calendar else ""
        return tuple(one for one in (self.entity, time, self.group) if one)


def questions(table: Table, columns: Mapping[str, Column], wishes: Wishes) -> tuple[Question, ...]:
    """What is still open, the most important first; what follows from a target is asked once that is known."""
    open_ones = []
    if not wishes.target:
        found = target_candidates(columns)
        open_ones.append(Question("target", "Which column is to be predicted?", found))
    else:
        open_ones += _of_target(table, columns, wishes)
    if not wishes.time and (dates := [one.name for one in columns.values() if one.type == "date"]):
        text = "Which column says what time a row is about (rows of the past then predict later ones)?"
        open_ones.append(Question("time", text, (*dates, NONE), dates[0] if len(dates) == 1 else NONE))
    if not (wishes.group or wishes.entity or wishes.time) and (groups := _groups(columns, wishes)):
        text = "Which column tells groups apart whose rows belong together (such as one customer's)?"
        open_ones.append(Question("group", text, (*groups, NONE), groups[0]))
    if not wishes.purpose:
        open_ones.append(Question("purpose", "What for: who does what with the predictions?", (), ""))
    return tuple(open_ones)


def roles_of(table: Table, columns: Mapping[str, Column], wishes: Wishes) -> Roles:
    """The roles as wished, and as proposed where nothing is wished.

    Raises
    ------
    DraftError: a column does not exist or cannot have its role; no column is left to learn from.
    """
    for role in ("entity", "time", "group"):
        _require_column(getattr(wishes, role), role, columns)
    target = target_of(table, columns, wishes)
    answers = {one.field: one.default for one in questions(table, columns, wishes)}
    entity = _named(wishes.entity)
    time = _named(wishes.time or answers.get("time", ""))
    group = _named(wishes.group or ("" if time or entity else answers.get("group", "")))
    _require_apart({"target": target.name, "entity": entity, "time": time, "group": group})
    calendar = calendar_of(table, columns[time], entity, wishes) if time else None
    others = {target.name, entity, time, group}
    hidden = {name: why for name, one in columns.items() if name not in others and (why := _why_hidden(one, bool(time), bool(group)))}  # fmt: skip
    features = tuple(name for name in columns if name not in others and name not in hidden)
    if not features:
        shown = "; ".join(f"{name}: {why}" for name, why in list(hidden.items())[:5])
        raise DraftError(
            f"no column is left to learn from ({shown or 'there is only the target'})", where=table.place.text,
            allowed="columns of numbers or texts that differ between rows", next_step="name a table with such columns",
        )  # fmt: skip
    return Roles(target, entity, group, calendar, features, hidden)


def _of_target(table: Table, columns: Mapping[str, Column], wishes: Wishes) -> list[Question]:
    target = target_of(table, columns, wishes)
    found = []
    if not wishes.kind and target.unsure:
        allowed = ("multiclass" if len(target.counts) > 2 else "binary", "regression")
        found.append(Question("kind", target.unsure, allowed, target.kind))
    if target.kind == "binary" and not wishes.positive:
        text = "Which class is to be foreseen (its probability is predicted)?"
        found.append(Question("positive", text, tuple(reversed(target.classes)), target.classes[1]))
    return found


def _groups(columns: Mapping[str, Column], wishes: Wishes) -> list[str]:
    rows = [
        one for one in columns.values() if one.called_id and not one.trouble and one.name != wishes.target
    ]
    return [
        one.name
        for one in rows
        if one.distinct >= LEAST_GROUPS and ROWS_PER_GROUP * one.distinct <= one.known
    ]


def _why_hidden(column: Column, timed: bool, grouped: bool) -> str:
    if column.trouble:
        return column.why
    reserved = [KEYS[0], TARGET, *([KEYS[1]] if timed else []), *([GROUP] if grouped else [])]
    if column.name in reserved:
        return "its name is needed for the table of features: rename it in the source to use it"
    return ""


def _named(wish: str) -> str:
    return "" if wish == NONE else wish


def _require_column(name: str, role: str, columns: Mapping[str, Column]) -> None:
    if name and name != NONE and name not in columns:
        raise DraftError(
            f"there is no column {name!r}", where=f"--{role}", allowed=shown(list(columns)),
            next_step="name one of these columns",
        )  # fmt: skip


def _require_apart(roles: Mapping[str, str]) -> None:
    named = [name for name in roles.values() if name]
    for name in named:
        if named.count(name) > 1:
            two = ", ".join(role for role, column in roles.items() if column == name)
            raise DraftError(
                f"column {name!r} cannot be {two} at once", allowed="a column of its own for each role"
            )


def shown(names: Sequence[str], most: int = 20) -> str:
    """Names for people, not too many of them."""
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
