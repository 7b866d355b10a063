"""The business metric: its value, its edge cases and its laws."""

from __future__ import annotations

from math import isnan, nan

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.kreislauf.statistics.business import portfolio_uplift, recommended

GROWTH = st.floats(-1, 1, allow_nan=False)
ROWS = st.lists(st.tuples(GROWTH | st.just(nan), GROWTH | st.just(nan)), min_size=1, max_size=30)


def uplift(rows: list[tuple[float, float]], order: list[int] | None = None, top: int = 3) -> float:
    order = list(range(len(rows))) if order is None else order
    names = [f"tech{i:02d}" for i in order]
    return portfolio_uplift([rows[i][0] for i in order], [rows[i][1] for i in order], top, names=names)


def test_mean_of_the_recommended_minus_mean_of_all() -> None:
    rows = [(0.3, 0.2), (0.2, 0.1), (0.1, -0.1), (0.0, -0.2)]
    assert uplift(rows, top=2) == pytest.approx(0.15 - 0.0)


def test_what_the_model_does_not_know_counts_only_in_all() -> None:
    assert uplift([(0.1, 0.0), (nan, 0.4)], top=1) == pytest.approx(0.0 - 0.2)


def test_a_recommendation_without_outcome_is_not_replaced() -> None:
    assert uplift([(0.9, nan), (0.5, 0.3), (0.1, -0.3)], top=2) == pytest.approx(0.3 - 0.0)


def test_fewer_than_top_uses_what_there_is() -> None:
    assert uplift([(0.1, 0.2), (nan, 0.0)], top=10) == pytest.approx(0.2 - 0.1)


@pytest.mark.parametrize("rows", [[(nan, 0.1)], [(0.1, nan)], [(0.5, nan), (nan, 0.2)]])
def test_nothing_recommended_or_realised_is_nan(rows: list[tuple[float, float]]) -> None:
    assert isnan(uplift(rows))


def test_ties_go_by_name() -> None:
    assert [name for name, _ in recommended([0.0, 0.0, 0.0], ["c", "a", "b"], top=2)] == ["a", "b"]


@pytest.mark.parametrize(
    ("predicted", "realised", "names", "top"),
    [([0.1], [0.1, 0.2], ["a"], 1), ([0.1, 0.2], [0.1, 0.2], ["a"], 1), ([1.0, 2.0], [1.0, 2.0], ["a", "a"],
     1), ([0.1], [0.1], ["a"], 0)],
)  # fmt: skip
def test_wrong_input_is_refused(
    predicted: list[float], realised: list[float], names: list[str], top: int
) -> None:
    with pytest.raises(ValueError, match=r"names but|repeated|at least 1"):
        portfolio_uplift(predicted, realised, top, names=names)


@given(rows=ROWS, data=st.data())
def test_the_order_of_rows_does_not_matter(rows: list[tuple[float, float]], data: st.DataObject) -> None:
    order = data.draw(st.permutations(range(len(rows))))
    assert np.array_equal(uplift(rows), uplift(rows, order), equal_nan=True)


@given(rows=ROWS, constant=GROWTH)
def test_equal_growth_gives_no_uplift(rows: list[tuple[float, float]], constant: float) -> None:
    value = uplift([(predicted, constant) for predicted, _ in rows])
    assert isnan(value) or value == pytest.approx(0.0, abs=1e-12)


@given(rows=ROWS, shift=GROWTH)
def test_a_common_shift_of_growth_changes_nothing(rows: list[tuple[float, float]], shift: float) -> None:
    shifted = uplift([(predicted, realised + shift) for predicted, realised in rows])
    assert shifted == pytest.approx(uplift(rows), abs=1e-9, nan_ok=True)


@given(rows=ROWS)
def test_no_prediction_beats_the_truth(rows: list[tuple[float, float]]) -> None:
    known = [
        (predicted, realised) for predicted, realised in rows if not (isnan(predicted) or isnan(realised))
    ]
    if known:
        assert uplift([(realised, realised) for _, realised in known]) >= uplift(known) - 1e-12
