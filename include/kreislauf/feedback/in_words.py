"""What a problem is about, in words, for people who read the page and not the contract."""

from __future__ import annotations

from include.kreislauf.feedback.overview_models import Predicted
from include.kreislauf.requirements.problem import Problem

SHOWN = 8
"""So many classes are named."""


def predicted(problem: Problem) -> Predicted:
    """What is predicted, of what, and how it is asked for."""
    text = f"{_what(problem)}{_of(problem)}{_when(problem)}; {_asked(problem)}"
    return Predicted(kind=problem.kind, classes=problem.classes, text=text)


def _what(problem: Problem) -> str:
    target = problem.target or "the target of features.py"
    if problem.kind == "regression":
        return f"a number, {target}"
    if problem.kind == "binary":
        no, yes = problem.classes
        return f"the probability of {yes} (not {no}), {target}"
    named = ", ".join(problem.classes[:SHOWN])
    more = f" and {len(problem.classes) - SHOWN} more" if len(problem.classes) > SHOWN else ""
    return f"one of {len(problem.classes)} classes ({named}{more}), {target}"


def _of(problem: Problem) -> str:
    return f", for each {problem.entity}" if problem.entity else ", for each row"


def _when(problem: Problem) -> str:
    if problem.period is None:
        return ""
    ahead = "one" if problem.horizon == 1 else str(problem.horizon)
    return f", {ahead} {problem.period}{'' if problem.horizon == 1 else 's'} ahead"


def _asked(problem: Problem) -> str:
    return "asked for by name" if problem.requests == "entity" else "requests carry all features"
