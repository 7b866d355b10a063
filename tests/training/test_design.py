"""Rows as models see them: the order, the classes, what is drawn together, and the splits."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from include.kreislauf.errors import TrainingError
from include.kreislauf.training.design import Rows
from tests.training.worlds import (
    BY_CLASS,
    DESIGN,
    TIMELESS,
    TIMELESS_BY_CLASS,
    asked,
    class_rows,
    frame,
    timeless,
)


@settings(max_examples=20)
@given(order=st.permutations(range(30)), without_time=st.booleans())
def test_the_order_of_a_frame_makes_no_difference(order: list[int], without_time: bool) -> None:
    """Also where rows without time are told apart by their target only."""
    data = timeless(30, entities=5).assign(x=1.0, noise=0.0, kind="a") if without_time else frame(6, 5)
    design = TIMELESS if without_time else DESIGN
    expected, shuffled = Rows.of(data, design), Rows.of(data.iloc[order], design)
    pd.testing.assert_frame_equal(shuffled.frame, expected.frame)
    np.testing.assert_array_equal(shuffled.outcomes, expected.outcomes)


def test_rows_are_those_with_a_known_target_in_the_order_of_time() -> None:
    rows = Rows.of(frame(4, 3), DESIGN)
    assert len(rows.frame) == 9
    assert rows.blocks == ["2012-01-01"] * 3 + ["2012-04-01"] * 3 + ["2012-07-01"] * 3
    assert np.diff(rows.times).tolist() == [0, 0, 1, 0, 0, 1, 0, 0]
    assert rows.classes == []
    assert list(rows.features(np.array([0, 5])).columns) == ["x", "noise", "kind"]


@pytest.mark.parametrize(("period", "step"), [("month", 3), ("quarter", 1), ("year", 0)])
def test_periods_are_consecutive_numbers_of_their_length(period: Any, step: int) -> None:
    design = replace(DESIGN, period=period)
    times = design.times(pd.Series(pd.to_datetime(["2012-10-01", "2013-01-01", "2013-04-01"])))
    assert np.diff(times).tolist() == [step or 1, step]


@pytest.mark.parametrize("time", [True, False])
def test_classes_stand_in_the_order_of_the_contract_also_those_that_never_happened(time: bool) -> None:
    rows = class_rows(2, time=time)
    assert rows.classes == ["yes", "no"]
    design = replace(rows.design, classes=("yes", "no", "never"))
    assert Rows.of(rows.frame, design).classes == ["yes", "no", "never"]
    np.testing.assert_array_equal(rows.outcomes, rows.frame["target"])
    assert set(rows.outcomes) == {0.0, 1.0}


@pytest.mark.parametrize("design", [BY_CLASS, TIMELESS_BY_CLASS])
@pytest.mark.parametrize(("target", "told"), [(0.0, "yes"), (1.0, "no"), (None, r"\(none\)")])
def test_one_class_alone_is_told(design: Any, target: Any, told: str) -> None:
    data = frame(4, 3).assign(target=target)
    with pytest.raises(
        TrainingError, match=rf"the class {told} only; allowed: two classes or more; next: coll"
    ):
        Rows.of(data, design)


def test_what_is_drawn_together_without_time() -> None:
    alone = Rows.of(timeless(6), TIMELESS)
    assert (alone.groups, alone.blocks) == (None, alone.frame["entity"].tolist())
    repeated = Rows.of(timeless(6, entities=3), TIMELESS)
    assert repeated.groups == repeated.blocks == ["e000", "e000", "e001", "e001", "e002", "e002"]
    grouped = Rows.of(timeless(6, entities=3), replace(TIMELESS, group="kind"))
    assert grouped.groups == grouped.blocks == grouped.frame["kind"].tolist()
    assert alone.times.tolist() == [0] * 6


def test_splits_follow_the_contract() -> None:
    training = asked("ridge", held_out_periods=5, search_periods=3, min_rows=24)
    splits = Rows.of(frame(), DESIGN).splits(training)
    assert [fold.label for fold in splits.held_out] == [
        "2015-07-01", "2015-10-01", "2016-01-01", "2016-04-01", "2016-07-01",
    ]  # fmt: skip
    assert [fold.label for fold in splits.search] == ["2014-10-01", "2015-01-01", "2015-04-01"]
    later = Rows.of(frame(), replace(DESIGN, purge=3)).splits(training)
    assert [fold.label for fold in later.search] == ["2014-04-01", "2014-07-01", "2014-10-01"]


def test_held_out_are_the_latest_periods_with_enough_to_learn_from() -> None:
    """100 rows are 9 periods of 12 entities: only the 10th and 11th leave as much."""
    splits = Rows.of(frame(12, 12), DESIGN).splits(asked("ridge", held_out_periods=100))
    assert [fold.label for fold in splits.held_out] == ["2014-04-01", "2014-07-01"]
    assert splits.search == ()
    assert Rows.of(frame()[:0], DESIGN).splits(asked("ridge")).held_out == ()


def test_splits_without_time_keep_groups_and_classes() -> None:
    rows = class_rows(3, time=False, data=timeless(120, entities=30))
    splits = rows.splits(asked("ridge", folds=4))
    assert len(splits.search) == 3
    for fold in (*splits.search, *splits.held_out):
        entities = [set(rows.frame["entity"].iloc[part]) for part in (fold.learn, fold.predict)]
        assert not entities[0] & entities[1]
        assert set(rows.outcomes[fold.predict]) == {0.0, 1.0, 2.0}


def test_fewer_rows_than_folds_are_told() -> None:
    with pytest.raises(TrainingError, match="4 rows are fewer than 5 folds"):
        Rows.of(timeless(4), TIMELESS).splits(asked("ridge"))
    with pytest.raises(TrainingError, match="3 rows of the rarest class are fewer than 5 folds"):
        class_rows(time=False, data=timeless(6)).splits(asked("ridge"))


def shifts(weeks: int = 30, machines: int = 4) -> pd.DataFrame:
    """Rows of eight hours each, with their own times; the target follows x."""
    starts = pd.date_range("2024-01-01", periods=weeks * 21, freq="8h")
    keys = [(f"e{number}", start) for number in range(machines) for start in starts]
    rows = pd.DataFrame(keys, columns=["entity", "period"])
    rows["x"], rows["noise"] = np.random.default_rng(1).normal(size=(2, len(rows)))
    return rows.assign(kind="a", target=0.1 * rows["x"])


def test_rows_shorter_than_a_period_are_split_by_the_period_that_holds_them() -> None:
    """A week is predicted from its start on: of a row whose target takes two weeks more, the third knows nothing yet."""
    design = replace(DESIGN, period="week", purge=3)
    rows = Rows.of(shifts(), design)
    assert rows.blocks[:3] == ["2024-01-01"] * 3
    assert len(set(rows.blocks)) == 30
    for fold in rows.splits(asked("ridge")).held_out:
        assert set(rows.times[fold.predict]) == {fold.time}
        assert fold.predict.size == 84
        assert rows.times[fold.learn].max() == fold.time - 3


def test_hours_are_named_with_the_hour() -> None:
    rows = Rows.of(shifts(1), replace(DESIGN, period="hour"))
    assert sorted(set(rows.blocks))[:2] == ["2024-01-01T00:00", "2024-01-01T08:00"]


def test_what_knows_one_class_only_is_no_fold() -> None:
    """The first failure comes late: earlier periods cannot be predicted, later ones without one can."""
    data = frame().assign(target=lambda own: (own["period"] == "2015-10-01").astype(float))
    rows = Rows.of(data, BY_CLASS)
    splits = rows.splits(asked("ridge", held_out_periods=8))
    assert [fold.label for fold in splits.held_out] == [
        "2016-01-01",
        "2016-04-01",
        "2016-07-01",
        "2016-10-01",
    ]
    assert splits.search == ()
