"""What a person should know of a draft: what was decided, what may be wrong, and what is still missing."""

from __future__ import annotations

from include.kreislauf.drafting.contents import OPEN, Plan
from include.kreislauf.drafting.roles import shown
from include.kreislauf.drafting.trial import Tried
from include.kreislauf.preparation.association import association
from include.kreislauf.requirements.contract import Contract
from include.kreislauf.statistics.verdicts import Verdict

KNOWS_TOO_MUCH = 0.97
"""Association with the target from which a feature likely knows it."""
NO_CHANCE = 0.3
"""Association with the target that an identifier does not have by chance."""
LEAST_ROWS = 50
"""Fewer rows say nothing of an association."""
RARE = 0.05
OFTEN_MISSING = 0.5
EXAMPLES = 8


def notes_of(plan: Plan, tried: Tried, contract: Contract) -> tuple[str, ...]:
    """What was found and decided."""
    target, reached = plan.roles.target, tried.reached
    kinds = {
        "regression": "a number",
        "binary": "one of two classes",
        "multiclass": f"one of {len(target.classes)} classes",
    }
    found = [
        *plan.table.notes,
        f"{target.name} is predicted, {kinds[target.kind]}, from {len(plan.roles.features)} columns",
    ]
    if plan.roles.hidden:
        names = [f"{name} ({plan.columns[name].trouble or 'reserved name'})" for name in plan.roles.hidden]
        found.append(f"not for models: {shown(names, EXAMPLES)}; the contract says why at each of them")
    found += [f"left out: {name!r} {why}" for name, why in list(plan.table.left_out.items())[:EXAMPLES]]
    found.append(
        f"quick run on {tried.rows:,} rows: {reached.model} undercuts {reached.baseline} by {reached.gain[0]:.1%}, "
        f"{plan.measure_name} {reached.business[0]:.4g}"
    )
    decision = tried.decide(contract)
    if decision.verdict is Verdict.PASS:
        found.append(f"with these thresholds the gates would let it pass: {decision.text}")
    return tuple(found)


def warnings_of(plan: Plan, tried: Tried, contract: Contract) -> tuple[str, ...]:
    """What may be wrong with the data, or with what can be reached with them."""
    found = [*_leaks(plan), *_thin(plan)]
    decision = tried.decide(contract)
    if decision.verdict is not Verdict.PASS:
        found.append(f"with these thresholds the gates would say no on the sample: {decision.text}")
    return tuple(found)


def missing_of(plan: Plan) -> tuple[str, ...]:
    """What only people can add."""
    wishes, place = plan.wishes, plan.table.place
    found = [
        f"{field}: stands as {OPEN!r} in the contract"
        for field in ("purpose", "owner")
        if not getattr(wishes, field)
    ]
    if wishes.sign_off == "required":
        found.append(
            "sign-off: a person signs the contract in Airflow (requirements DAG), each version of it"
        )
    if place.connection:
        found.append(f"the connection {place.connection!r} in Airflow (Admin, Connections), for its workers")
    elif "{data}" in place.url:
        found.append("KREISLAUF_DATA, the same for all workers")
    elif "://" not in place.url:
        found.append(
            f"workers must be able to read {place.url}: on several machines choose a URL or KREISLAUF_DATA"
        )
    found.append(
        f"outcomes: what really happened must be sent to POST /v1/{wishes.name}/outcomes with each prediction's id: "
        "without it nothing live can be judged"
    )
    if plan.measure != "decision_value":
        found.append(
            "what the predictions are worth: where acting on them has known costs, a decision_value (--costs) says more"
        )
    return tuple(found)


def _leaks(plan: Plan) -> list[str]:
    target = plan.roles.target
    told = {name: found for name in plan.columns if (found := _goes_with_target(plan, name))}
    best = max((abs(value) for value, _ in told.values()), default=0.0)
    lines: list[str] = []
    for name, (value, unit) in sorted(told.items(), key=lambda one: -abs(one[1][0])):
        goes = f"{name} goes with {target.name} ({unit} {value:.2f}"
        if plan.columns[name].trouble == "identifier" and abs(value) >= NO_CHANCE:
            most = ", more than any feature" if abs(value) == best else ""
            lines.append(
                f"leak: {goes}{most}), and only names rows: they are numbered or ordered by the target; it is left out, and "
                "what else follows their order must be left out as well"
            )
        elif name in plan.roles.features and abs(value) >= KNOWS_TOO_MUCH:
            lines.append(
                f"leak? {goes}): is it known when the prediction is made? if not, set feature: false on it"
            )
    return lines[:EXAMPLES]


def _goes_with_target(plan: Plan, name: str) -> tuple[float, str] | None:
    """How closely a column goes with the target; of texts that name rows their order does. ``None``: it cannot."""
    target, column, frame = plan.roles.target, plan.columns[name], plan.table.frame
    if name == target.name or (name not in plan.roles.features and column.trouble != "identifier"):
        return None
    pairs = frame[[name, target.name]].dropna()
    values, happened = pairs[name], pairs[target.name]
    if column.trouble == "identifier" and column.type == "text":
        values = values.astype("str").rank()
    if target.classes:
        happened = happened.astype("str").rank(method="dense")
    return association(values, happened, classes=bool(target.classes)) if len(pairs) >= LEAST_ROWS else None


def _thin(plan: Plan) -> list[str]:
    target, found = plan.roles.target, []
    rows = len(plan.table.frame)
    if target.known < rows:
        found.append(
            f"{target.name} is missing in {1 - target.known / rows:.1%} of the rows: only the others are learnt from"
        )
    total = sum(target.counts.values())
    rare = [f"{name} ({count} of {total:,})" for name, count in target.counts.items() if count < RARE * total]
    if rare:
        found.append(
            f"rare: {shown(rare, EXAMPLES)}: the share of right predictions says little; costs (--costs) say more"
        )
    often = [
        f"{name} ({plan.columns[name].missing:.0%})"
        for name in plan.roles.features
        if plan.columns[name].missing >= OFTEN_MISSING
    ]
    if often:
        found.append(f"mostly missing: {shown(often, EXAMPLES)}")
    dates = [name for name, one in plan.columns.items() if one.trouble == "dates_as_text"]
    if dates:
        found.append(
            f"dates as text in {shown(dates, EXAMPLES)}: which number is the month is never guessed; ISO 8601 is read as dates"
        )
    return found
