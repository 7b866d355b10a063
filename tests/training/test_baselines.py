"""Baselines: on the same rows as candidates, and without the future."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from include.kreislauf.training.baselines import baselines
from include.kreislauf.training.design import Rows
from tests.training.worlds import (
    DESIGN,
    TIMELESS,
    asked,
    class_rows,
    frame,
    timeless,
)


@pytest.mark.parametrize("horizon", [1, 2, 4])
def test_baselines_in_time_know_no_future(horizon: int) -> None:
    data = frame()
    rows = Rows.of(data, replace(DESIGN, purge=horizon))
    fold = rows.splits(asked("ridge")).held_out[0]
    found = baselines(rows, [fold])
    assert set(found) == {"persistence", "momentum", "drift", "prior"}
    assert {values[fold.label].shape for values in found.values()} == {(12,)}
    assert (found["persistence"][fold.label] == 0).all()
    known = data["period"] + pd.DateOffset(months=3 * horizon) <= pd.Timestamp(fold.label)
    assert found["drift"][fold.label][0] == pytest.approx(data.loc[known, "target"].mean())
    last = data[data["period"] == pd.Timestamp(fold.label) - pd.DateOffset(months=3 * horizon)]
    expected = last.set_index("entity")["target"][rows.frame["entity"].iloc[fold.predict]]
    np.testing.assert_array_equal(found["momentum"][fold.label], expected)


def test_an_entity_without_a_last_change_has_no_momentum() -> None:
    data = frame()
    gone = (data["entity"] == "e03") & (data["period"] == "2015-07-01")
    rows = Rows.of(data[~gone], DESIGN)
    fold = next(one for one in rows.splits(asked("ridge")).held_out if one.label == "2015-10-01")
    momentum = baselines(rows, [fold])["momentum"][fold.label]
    assert [
        name
        for name, value in zip(rows.frame["entity"].iloc[fold.predict], momentum, strict=True)
        if value == 0
    ] == ["e03"]


def test_the_prior_without_time_is_the_mean_of_what_is_learnt_from() -> None:
    rows = Rows.of(timeless(), TIMELESS)
    splits = rows.splits(asked("ridge"))
    found = baselines(rows, splits.search)
    assert set(found) == {"prior"}
    for fold in splits.search:
        assert found["prior"][fold.label] == pytest.approx(
            np.full(fold.predict.size, rows.outcomes[fold.learn].mean())
        )
    changed = timeless()
    changed["target"] += 1.0
    assert baselines(Rows.of(changed, TIMELESS), splits.search)["prior"]["fold 1"][0] == pytest.approx(
        found["prior"]["fold 1"][0] + 1.0
    )


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("time", [True, False])
def test_the_prior_of_classes_are_their_shares(classes: int, time: bool) -> None:
    rows = class_rows(classes, time=time)
    for fold in rows.splits(asked("ridge")).held_out:
        found = baselines(rows, [fold])
        assert set(found) == {"prior"}
        counts = [np.mean(rows.outcomes[fold.learn] == place) for place in range(classes)]
        np.testing.assert_allclose(found["prior"][fold.label], np.tile(counts, (fold.predict.size, 1)))


def test_a_class_that_was_not_there_yet_has_no_share() -> None:
    rows = class_rows(3, time=False, data=timeless(30))
    fold = replace(rows.splits(asked("ridge")).held_out[0], learn=np.flatnonzero(rows.outcomes < 2.0))
    assert (baselines(rows, [fold])["prior"][fold.label][:, 2] == 0).all()
