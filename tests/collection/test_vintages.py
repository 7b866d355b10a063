"""Vintages: what was observed later changes nothing about an earlier time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.kreislauf.collection.vintages import choose
from include.kreislauf.requirements.sources import Vintage

BEGIN = datetime(2015, 1, 1, tzinfo=UTC)


def frame(observations: list[tuple[int, int, int]]) -> pd.DataFrame:
    """(unit, days to its observation, value): unit n ends n * 30 days after the begin."""
    return pd.DataFrame({
        "unit": [f"u{unit}" for unit, _, _ in observations],
        "end": pd.to_datetime([BEGIN + timedelta(days=30 * unit) for unit, _, _ in observations], utc=True),
        "observed_at": pd.to_datetime([BEGIN + timedelta(days=day) for _, day, _ in observations], utc=True),
        "value": [value for _, _, value in observations],
    })  # fmt: skip


observation = st.tuples(st.integers(1, 5), st.integers(0, 400), st.integers(0, 99))
observations = st.lists(observation, min_size=1, max_size=30, unique_by=lambda one: one[:2])
rule = st.sampled_from(["first", "latest"])


@given(observations, st.integers(0, 400), rule)
def test_law_later_observations_change_nothing(
    rows: list[tuple[int, int, int]], day: int, vintage: Vintage
) -> None:
    as_of = BEGIN + timedelta(days=day)
    now_known = [one for one in rows if one[1] <= day]
    everything = choose(frame(rows), as_of, vintage)
    pd.testing.assert_frame_equal(
        everything.reset_index(drop=True),
        choose(frame(now_known or rows), as_of, vintage).reset_index(drop=True),
    )
    assert everything["observed_at"].max() <= pd.Timestamp(as_of) or everything.empty


@given(observations, st.integers(0, 400), rule)
def test_law_one_observation_per_unit_taken_after_its_end(
    rows: list[tuple[int, int, int]], day: int, vintage: Vintage
) -> None:
    as_of = BEGIN + timedelta(days=day)
    chosen = choose(frame(rows), as_of, vintage)
    assert not chosen["unit"].duplicated().any()
    pick = min if vintage == "first" else max
    expected = {}
    for unit in {one[0] for one in rows}:
        days = [seen for other, seen, _ in rows if other == unit and 30 * unit <= seen <= day]
        if days and 30 * unit <= day:
            expected[f"u{unit}"] = BEGIN + timedelta(days=pick(days))
    assert dict(zip(chosen["unit"], chosen["observed_at"], strict=True)) == expected


@pytest.mark.parametrize(("vintage", "value"), [("first", 146), ("latest", 100)])
def test_training_and_serving_see_counts_of_the_same_age(vintage: Vintage, value: int) -> None:
    rows = frame([(1, 30, 146), (1, 120, 110), (1, 200, 100)])
    assert choose(rows, BEGIN + timedelta(days=365), vintage)["value"].tolist() == [value]
    # at the end of the unit there is only the first count, whatever the rule
    assert choose(rows, BEGIN + timedelta(days=30), vintage)["value"].tolist() == [146]
