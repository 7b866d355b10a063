"""A fresh challenger of the champion's kind against the champion, on what happened since."""

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

from include.kreislauf.monitoring.challenger import SMALLEST, _unfitted, challenge
from include.kreislauf.monitoring.told import table_of, told_by_model
from include.kreislauf.preparation.encoder import FeatureEncoder
from include.kreislauf.training.parallel import one_thread
from tests.support.problems import NUMBERS, THREE, TWO

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


def test_a_category_that_was_not_sent_is_the_missing_one() -> None:
    log = [
        SimpleNamespace(features=json.dumps({"x": 1.0, "kind": kind}), outcome=0.5) for kind in ("a", None)
    ]
    table, _ = table_of(NUMBERS, FEATURES, log)
    assert table["kind"].tolist() == ["a", "missing"]


def test_after_a_change_the_challenger_is_better() -> None:
    found = challenge(fitted(), FEATURES, rows(300, slope=-1.0), NUMBERS, "mae")
    assert found.better
    assert found.gain is not None
    assert found.gain.low > 0.5


def test_a_recent_change_is_learnt_from_the_newest_rows() -> None:
    log = rows(1500) + rows(120, slope=-1.0, seed=1)
    assert challenge(fitted(), FEATURES, log, NUMBERS, "rmse").better


@pytest.mark.parametrize("model", [Ridge(), HistGradientBoostingRegressor(max_iter=30)])
def test_without_a_change_it_is_not(model: Any) -> None:
    better = [challenge(fitted(model), FEATURES, rows(200, seed=n), NUMBERS, "mae").better for n in range(6)]
    assert not any(better)


def test_a_little_better_is_not_worth_a_training() -> None:
    found = challenge(fitted(), FEATURES, rows(1600, slope=1.05), NUMBERS, "mae")
    assert found.gain is not None
    assert not found.better


def test_classes_are_compared_by_their_probabilities() -> None:
    champion = fitted(LogisticRegression(), classes=True)
    same = challenge(champion, FEATURES, rows(400, classes=True), TWO, "log_loss")
    changed = challenge(champion, FEATURES, rows(400, slope=-1.0, classes=True), TWO, "log_loss")
    assert (same.better, changed.better) == (False, True)
    assert "the champion's log_loss" in changed.text


def test_a_champion_that_is_too_sure_is_undercut_although_it_names_the_right_classes() -> None:
    champion = fitted(LogisticRegression(C=1e6), classes=True)
    log = rows(900, classes=True)
    for number, row in enumerate(log):  # one in four happens otherwise: as often right, no longer as surely
        row.outcome = 1 - row.outcome if number % 4 == 0 else row.outcome
    assert challenge(champion, FEATURES, log, TWO, "log_loss").better


def test_of_several_classes_the_probabilities_stand_in_the_order_of_the_contract() -> None:
    """The champion has never seen the class in the middle, which happens now."""
    known = rows(500, seed=99)
    frame = pd.DataFrame([json.loads(row.features) for row in known], columns=NAMES)
    pipeline = Pipeline([("encode", FeatureEncoder(["x"], ["kind"])), ("model", LogisticRegression())])
    champion = pipeline.fit(frame, [2.0 if row.value > 0 else 0.0 for row in known])
    told = told_by_model(THREE, champion, frame)
    assert told.shape == (500, 3)
    assert (told[:, 1] == 0).all()
    assert ((told[:, 2] > 0.5) == (frame["x"] > 0)).mean() > 0.95
    log = rows(600)
    for row in log:
        row.outcome = float(np.digitize(row.value, [-0.5, 0.5]))
    assert challenge(champion, FEATURES, log, THREE, "brier").better


def test_an_outcome_of_no_class_of_the_contract_takes_no_part() -> None:
    champion = fitted(LogisticRegression(), classes=True)
    log = rows(400, classes=True)
    log[-1].outcome = 9.0
    assert challenge(champion, FEATURES, log, TWO, "log_loss").gain is not None


def test_a_great_change_shows_in_a_few_dozen_outcomes() -> None:
    assert challenge(fitted(), FEATURES, rows(1500) + rows(40, slope=-1.0, seed=1), NUMBERS, "mae").better


def test_a_challenger_as_ignorant_as_the_champion_is_not_better() -> None:
    """Nothing can be learnt, and outcomes have heavy tails: where chance could fool it most."""
    champion, generator = fitted(Ridge(alpha=1e9)), np.random.default_rng(7)
    for _ in range(20):
        log = rows(160)
        for row, noise in zip(log, generator.standard_t(3, size=160), strict=True):
            row.outcome = float(noise)
        assert not challenge(champion, FEATURES, log, NUMBERS, "mae").better


def test_too_few_rows_or_rows_without_features_say_nothing() -> None:
    for log in (rows(SMALLEST - 1), rows(500, features=False)):
        found = challenge(fitted(), FEATURES, log, NUMBERS, "mae")
        assert (found.gain, found.better) == (None, False)
        assert found.text.startswith("not known: ")


def test_rows_that_lack_a_feature_do_not_take_part() -> None:
    log = rows(SMALLEST)
    log[0].features = json.dumps({"x": 1.0})
    assert challenge(fitted(), FEATURES, log, NUMBERS, "mae").gain is None


def test_the_champion_itself_is_not_changed() -> None:
    champion = fitted()
    before = champion["model"].coef_.copy()
    challenge(champion, FEATURES, rows(300, slope=-1.0), NUMBERS, "mae")
    assert (champion["model"].coef_ == before).all()


def test_members_of_an_ensemble_are_fitted_anew() -> None:
    member = fitted()
    frame = pd.DataFrame({"x": [0.0, 1.0], "kind": "a"})
    voting = VotingRegressor([("member_0", FrozenEstimator(member["model"]))])
    voting.fit(member["encode"].transform(frame), [0.0, 1.0])
    ensemble = Pipeline([("encode", member["encode"]), ("model", voting)])
    assert isinstance(_unfitted(ensemble)["model"].estimators[0][1], Ridge)
    assert challenge(ensemble, FEATURES, rows(300, slope=-1.0), NUMBERS, "mae").better


def test_a_challenger_that_takes_too_long_is_given_up() -> None:
    champion = Pipeline([("encode", FeatureEncoder(["x"], ["kind"])), ("model", Slow())])
    found = challenge(champion, FEATURES, rows(300), NUMBERS, "mae", seconds=0.3)
    assert (found.better, found.text) == (False, "not known: TookTooLong: took more than 0.3 s")


def test_a_challenger_that_cannot_be_fitted_is_not_known() -> None:
    log = rows(300)
    log[-200].features = json.dumps({"x": "a text", "kind": "a"})
    found = challenge(fitted(), FEATURES, log, NUMBERS, "mae")
    assert found.gain is None
    assert found.text.startswith("not known: ValueError: ")


def test_a_window_with_one_class_only_is_left_out() -> None:
    champion = fitted(LogisticRegression(), classes=True)
    log = rows(400, classes=True)
    late = [SimpleNamespace(**{**vars(row), "outcome": 1.0}) for row in log[-100:]]
    assert challenge(champion, FEATURES, log[:-100] + late, TWO, "log_loss").gain is not None
    alone = challenge(champion, FEATURES, late * 3, TWO, "log_loss")
    assert alone.text == "not known: all that happened is of one class"
