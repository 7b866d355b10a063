"""Candidates: the boundary in time, repeatable fits, baselines, and the families themselves."""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd
import pytest

from include.kreislauf.errors import TrainingError
from include.kreislauf.training import candidates as training
from include.kreislauf.training.families import FAMILIES

FEATURES = training.FeatureSet(numeric=("x", "noise"), categorical=("kind",))
SEED = 7


def frame(periods: int = 20, entities: int = 12, seed: int = 0) -> pd.DataFrame:
    """Targets follow x; the last period has no target yet."""
    rng = np.random.default_rng(seed)
    starts = pd.date_range("2012-01-01", periods=periods, freq="QS")
    keys = [(f"e{i:02d}", start) for i in range(entities) for start in starts]
    rows = pd.DataFrame(keys, columns=["entity", "period"])
    rows["x"], rows["noise"] = rng.normal(size=(2, len(rows)))
    rows["kind"] = np.where(rows["entity"] < "e06", "a", "b")
    rows["target"] = 0.1 * rows["x"] + rng.normal(0, 0.02, len(rows))
    rows.loc[rows["period"] == starts[-1], "target"] = np.nan
    return rows


def one(family: str) -> training.Candidate:
    return training.candidates([family], breadth=1)[0]


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_every_family_learns_and_repeats_itself(family: str) -> None:
    data = frame()
    held_out = training.held_out_periods(data, FEATURES, 3)
    first = training.rolling_origin(data, held_out, one(family), FEATURES, SEED)
    again = training.rolling_origin(
        data.sample(frac=1, random_state=1), held_out, one(family), FEATURES, SEED
    )
    pd.testing.assert_frame_equal(first, again, check_exact=True)
    assert list(first.columns) == ["entity", "period", "prediction", "target"]
    assert (first["target"] - first["prediction"]).abs().mean() < 0.9 * first["target"].abs().mean()


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_an_unseen_category_is_predicted(family: str) -> None:
    model = training.fit_final(frame(), one(family), FEATURES, SEED)
    unseen = pd.DataFrame({"x": [0.5], "noise": [0.0], "kind": ["never seen"]})
    assert np.isfinite(model.predict(unseen)).all()


def test_only_targets_known_at_the_prediction_are_used() -> None:
    """Every target from the held-out period on may change, and its prediction stays; one before may not."""
    data = frame()
    period = date(2015, 10, 1)
    expected = training.rolling_origin(data, [period], one("ridge"), FEATURES, SEED)["prediction"]
    future = data.copy()
    future.loc[future["period"] >= pd.Timestamp(period), "target"] += 9.0
    same = training.rolling_origin(future, [period], one("ridge"), FEATURES, SEED)["prediction"]
    np.testing.assert_array_equal(same, expected)
    past = data.copy()
    past.loc[past["period"] == pd.Timestamp("2015-07-01"), "target"] += 9.0
    moved = training.rolling_origin(past, [period], one("ridge"), FEATURES, SEED)["prediction"]
    assert not np.allclose(moved, expected)


def test_with_horizon_two_the_period_before_is_still_unknown() -> None:
    features = training.FeatureSet(FEATURES.numeric, FEATURES.categorical, horizon=2)
    data = frame()
    period = date(2015, 10, 1)
    expected = training.rolling_origin(data, [period], one("ridge"), features, SEED)["prediction"]
    changed = data.copy()
    changed.loc[changed["period"] >= pd.Timestamp("2015-07-01"), "target"] += 9.0
    same = training.rolling_origin(changed, [period], one("ridge"), features, SEED)["prediction"]
    np.testing.assert_array_equal(same, expected)


def test_held_out_periods_are_the_latest_with_enough_to_learn_from() -> None:
    data = frame(periods=12, entities=12)
    assert training.held_out_periods(data, FEATURES, 2) == (date(2014, 4, 1), date(2014, 7, 1))
    # 100 rows are 9 periods of 12 entities: only the 10th and 11th leave as much
    assert training.held_out_periods(data, FEATURES, 99) == (date(2014, 4, 1), date(2014, 7, 1))
    assert training.held_out_periods(data[:0], FEATURES, 4) == ()


def test_baselines_are_on_the_same_rows_and_know_no_future() -> None:
    data = frame()
    held_out = training.held_out_periods(data, FEATURES, 4)
    baselines = training.baselines(data, held_out, FEATURES)
    rows = training.rolling_origin(data, held_out, one("ridge"), FEATURES, SEED)
    for baseline in baselines.values():
        pd.testing.assert_frame_equal(
            baseline[["entity", "period", "target"]], rows[["entity", "period", "target"]]
        )
    assert (baselines["persistence"]["prediction"] == 0).all()
    momentum = baselines["momentum"].set_index(["entity", "period"])["prediction"]
    last = data["period"] == pd.Timestamp(held_out[0]) - pd.DateOffset(months=3)
    before = data[last].set_index("entity")["target"]
    assert momentum[("e03", pd.Timestamp(held_out[0]))] == before["e03"]
    known = data[data["period"] < pd.Timestamp(held_out[0])]["target"].mean()
    assert baselines["drift"]["prediction"].iloc[0] == pytest.approx(known)


def test_breadth_widens_the_search_and_defaults_come_first() -> None:
    narrow, wide = (training.candidates(["ridge", "random_forest"], breadth) for breadth in (1, 4))
    assert [candidate.name for candidate in narrow] == ["ridge:alpha300", "random_forest:leaf15"]
    assert {candidate.name for candidate in narrow} < {candidate.name for candidate in wide}
    assert len({candidate.name for candidate in wide}) == len(wide) == 8
    assert training.candidates(["ridge", "ridge"], 1) == training.candidates(["ridge"], 1)


def test_several_candidates_at_once_give_the_same() -> None:
    data = frame()
    tried = training.candidates(["ridge", "random_forest"], 1)
    held_out = training.held_out_periods(data, FEATURES, 2)
    together = training.rolling_origins(data, held_out, tried, FEATURES, SEED)
    assert list(together) == [candidate.name for candidate in tried]
    alone = training.rolling_origin(data, held_out, tried[1], FEATURES, SEED)
    pd.testing.assert_frame_equal(together[tried[1].name], alone, check_exact=True)


def test_an_outlier_in_the_training_targets_has_bounded_weight() -> None:
    data = frame()
    data.loc[0, "target"] = 1e6
    model = training.fit_final(data, one("ridge"), FEATURES, SEED)
    assert np.abs(model.predict(data[FEATURES.names])).max() < 1.0


def test_errors_say_what_is_allowed() -> None:
    with pytest.raises(TrainingError, match=r"unknown model family 'prophet'.*ridge"):
        training.candidates(["prophet"])
    with pytest.raises(TrainingError, match="breadth 0"):
        training.candidates(["ridge"], 0)
    with pytest.raises(TrainingError, match="no row with known target to learn"):
        training.fit_final(frame()[:0], one("ridge"), FEATURES, SEED)
    with pytest.raises(TrainingError, match="no row with known target to learn"):
        training.rolling_origin(frame(), [date(2012, 1, 1)], one("ridge"), FEATURES, SEED)
    with pytest.raises(TrainingError, match="no period has 100 rows"):
        training.rolling_origin(frame(), [], one("ridge"), FEATURES, SEED)
    with pytest.raises(TrainingError, match="held-out period 2016-10-01"):
        training.rolling_origin(frame(), [date(2016, 10, 1)], one("ridge"), FEATURES, SEED)
