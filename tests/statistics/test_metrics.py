"""Metrics: the numbers of scikit-learn, row by row."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as sklearn_metrics

from include.kreislauf.statistics.metrics import METRICS, Floats, further_scores, metric, metrics_for

SEEDS = st.integers(0, 10_000)


def value(name: str, outcomes: Floats, predicted: Floats) -> float:
    one = metric(name)
    losses = one.losses(outcomes, predicted)
    assert losses.shape == outcomes.shape
    return one.total(float(losses.mean()))


def drawn(seed: int, classes: int) -> tuple[Floats, Floats]:
    rng = np.random.default_rng(seed)
    return rng.integers(classes, size=30).astype(float), rng.dirichlet(np.ones(classes), size=30)


@given(seed=SEEDS)
def test_errors_of_numbers_are_those_of_scikit_learn(seed: int) -> None:
    outcomes, predicted = np.random.default_rng(seed).normal(size=(2, 30))
    assert value("mae", outcomes, predicted) == pytest.approx(
        sklearn_metrics.mean_absolute_error(outcomes, predicted)
    )
    assert value("rmse", outcomes, predicted) == pytest.approx(
        sklearn_metrics.root_mean_squared_error(outcomes, predicted)
    )


@given(seed=SEEDS, classes=st.integers(2, 5))
def test_errors_of_probabilities_are_those_of_scikit_learn(seed: int, classes: int) -> None:
    outcomes, predicted = drawn(seed, classes)
    labels = list(range(classes))
    assert value("log_loss", outcomes, predicted) == pytest.approx(
        sklearn_metrics.log_loss(outcomes, predicted, labels=labels), rel=1e-6
    )
    expected = sklearn_metrics.brier_score_loss(outcomes, predicted, labels=labels, scale_by_half=False)
    assert value("brier", outcomes, predicted) == pytest.approx(expected)


def test_one_sure_mistake_is_bad_but_not_infinite() -> None:
    assert value("log_loss", np.array([1.0]), np.array([[1.0, 0.0]])) == pytest.approx(34.539, abs=1e-3)
    assert value("log_loss", np.array([0.0]), np.array([[1.0, 0.0]])) == 0.0
    assert value("brier", np.array([1.0]), np.array([[1.0, 0.0]])) == 2.0


@given(seed=SEEDS, classes=st.integers(2, 4))
def test_a_perfect_prediction_costs_nothing_and_the_truth_is_worth_telling(seed: int, classes: int) -> None:
    """Proper scores: nobody gains by saying anything but the shares themselves."""
    outcomes, predicted = drawn(seed, classes)
    shares = np.bincount(outcomes.astype(int), minlength=classes) / outcomes.size
    for one in metrics_for("classification"):
        assert one.losses(outcomes, np.eye(classes)[outcomes.astype(int)]) == pytest.approx(0.0)
        honest = one.losses(outcomes, np.tile(shares, (30, 1))).mean()
        assert honest <= one.losses(outcomes, np.tile(predicted[0], (30, 1))).mean() + 1e-12


def test_a_gain_is_a_share_of_the_metric_not_of_the_loss() -> None:
    assert metric("mae").gain(0.5, 2.0) == 0.75
    assert metric("rmse").gain(1.0, 4.0) == 0.5
    assert metric("mae").gain(3.0, 2.0) == -0.5
    assert metric("mae").gain(0.0, 2.0) == 1.0
    assert metric("mae").gain(1.0, 0.0) == -1.0, "a baseline without error cannot be undercut"


def test_metrics_are_found_by_name_and_by_task() -> None:
    assert [one.name for one in metrics_for("regression")] == ["mae", "rmse"]
    assert [one.name for one in metrics_for("classification")] == ["log_loss", "brier"]
    assert all(metric(name).name == name for name in METRICS)
    with pytest.raises(ValueError, match="unknown metric 'r2'; allowed: brier, log_loss, mae, rmse"):
        metric("r2")


@given(seed=SEEDS, classes=st.integers(2, 4))
def test_further_scores_are_those_of_scikit_learn(seed: int, classes: int) -> None:
    outcomes, predicted = drawn(seed, classes)
    found = further_scores(outcomes, predicted)
    assert found["accuracy"] == sklearn_metrics.accuracy_score(outcomes, predicted.argmax(axis=1))
    if classes == 2:
        assert found["average_precision"] == sklearn_metrics.average_precision_score(
            outcomes, predicted[:, 1]
        )
        assert found["roc_auc"] == sklearn_metrics.roc_auc_score(outcomes, predicted[:, 1])
    elif len(np.unique(outcomes)) == classes:
        expected = sklearn_metrics.roc_auc_score(outcomes, predicted, multi_class="ovr")
        assert found["roc_auc"] == pytest.approx(expected)


def test_scores_that_need_a_class_which_did_not_happen_are_left_out() -> None:
    shares = np.array([[0.9, 0.1], [0.4, 0.6]])
    assert further_scores(np.zeros(2), shares) == {"accuracy": 0.5}
    assert set(further_scores(np.array([0.0, 1.0]), np.column_stack([shares, [0.0, 0.0]]))) == {"accuracy"}
    assert further_scores(np.zeros(2), np.zeros(2)) == {}
