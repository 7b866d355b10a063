"""Prediction intervals know only what was known when a prediction was made."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from include.kreislauf.evaluation.intervals import with_intervals
from tests.evaluation.worlds import SEARCH, guess, question, report, truth

ROWS = truth()


def model(skill: float = 0.6, rows: pd.DataFrame = ROWS) -> pd.DataFrame:
    return rows.assign(prediction=guess(rows, skill))


@settings(max_examples=25, deadline=None)
@given(
    time=st.integers(1, 15),
    horizon=st.integers(1, 4),
    coverage=st.floats(0.55, 0.95),
    seed=st.integers(0, 99),
)
def test_outcomes_that_come_later_change_no_earlier_bound(
    time: int, horizon: int, coverage: float, seed: int
) -> None:
    """The outcome of a prediction made at t is known at t + horizon, and may be used from then on."""
    rows = model()
    noise = np.random.default_rng(seed).normal(1.0, 1.0, len(rows))
    other = rows.assign(target=rows["target"].where(rows["time"] < time, noise))
    before, after = (with_intervals(one, coverage, horizon) for one in (rows, other))
    known = rows["time"] < time + horizon
    pd.testing.assert_frame_equal(before.loc[known, ["low", "high"]], after.loc[known, ["low", "high"]])


@pytest.mark.parametrize("horizon", [1, 3])
def test_an_outcome_counts_from_the_time_it_is_known(horizon: int) -> None:
    rows = model()
    other = rows.assign(target=rows["target"].where(rows["time"] != SEARCH, 9.0))
    before, after = (with_intervals(one, 0.8, horizon) for one in (rows, other))
    changed = rows["time"][before["high"] != after["high"]]
    assert sorted(changed.unique()) == list(range(SEARCH + horizon, 16))


def test_the_bounds_are_the_predictions_and_the_quantile_of_earlier_errors() -> None:
    rows = with_intervals(model(), 0.8, 2)
    errors = (rows["target"] - rows["prediction"]).abs()
    earlier = np.sort(errors[rows["time"] <= 8])
    width = earlier[int(np.ceil((len(earlier) + 1) * 0.8)) - 1]
    own = rows[rows["time"] == 10]
    assert (own["high"] - own["prediction"]).to_numpy() == pytest.approx(width)
    assert (own["prediction"] - own["low"]).to_numpy() == pytest.approx(width)
    every = np.sort(errors)
    assert rows["next_half_width"].unique() == pytest.approx([every[int(np.ceil(321 * 0.8)) - 1]])


def test_where_nothing_is_known_yet_the_interval_is_infinite_and_not_judged() -> None:
    rows = with_intervals(model(), 0.8, 1)
    first = rows["time"] == 0
    assert np.isinf(rows.loc[first, ["low", "high"]]).all(axis=None)
    assert np.isfinite(rows.loc[~first, ["low", "high"]]).all(axis=None)
    alone = ROWS[ROWS["part"] == "held_out"]
    made = report(alone, {"ridge": guess(alone, 0.6)}).scores("ridge")
    inside = with_intervals(model(rows=alone), 0.8, 1)
    later = inside[inside["time"] > SEARCH]
    assert made.coverage == pytest.approx(later["target"].between(later["low"], later["high"]).mean())


@pytest.mark.parametrize(("asked", "tolerance"), [(0.6, 0.08), (0.8, 0.08), (0.95, 0.05)])
def test_intervals_hold_about_as_many_outcomes_as_they_promise(asked: float, tolerance: float) -> None:
    rows = truth(entities=40, seed=3)
    made = report(rows, {"ridge": guess(rows, 0.6, 4)}, asked=question(interval=asked)).scores("ridge")
    assert made.coverage == pytest.approx(asked, abs=tolerance)
    assert made.half_width is not None


def test_without_time_the_search_calibrates_what_is_held_out() -> None:
    rng = np.random.default_rng(0)
    fold = np.arange(200) % 5 + 1
    values: dict[str, Any] = {"time": fold, "target": rng.normal(size=200), "prediction": 0.0}
    rows = pd.DataFrame(values)
    found = with_intervals(rows, 0.8, 1)
    errors = np.sort(rows.loc[fold < 5, "target"].abs())
    assert found.loc[fold == 5, "high"].unique() == pytest.approx([errors[int(np.ceil(161 * 0.8)) - 1]])
