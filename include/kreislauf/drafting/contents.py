"""The content of a contract, section by section, each proposed value with its reason."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from include.kreislauf.drafting.levels import Levels, better
from include.kreislauf.drafting.profiling import Column
from include.kreislauf.drafting.roles import Roles
from include.kreislauf.drafting.table import Table
from include.kreislauf.drafting.wishes import MeasureName, Wishes
from include.kreislauf.drafting.writing import Noted
from include.kreislauf.evaluation.gates import MIN_ROWS_WITHOUT_TIME
from include.kreislauf.periods import between

SOURCE = "rows"
OPEN = "to be filled in"
"""What stands where only a person knows the answer."""
FAMILIES = ("ridge", "random_forest", "hist_gradient_boosting")
CONFIGURATIONS = 4
FOLDS = 5
STARVED_DAYS = 30
NAMES: Mapping[MeasureName, str] = {
    "hit": "share_right", "absolute_error": "mean_absolute_error", "squared_error": "mean_squared_error",
    "decision_value": "decision_value",
}  # fmt: skip
UNITS: Mapping[MeasureName, str] = {
    "hit": "share", "absolute_error": "unit of the target", "squared_error": "squared unit of the target",
    "decision_value": "cost per prediction",
}  # fmt: skip
_MEANINGS: Mapping[MeasureName, str] = {
    "hit": "The plainest business metric: the share of predictions that turned out right, once their outcome is sent.",
    "absolute_error": "The plainest business metric: how far predictions were from what happened, once it is sent.",
    "squared_error": "The mean square of what predictions missed, once their outcome is sent.",
    "decision_value": "What acting on the predictions saves, by the costs of each action and what then happens.",
}


@dataclass(frozen=True)
class Plan:
    """Everything that a contract is written from."""

    table: Table
    columns: Mapping[str, Column]
    roles: Roles
    wishes: Wishes
    measure: MeasureName
    bounds: list[float]
    now: datetime

    @property
    def measure_name(self) -> str:
        """Of the business metric."""
        return NAMES[self.measure]


def content_of(plan: Plan, levels: Levels) -> dict[str, Any]:
    """The whole contract."""
    wishes = plan.wishes
    return {
        "version": 1,
        "name": wishes.name,
        "title": wishes.title or wishes.name.replace("_", " ").capitalize(),
        "purpose": wishes.purpose or Noted(OPEN, "who does what with the predictions, and what is better then"),
        "owner": wishes.owner or Noted(OPEN, "the role or team that answers for the requirement"),
        "sign_off": wishes.sign_off,
        "problem": _problem(plan),
        "sources": [_source(plan)],
        "quality": _quality(plan),
        "training": _training(plan),
        "performance": _performance(plan, levels),
        "business_metrics": [_business(plan, levels)],
        "monitoring": {
            "starved_days": Noted(STARVED_DAYS, "so long without an outcome warns: without outcomes nothing is judged"),
        },
        "governor": {
            "cool_down_days": Noted(7, "least time between two cycles that monitoring opens by itself"),
            "max_hops": Noted(4, "loops inside one cycle before a person is asked"),
        },
    }  # fmt: skip


def _problem(plan: Plan) -> dict[str, Any]:
    roles, target = plan.roles, plan.roles.target
    found: dict[str, Any] = {"kind": target.kind, "target": target.name}
    if target.classes:
        shares = ", ".join(
            f"{name} {target.counts[name] / sum(target.counts.values()):.1%}" for name in target.classes[:10]
        )
        second = "; of the second one the probability is predicted" if target.kind == "binary" else ""
        found["classes"] = Noted(list(target.classes), f"shares of the rows: {shares}{second}")
    if roles.entity:
        found["entity"] = roles.entity
    if roles.group:
        found["group"] = Noted(roles.group, "rows of one group are never both learnt from and judged by")
    if roles.calendar:
        calendar = roles.calendar
        found["time"] = Noted(calendar.time, "later rows are predicted from earlier ones, in the lab as live")
        found["period"] = Noted(calendar.period, f"the rows lie in {calendar.periods} of them")
        if calendar.row_hours is not None:
            found["row_hours"] = Noted(
                calendar.row_hours, "usual distance of two rows: a period holds several"
            )
        found["horizon"] = Noted(
            plan.wishes.horizon, f"a row's target is known so many {calendar.period}s after its own has ended"
        )
    found["requests"] = Noted("features", "clients send all features of what they ask about")
    return found


def _source(plan: Plan) -> dict[str, Any]:
    place = plan.table.place
    if place.query:
        head: dict[str, Any] = {
            "kind": "sql",
            "name": SOURCE,
            "connection": place.connection,
            "query": place.query,
        }
    else:
        head = {"kind": "table", "name": SOURCE, "url": place.url}
    return {**head, "columns": {name: _column(plan, name) for name in plan.columns}}


def _column(plan: Plan, name: str) -> Any:
    roles, column = plan.roles, plan.columns[name]
    if name in roles.hidden:
        return Noted({"type": column.type, "feature": False}, f"not for models: {roles.hidden[name]}")
    if name in (roles.entity, roles.group):
        return {"type": "text", "required": True}
    if roles.calendar and name == roles.calendar.time:
        return {"type": "date", "required": True}
    if name == roles.target.name:
        missing = f", missing in {column.missing:.1%} of the rows" if column.missing else ""
        return Noted({"type": column.type}, f"the target{missing}")
    if column.type == "date":
        return Noted(
            {"type": "date"}, "dates are never features by themselves: a features.py can make some of them"
        )
    return {"type": column.type}


def _quality(plan: Plan) -> dict[str, Any]:
    found: dict[str, Any] = {
        "min_rows": Noted(
            max(1, plan.table.rows // 2),
            f"half of the {plan.table.rows:,} rows there are now: fewer are a broken delivery",
        )
    }
    if calendar := plan.roles.calendar:
        age = between(calendar.newest.tz_localize("UTC").to_pydatetime(), plan.now, calendar.period)
        if age > 2:
            found["max_age_periods"] = Noted(
                age + 2,
                f"the newest row is {age} {calendar.period}s old: set it lower once rows are delivered",
            )
    return found


def _training(plan: Plan) -> dict[str, Any]:
    found: dict[str, Any] = {
        "candidates": Noted(
            [{"family": name} for name in FAMILIES], "a linear model, and two kinds of trees"
        ),
        "configurations": Noted(
            CONFIGURATIONS, "tried per family; a loop for want of performance doubles it"
        ),
    }
    if calendar := plan.roles.calendar:
        held_out = min(12, max(4, calendar.periods // 4))
        found["held_out_periods"] = Noted(held_out, "the latest ones, kept for the gates")
        found["search_periods"] = Noted(
            min(held_out, calendar.periods - held_out - 2), "before those, to compare configurations"
        )
        found["min_rows"] = Noted(max(2, min(100, plan.table.rows // 4)), "least rows to learn from")
    else:
        found["folds"] = _folds(plan)
    return found | {"seed": 7}


def _folds(plan: Plan) -> Any:
    target = plan.roles.target
    rarest = min(target.counts.values(), default=FOLDS)
    known = round(plan.table.rows * target.known / len(plan.table.frame))
    if rarest < FOLDS:
        return Noted(
            rarest, f"only {rarest} rows are of the rarest class, and each part of the rows needs one"
        )
    if (folds := max(2, min(FOLDS, known // MIN_ROWS_WITHOUT_TIME))) < FOLDS:
        return Noted(
            folds, f"parts of {known} rows: fewer than {MIN_ROWS_WITHOUT_TIME} held out would decide nothing"
        )
    return Noted(folds, "parts of the rows: one is held out for the gates, the others compare configurations")


def _performance(plan: Plan, levels: Levels) -> dict[str, Any]:
    numbers = plan.roles.target.kind == "regression"
    return {
        "metric": "mae"
        if numbers
        else Noted("log_loss", "judges the probabilities, not only the most likely class"),
        "baseline": Noted(levels.baseline, "the best of what costs nothing"),
        "min_gain": Noted(levels.min_gain.value, levels.min_gain.why),
        "too_good_to_be_true": Noted(levels.too_good.value, levels.too_good.why),
    }


def _business(plan: Plan, levels: Levels) -> Any:
    measure, wishes = plan.measure, plan.wishes
    found: dict[str, Any] = {
        "kind": "decision_value" if measure == "decision_value" else "outcomes",
        "name": plan.measure_name,
    }
    if measure == "decision_value":
        found |= {"actions": {name: dict(costs) for name, costs in wishes.costs.items()},
                  "without": Noted(wishes.without or next(iter(wishes.costs)), "what is done where there is no model")}  # fmt: skip
    else:
        found |= {"measure": measure}
        if better(measure) == "lower":
            found["direction"] = "lower"
    found |= {
        "gate_threshold": Noted(levels.gate.value, levels.gate.why),
        "threshold": Noted(levels.live.value, levels.live.why),
        "test": {"bounds": Noted(plan.bounds, _why_bounds(measure))},
        "unit": wishes.unit or UNITS[measure],
    }
    return Noted(found, _MEANINGS[measure])


def _why_bounds(measure: MeasureName) -> str:
    if measure == "hit":
        return "a prediction is right or wrong"
    if measure == "decision_value":
        return "the least and the greatest value of a decision, by the costs"
    return "from the span of the target in the data: a larger error is not plausible"
