"""What clients say has happened, as it is stored: numbers, of classes their positions."""

from __future__ import annotations

from collections.abc import Sequence

from include.kreislauf.inference.problem import ServedProblem
from include.kreislauf.service.log_entries import Observed
from include.kreislauf.service.predicting import Predicting
from include.kreislauf.service.problems import invalid
from include.kreislauf.service.schemas import Fault, Outcome

MAX_SHOWN = 20
"""Classes that a refusal names at most."""


def as_stored(predicting: Predicting, use_case: str, outcomes: Sequence[Outcome]) -> list[Observed]:
    """Outcomes with a number each, by the classes of the release that answers now.

    Numbers are taken as they are while no release can answer.

    Raises
    ------
    RefusedError: 422, an outcome is none of the classes, or a text where numbers are predicted; 404 or 503, there are
        texts and no release that knows what they mean.
    """
    is_text = any(isinstance(one.value, str) for one in outcomes)
    champion = predicting.champion(use_case) if is_text else predicting.champion_if_any(use_case)
    problem = champion.problem if champion else ServedProblem()
    found: list[Observed] = []
    faults: list[Fault] = []
    for index, one in enumerate(outcomes):
        value = problem.outcome(one.value)
        if value is None:
            faults.append(_fault(problem, index))
        else:
            found.append(Observed(one.prediction_id, value, one.observed_at))
    if faults:
        raise invalid(faults)
    return found


def _fault(problem: ServedProblem, index: int) -> Fault:
    field = f"outcomes.{index}.value"
    if not problem.classes:
        return Fault(field=field, reason="is not a number", allowed="a finite number")
    more = len(problem.classes) - MAX_SHOWN
    shown = ", ".join(problem.classes[:MAX_SHOWN]) + (f" and {more} more" if more > 0 else "")
    allowed = f"{shown}; or its position, 0 to {len(problem.classes) - 1}"
    return Fault(field=field, reason="is none of the classes", allowed=allowed)
