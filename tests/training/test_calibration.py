"""Corrected probabilities: better ones, from rows that were not learnt from, and only where the rows carry it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.calibration import CalibratedClassifierCV

from include.kreislauf.statistics.calibration import of_classes
from include.kreislauf.training.calibration import PARTS, Method, method_for, parts_of
from include.kreislauf.training.design import Design, Rows
from include.kreislauf.training.families import Candidate
from include.kreislauf.training.trials import Job, fit, predict, run, seconds_of
from tests.training.worlds import BY_CLASS, LOG_LOSS, SEED, asked, class_rows, light, timeless

pytestmark = pytest.mark.usefixtures("single_threaded")
SURE: dict[str, Any] = {"n_estimators": 15, "min_samples_leaf": 1, "max_features": 1.0}
OVERSURE = Candidate("random_forest:oversure", "random_forest", SURE)
"""Trees that know each row by heart, and so are much too sure of noise."""


def rare(rows: int = 3000, share: float = 0.02, *, weeks: int = 0, seed: int = 0) -> Rows:
    """Failures that follow x; with weeks the rows are shifts of eight hours."""
    rng = np.random.default_rng(seed)
    x, noise = rng.normal(size=(2, rows))
    chance = 1 / (1 + np.exp(-(np.log(share) + 1.2 * x - 0.5)))
    frame = pd.DataFrame(
        {"x": x, "noise": noise, "kind": "a", "target": (rng.random(rows) < chance).astype(float)}
    )
    frame["entity"] = [f"{number:09d}" for number in range(rows)]
    design = Design(("x", "noise"), ("kind",), ("fine", "fails"), period=None)
    if weeks:
        times = pd.date_range("2024-01-01", periods=weeks * 21, freq="8h")
        frame["period"] = times[np.arange(rows) * len(times) // rows]
        design = replace(design, period="week", purge=2)
    return Rows.of(frame, design)


def noisy(count: int = 1200, **design: Any) -> Rows:
    """Classes that are right three times of four."""
    rng = np.random.default_rng(3)
    data = timeless(count).assign(
        target=lambda own: ((own["x"] > 0) ^ (rng.random(count) < 0.25)).astype(float)
    )
    return Rows.of(data, replace(BY_CLASS, period=None, **design))


def held(rows: Rows, candidate: Candidate, method: Method) -> tuple[Any, float, float]:
    """The model, its calibration error, and its log loss."""
    fold = rows.splits(asked("ridge")).held_out[-1]
    model = fit(rows, candidate, fold.learn, SEED, method)
    shown, happened = predict(model, rows, fold.predict), rows.outcomes[fold.predict]
    return model, of_classes(happened, shown).error, float(LOG_LOSS.losses(happened, shown).mean())


@pytest.mark.parametrize("classes", [2, 3])
def test_a_model_that_is_too_sure_is_corrected(classes: int) -> None:
    rows = noisy()
    if classes == 3:
        outcome = rows.frame["target"] + (rows.frame["noise"] > 0.8)
        rows = Rows.of(rows.frame.assign(target=outcome), replace(rows.design, classes=("a", "b", "c")))
    _, plain, loss = held(rows, OVERSURE, "none")
    model, error, corrected = held(rows, OVERSURE, "sigmoid")
    assert error < plain
    assert corrected < 0.9 * loss
    last = model["model"]
    assert (type(last), len(last.calibrated_classifiers_), last.cv) == (CalibratedClassifierCV, 1, None)
    assert list(last.classes_) == list(range(classes))


def test_isotonic_needs_a_thousand_rows_of_the_rarer_class() -> None:
    rows = noisy(2400)
    every = np.arange(len(rows.frame))
    assert method_for(rows, every, "isotonic") == ("isotonic", "")
    assert held(noisy(3600), OVERSURE, "isotonic")[1] < 0.06
    method, why = method_for(rows, every[:900], "isotonic")
    assert (method, "isotonic needs 1000" in why) == ("sigmoid", True)


def test_five_rows_of_a_class_are_too_few_and_it_is_said() -> None:
    frame = timeless(200).assign(target=lambda own: (own["x"].rank() <= 5).astype(float))
    rows = Rows.of(frame, replace(BY_CLASS, period=None))
    every = np.arange(200)
    assert method_for(rows, every, "sigmoid") == ("none", "5 rows of the rarest class, sigmoid needs 20")
    model = fit(rows, light("ridge", task="classification")[0], every, SEED, "sigmoid")
    assert type(model["model"]).__name__ == "LogisticRegression"
    assert method_for(rows, every, "none") == ("none", "")


def test_numbers_are_not_corrected() -> None:
    rows = Rows.of(timeless(), replace(BY_CLASS, classes=(), period=None))
    assert method_for(rows, np.arange(100), "sigmoid") == ("none", "")


@pytest.mark.parametrize("weeks", [0, 52])
@pytest.mark.parametrize("family", ["ridge", "extra_trees", "hist_gradient_boosting"])
def test_rare_failures_are_learnt_and_their_probabilities_hold(weeks: int, family: str) -> None:
    """Some 2 % of the rows; with time also where a held-out week has none."""
    rows = rare(6000 if weeks else 3000, weeks=weeks)
    for fold in rows.splits(asked("ridge", held_out_periods=8)).held_out[-2:]:
        job = Job(light(family, task="classification")[0], fold, calibration="sigmoid")
        made = run(rows, job, SEED)
        assert (made.failed, made.predictions.shape) == ("", (fold.predict.size, 2))
        assert abs(made.predictions[:, 1].mean() - rows.outcomes[fold.learn].mean()) < 0.015


def test_where_a_stretch_of_time_lacks_a_class_nothing_is_corrected() -> None:
    """All failures lie in one week: the part that predicts it would have learnt from none."""
    rows = rare(2000, weeks=40)
    frame = rows.frame.assign(target=(rows.times == rows.times[0] + 5).astype(float))
    found = method_for(Rows.of(frame, rows.design), np.arange(2000), "sigmoid")
    assert found == ("none", "a part of the rows in time lacks a class")


@settings(max_examples=30, deadline=None)
@given(weeks=st.integers(6, 60), horizon=st.integers(1, 4), rows=st.integers(300, 900), within=st.booleans())
def test_parts_in_time_predict_each_row_once_and_learn_from_nothing_beside_it(
    weeks: int, horizon: int, rows: int, within: bool
) -> None:
    found = rare(rows, 0.3, weeks=weeks)
    made = Rows(replace(found.design, purge=horizon + within), found.frame)
    learn = np.arange(rows - rows // 5)
    parts = parts_of(made, learn)
    if parts:
        assert sorted(np.concatenate([predict for _, predict in parts]).tolist()) == list(range(learn.size))
    for learnt, predicted in parts:
        apart = np.abs(made.times[learn[learnt]][:, None] - made.times[learn[predicted]][None, :])
        assert apart.min() >= horizon + within


def test_parts_without_time_keep_groups_whole() -> None:
    rows = class_rows(time=False, data=timeless(120, entities=30))
    groups = np.array(rows.groups)
    parts = parts_of(rows, np.arange(120))
    assert len(parts) == PARTS
    for learnt, predicted in parts:
        assert not set(groups[learnt]) & set(groups[predicted])
    assert parts_of(class_rows(time=False, data=timeless(120, entities=4)), np.arange(120)) == []


def test_a_corrected_candidate_has_the_time_of_all_its_fits() -> None:
    assert seconds_of(10, "none") == 10
    assert seconds_of(10, "sigmoid") == 10 * (PARTS + 1)
