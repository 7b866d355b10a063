"""The champion's error on what happened since, against the one shown at its promotion."""

from __future__ import annotations

from math import log
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from include.kreislauf.monitoring.model_error import SMALLEST, ErrorChange, error_change
from include.kreislauf.monitoring.told import told_by_log
from include.kreislauf.requirements.problem import Problem
from tests.support.problems import NUMBERS, THREE, TWO

SHOWN = 0.24
"""Mean absolute error of a straight line with noise 0.3."""


def line(size: int, slope: float = 1.0, seed: int = 0) -> list[Any]:
    """Outcomes of a straight line, and the prediction of one with slope 1."""
    generator = np.random.default_rng(seed)
    x = generator.normal(size=size)
    happened = slope * x + generator.normal(0, 0.3, size)
    return [SimpleNamespace(value=one, outcome=other) for one, other in zip(x, happened, strict=True)]


def rate(size: int, probability: float = 0.2, seed: int = 0) -> list[Any]:
    """What happens with a probability, and a prediction of 0.2."""
    happened = np.random.default_rng(seed).uniform(size=size) < probability
    return [SimpleNamespace(value=0.2, outcome=float(one)) for one in happened]


def change(
    rows: list[Any], shown: float | None = SHOWN, problem: Problem = NUMBERS, metric: str = "mae"
) -> ErrorChange | None:
    return error_change(shown, told_by_log(problem, rows), metric)


def known(found: ErrorChange | None) -> ErrorChange:
    assert found is not None
    return found


def test_an_error_that_stayed_has_not_risen() -> None:
    found = known(change(line(1600)))
    assert (found.risen, found.shown, found.unit) == (False, SHOWN, "unit of the target")
    assert found.now.low < SHOWN < found.now.high
    assert "it has not risen" in found.text


@pytest.mark.parametrize(("metric", "shown"), [("mae", SHOWN), ("rmse", 0.3)])
def test_an_error_that_rose_lately_has_risen_however_long_it_was_low(metric: str, shown: float) -> None:
    rows = line(1500) + line(SMALLEST, slope=-1.0, seed=1)
    assert known(change(rows, shown, metric=metric)).risen is True


def test_where_the_newest_rows_look_worse_it_is_not_said_to_have_stayed() -> None:
    assert known(change(line(1550) + line(50, slope=0.0, seed=1))).risen is not False


def test_a_few_more_errors_than_shown_are_not_a_rise() -> None:
    assert known(change(line(1600), SHOWN * 0.95)).risen is False


ENTROPY = -0.2 * log(0.2) - 0.8 * log(0.8)


@pytest.mark.parametrize(("metric", "shown"), [("log_loss", ENTROPY), ("brier", 2 * 0.16)])
def test_of_two_classes_the_log_has_the_probabilities(metric: str, shown: float) -> None:
    stayed = known(change(rate(1600), shown, TWO, metric))
    assert (stayed.risen, stayed.now.mean) == (False, pytest.approx(shown, rel=0.1))
    assert known(change(rate(1600, 0.7), shown, TWO, metric)).risen is True
    assert f"the model's {metric} over" in stayed.text
    assert stayed.unit != "unit of the target"


def test_rows_that_no_such_problem_knows_take_no_part() -> None:
    wrong = [SimpleNamespace(value=0.2, outcome=5.0), SimpleNamespace(value=7.0, outcome=1.0)]
    rows = rate(400)
    assert change(rows + wrong * 50, ENTROPY, TWO, "log_loss") == change(rows, ENTROPY, TWO, "log_loss")


@pytest.mark.parametrize(
    ("shown", "problem", "rows"),
    [
        (None, NUMBERS, line(400)),
        (0.0, NUMBERS, line(400)),
        (SHOWN, NUMBERS, line(50)),
        (0.5, THREE, rate(400)),
    ],
)
def test_what_cannot_be_compared_is_not_known(shown: float | None, problem: Problem, rows: list[Any]) -> None:
    assert change(rows, shown, problem, "mae" if problem is NUMBERS else "brier") is None
