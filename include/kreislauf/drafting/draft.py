"""From a table and a few wishes to a contract: the whole way as functions without side effects, for a shell or a form."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from pydantic import TypeAdapter, ValidationError

from include.kreislauf.drafting.contents import Plan, content_of
from include.kreislauf.drafting.levels import before_any_run, bounds_for, levels_for, measure_for
from include.kreislauf.drafting.notes import missing_of, notes_of, warnings_of
from include.kreislauf.drafting.profiling import profile
from include.kreislauf.drafting.roles import questions, roles_of
from include.kreislauf.drafting.table import DraftError, Table
from include.kreislauf.drafting.trial import Tried, try_out
from include.kreislauf.drafting.wishes import Question, Wishes
from include.kreislauf.drafting.writing import as_yaml, plain
from include.kreislauf.handovers import Name
from include.kreislauf.requirements.contract import Contract
from include.kreislauf.requirements.faults import faults_of
from include.kreislauf.requirements.loading import MAX_BYTES

HEAD = ("# yaml-language-server: $schema=../contract.schema.json",)


@dataclass(frozen=True)
class Draft:
    """A contract that loads, and what a person should know of it.

    Parameters
    ----------
    text: of ``contract.yaml``, with a reason for each proposed value.
    notes: what was found and decided; ``warnings``: what may be wrong with the data.
    missing: what only people can add before the use case runs, or while it does.
    questions: what was answered by a proposal, as nobody else had.
    tried: what the quick run has reached.
    """

    text: str
    contract: Contract
    notes: tuple[str, ...]
    warnings: tuple[str, ...]
    missing: tuple[str, ...]
    questions: tuple[Question, ...]
    tried: Tried = field(repr=False)


def open_questions(table: Table, wishes: Wishes) -> tuple[Question, ...]:
    """What the data do not say, and nobody has said yet; answers go into the field of the wishes that each names."""
    return questions(table, profile(table), wishes)


def draft(table: Table, wishes: Wishes, *, now: datetime, n_jobs: int = 1) -> Draft:
    """A contract for a table.

    Parameters
    ----------
    table: what :func:`~include.kreislauf.drafting.reading.look` has seen.
    now: rows of later periods are left out, as a collection would.
    n_jobs: processes of the quick run.

    Raises
    ------
    DraftError: no contract can be made of it; says what, where, what is allowed, and what to do next.
    """
    _require_name(wishes.name)
    columns = profile(table)
    roles = roles_of(table, columns, wishes)
    measure = measure_for(roles.target, wishes)
    span = _span(table, roles.target.name) if roles.target.kind == "regression" else 1.0
    bounds = bounds_for(measure, roles.target.kind, span, _value_of_decisions(wishes))
    plan = Plan(table, columns, roles, wishes, measure, bounds, now)
    first = content_of(plan, before_any_run(measure, bounds))
    _text(plan, first)  # what is too long is told before the quick run
    tried = try_out(table, _valid(first), now, n_jobs)
    content = content_of(plan, levels_for(tried.reached, measure, bounds))
    contract, text = _valid(content), _text(plan, content)
    return Draft(
        text, contract, notes_of(plan, tried, contract), warnings_of(plan, tried, contract), missing_of(plan),
        questions(table, columns, wishes), tried,
    )  # fmt: skip


def _text(plan: Plan, content: Mapping[str, Any]) -> str:
    text = as_yaml(content, HEAD)
    if (size := len(text.encode())) > MAX_BYTES:
        raise DraftError(
            f"a contract with {len(plan.columns)} columns would have {size:,} bytes", where=plan.table.place.text,
            allowed=f"up to {MAX_BYTES:,} bytes", next_step="shorten the names of the columns, or leave some out in the source",
        )  # fmt: skip
    return text


def _require_name(name: str) -> None:
    try:
        TypeAdapter(Name).validate_python(name)
    except ValidationError as error:
        raise DraftError(
            f"{name!r} cannot be the name of a use case",
            allowed="lower-case letters, digits and underscores, starting with a letter, at most 63",
            next_step="choose another name",
        ) from error


def _valid(content: Mapping[str, Any]) -> Contract:
    try:
        return Contract.model_validate(plain(content))
    except ValidationError as error:
        first, *others = faults_of(error, Contract)
        more = f"; and {len(others)} more" if others else ""
        raise DraftError(
            f"no valid contract can be made: {first.what}{more}", allowed=first.allowed,
            next_step="correct the data or the wishes",
        ) from error  # fmt: skip


def _span(table: Table, target: str) -> float:
    values = table.frame[target].dropna().astype("float64")
    return float(values.max() - values.min())


def _value_of_decisions(wishes: Wishes) -> tuple[float, float] | None:
    """The least and the greatest that a decision can save, by the costs."""
    if not wishes.costs:
        if wishes.measure == "decision_value":
            raise DraftError(
                "a decision has no value without costs", where="--measure", next_step="give --costs"
            )
        return None
    without = wishes.without or next(iter(wishes.costs))
    if without not in wishes.costs:
        raise DraftError(f"there is no action {without!r}", where="--without", allowed=list(wishes.costs))
    otherwise = wishes.costs[without]
    saved = [
        otherwise.get(name, cost) - cost for costs in wishes.costs.values() for name, cost in costs.items()
    ]
    if min(saved) == max(saved):
        raise DraftError("all actions cost the same", where="--costs", next_step="give costs that differ")
    return min(saved), max(saved)
