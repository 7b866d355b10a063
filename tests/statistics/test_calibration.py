"""Calibration errors: none of what is true, what is wrong of what is not, and how much chance alone makes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.calibration import calibration_curve

from include.kreislauf.statistics.calibration import of_classes, reliability

SEEDS = st.integers(0, 10_000)


@given(seed=SEEDS, n=st.integers(50, 300))
def test_bins_are_those_of_scikit_learn(seed: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    said = rng.random(n)
    came = (rng.random(n) < said).astype(float)
    found = reliability(said, came)
    share, mean = calibration_curve(came, said, n_bins=10, strategy="quantile")
    np.testing.assert_allclose(np.sort(found.said), mean)
    np.testing.assert_allclose(found.came, share)
    assert found.rows.sum() == n


@given(seed=SEEDS, n=st.integers(1, 60), levels=st.integers(1, 4))
def test_equal_probabilities_stay_together_whatever_the_order(seed: int, n: int, levels: int) -> None:
    rng = np.random.default_rng(seed)
    said, came = rng.integers(levels, size=n) / levels, rng.integers(2, size=n).astype(float)
    order = rng.permutation(n)
    one, other = reliability(said, came), reliability(said[order], came[order])
    assert one.error == pytest.approx(other.error)
    assert len(set(np.round(one.said, 12))) == len(one.said)


def test_a_model_that_says_more_than_is_true_is_off_by_that() -> None:
    rng = np.random.default_rng(1)
    truth = rng.uniform(0.1, 0.5, 20_000)
    came = (rng.random(20_000) < truth).astype(float)
    assert reliability(truth + 0.3, came).error == pytest.approx(0.3, abs=0.01)
    right = reliability(truth, came)
    assert right.error < right.by_chance < 0.02


def test_calibrated_models_exceed_the_allowance_for_chance_in_one_of_twenty_cases() -> None:
    rng = np.random.default_rng(2)
    above = 0
    for _ in range(400):
        said = rng.beta(1, 6, 300)
        found = reliability(said, rng.random(300) < said)
        above += found.error > found.by_chance
    assert 0.02 < above / 400 < 0.09


@settings(max_examples=20)
@given(seed=SEEDS)
def test_of_several_classes_the_most_probable_one_counts(seed: int) -> None:
    rng = np.random.default_rng(seed)
    shares = rng.dirichlet(np.ones(4), 200)
    outcome = rng.integers(4, size=200).astype(float)
    found = of_classes(outcome, shares)
    assert np.average(found.said, weights=found.rows) == pytest.approx(shares.max(axis=1).mean())
    assert np.average(found.came, weights=found.rows) == pytest.approx(
        (shares.argmax(axis=1) == outcome).mean()
    )
    two = np.column_stack([1 - shares[:, 0], shares[:, 0]])
    assert of_classes(outcome % 2, two).error == reliability(two[:, 1], outcome % 2).error


@pytest.mark.parametrize(("said", "came"), [([], []), ([0.1], [0.0, 1.0])])
def test_rows_that_do_not_fit_are_refused(said: list[float], came: list[float]) -> None:
    with pytest.raises(ValueError, match="of the same rows"):
        reliability(said, came)
