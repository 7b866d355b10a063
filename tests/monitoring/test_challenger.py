"""A fresh challenger against the champion, and the champion's error against the one shown at its promotion."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.ensemble import HistGradientBoostingRegressor, VotingRegressor
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import Pipeline

from include.kreislauf.monitoring.challenger import ERROR_ROWS, SMALLEST, _unfitted, challenge, error_change
from include.kreislauf.preparation.encoder import FeatureEncoder
from include.kreislauf.training.parallel import one_thread

FEATURES: dict[str, list[str]] = {"numeric": ["x"], "categorical": ["kind"]}
NAMES = ["x", "kind"]


class Slow(RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """Fits for ever."""

    def fit(self, X: Any, y: Any) -> Slow:
        while True:
            np.sort(np.asarray(y))

    def predict(self, X: Any) -> Any:
        return np.zeros(len(X))


def rows(
    size: int, slope: float = 1.0, *, seed: int = 0, features: bool = True, classes: bool = False
) -> list[Any]:
    """Outcomes of a straight line, and the prediction of one with slope 1."""
    generator = np.random.default_rng(seed)
    found = []
    for x, noise in zip(generator.normal(size=size), generator.normal(0, 0.3, size), strict=True):
        sent = json.dumps({"x": float(x), "kind": "a"}) if features else None
        outcome = slope * x + noise
        found.append(
            SimpleNamespace(features=sent, value=x, outcome=float(outcome > 0) if classes else outcome)
        )
    return found


def fitted(model: Any = None, *, classes: bool = False) -> Pipeline:
    known = rows(500, seed=99, classes=classes)
    frame = pd.DataFrame([json.loads(row.features) for row in known], columns=NAMES)
    pipeline = Pipeline([("encode", FeatureEncoder(["x"], ["kind"])), ("model", model or Ridge())])
    with one_thread():
        return pipeline.fit(frame, [row.outcome for row in known])


def test_after_a_change_the_challenger_is_better() -> None:
    found = challenge(fitted(), FEATURES, rows(300, slope=-1.0), "regression", "mae")
    assert found.better
    assert found.gain is not None
    assert found.gain.low > 0.5


def test_a_recent_change_is_learnt_from_the_newest_rows() -> None:
    log = rows(1500) + rows(120, slope=-1.0, seed=1)
    assert challenge(fitted(), FEATURES, log, "regression", "rmse").better


@pytest.mark.parametrize("model", [Ridge(), HistGradientBoostingRegressor(max_iter=30)])
def test_without_a_change_it_is_not(model: Any) -> None:
    better = [
        challenge(fitted(model), FEATURES, rows(200, seed=n), "regression", "mae").better for n in range(6)
    ]
    assert not any(better)


def test_a_little_better_is_not_worth_a_training() -> None:
    found = challenge(fitted(), FEATURES, rows(1600, slope=1.05), "regression", "mae")
    assert found.gain is not None
    assert not found.better


def test_classes_are_compared_by_wrong_answers() -> None:
    champion = fitted(LogisticRegression(), classes=True)
    same = challenge(champion, FEATURES, rows(400, classes=True), "classification", "log_loss")
    changed = challenge(champion, FEATURES, rows(400, slope=-1.0, classes=True), "classification", "log_loss")
    assert (same.better, changed.better) == (False, True)
    assert "share of wrong answers" in changed.text


def test_a_great_change_shows_in_a_few_dozen_outcomes() -> None:
    assert challenge(
        fitted(), FEATURES, rows(1500) + rows(40, slope=-1.0, seed=1), "regression", "mae"
    ).better


def test_a_challenger_as_ignorant_as_the_champion_is_not_better() -> None:
    """Nothing can be learnt, and outcomes have heavy tails: where chance could fool it most."""
    champion, generator = fitted(Ridge(alpha=1e9)), np.random.default_rng(7)
    for _ in range(20):
        log = rows(160)
        for row, noise in zip(log, generator.standard_t(3, size=160), strict=True):
            row.outcome = float(noise)
        assert not challenge(champion, FEATURES, log, "regression", "mae").better


def test_too_few_rows_or_rows_without_features_say_nothing() -> None:
    for log in (rows(SMALLEST - 1), rows(500, features=False)):
        found = challenge(fitted(), FEATURES, log, "regression", "mae")
        assert (found.gain, found.better) == (None, False)
        assert found.text.startswith("not known: ")


def test_rows_that_lack_a_feature_do_not_take_part() -> None:
    log = rows(SMALLEST)
    log[0].features = json.dumps({"x": 1.0})
    assert challenge(fitted(), FEATURES, log, "regression", "mae").gain is None


def test_the_champion_itself_is_not_changed() -> None:
    champion = fitted()
    before = champion["model"].coef_.copy()
    challenge(champion, FEATURES, rows(300, slope=-1.0), "regression", "mae")
    assert (champion["model"].coef_ == before).all()


def test_members_of_an_ensemble_are_fitted_anew() -> None:
    member = fitted()
    frame = pd.DataFrame({"x": [0.0, 1.0], "kind": "a"})
    voting = VotingRegressor([("member_0", FrozenEstimator(member["model"]))])
    voting.fit(member["encode"].transform(frame), [0.0, 1.0])
    ensemble = Pipeline([("encode", member["encode"]), ("model", voting)])
    assert isinstance(_unfitted(ensemble)["model"].estimators[0][1], Ridge)
    assert challenge(ensemble, FEATURES, rows(300, slope=-1.0), "regression", "mae").better


def test_a_challenger_that_takes_too_long_is_given_up() -> None:
    champion = Pipeline([("encode", FeatureEncoder(["x"], ["kind"])), ("model", Slow())])
    found = challenge(champion, FEATURES, rows(300), "regression", "mae", seconds=0.3)
    assert (found.better, found.text) == (False, "not known: TookTooLong: took more than 0.3 s")


def test_a_challenger_that_cannot_be_fitted_is_not_known() -> None:
    log = rows(300)
    log[-200].features = json.dumps({"x": "a text", "kind": "a"})
    found = challenge(fitted(), FEATURES, log, "regression", "mae")
    assert found.gain is None
    assert found.text.startswith("not known: ValueError: ")


def test_a_window_with_one_class_only_is_left_out() -> None:
    champion = fitted(LogisticRegression(), classes=True)
    log = rows(400, classes=True)
    late = [SimpleNamespace(**{**vars(row), "outcome": 1.0}) for row in log[-100:]]
    assert challenge(champion, FEATURES, log[:-100] + late, "classification", "log_loss").gain is not None
    alone = challenge(champion, FEATURES, late * 3, "classification", "log_loss")
    assert alone.text == "not known: all that happened is of one class"


# The champion's error; a straight line with noise 0.3 has a mean absolute error of 0.24

SHOWN = 0.24


def test_an_error_that_stayed_has_not_risen() -> None:
    found = error_change(SHOWN, rows(1600), "regression", "mae")
    assert found is not None
    assert (found.risen, found.shown) == (False, SHOWN)
    assert found.now.low < SHOWN < found.now.high
    assert "it has not risen" in found.text


def test_an_error_that_rose_lately_has_risen_however_long_it_was_low() -> None:
    log = rows(1500) + rows(ERROR_ROWS, slope=-1.0, seed=1)
    for metric, shown in (("mae", SHOWN), ("rmse", 0.3)):
        found = error_change(shown, log, "regression", metric)
        assert found is not None
        assert found.risen is True


def test_where_the_newest_rows_look_worse_it_is_not_said_to_have_stayed() -> None:
    log = rows(1550) + rows(50, slope=0.0, seed=1)
    found = error_change(SHOWN, log, "regression", "mae")
    assert found is not None
    assert found.risen is not False


def test_a_few_more_errors_than_shown_are_not_a_rise() -> None:
    found = error_change(SHOWN * 0.95, rows(1600), "regression", "mae")
    assert found is not None
    assert found.risen is False


@pytest.mark.parametrize(
    ("shown", "task", "size"),
    [
        (None, "regression", 400),
        (0.0, "regression", 400),
        (0.5, "classification", 400),
        (SHOWN, "regression", 50),
    ],
)
def test_what_cannot_be_compared_is_not_known(shown: float | None, task: Any, size: int) -> None:
    assert error_change(shown, rows(size), task, "mae") is None
