"""Successive halving: the same best as a full search where there is one, at less cost, whatever the machine."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from joblib import parallel_config

from include.kreislauf.preparation.splits import Fold
from include.kreislauf.training.design import Rows
from include.kreislauf.training.families import Candidate
from include.kreislauf.training.search import Limits, Searched, exhaustive, loss_of, search, spread
from include.kreislauf.training.trials import TIME_UP, Trial, run_all
from tests.training.worlds import (
    DESIGN,
    LOG_LOSS,
    MAE,
    SEED,
    TIMELESS,
    Counting,
    asked,
    broken,
    class_rows,
    frame,
    hanging,
    light,
    raising,
    timeless,
)

ROWS = Rows.of(frame(24, 12), DESIGN)
FOLDS = ROWS.splits(asked("ridge", search_periods=8)).search
RIDGES = light("ridge", 9, alpha=(1e4, 1e5, 3e4, 1.0, 1e6, 3e5, 1e3, 1e7, 1e2))
"""Targets follow x closely: the least penalty, the fourth here, is the best by far."""


def found(tried: tuple[Candidate, ...], family: str = "ridge", folds: Any = FOLDS, **fields: Any) -> Searched:
    return search(ROWS, {family: tried}, folds, MAE, seed=SEED, **fields)[family]


def assert_same(one: Searched, other: Searched) -> None:
    assert (one.best, one.account) == (other.best, other.account)
    assert list(one.predictions) == list(other.predictions)
    for label, values in one.predictions.items():
        np.testing.assert_array_equal(values, other.predictions[label])


def test_the_best_of_a_full_search_is_found_with_fewer_fits() -> None:
    halved, full = found(RIDGES), exhaustive(ROWS, {"ridge": RIDGES}, FOLDS, MAE, seed=SEED)["ridge"]
    assert halved.best == full.best == RIDGES[3]
    # 9 predict 2 folds of 8, the best 3 two more, the best one the other four
    assert (halved.fits, full.fits) == (9 * 2 + 3 * 2 + 1 * 4, 9 * 8)
    assert (halved.configurations, halved.folds) == (9, 8)
    assert sorted(count for _, count in halved.losses.values()) == [2] * 6 + [4] * 2 + [8]
    assert halved.losses["ridge:alpha=1.0"] == pytest.approx(full.losses["ridge:alpha=1.0"])
    for label, values in full.predictions.items():
        np.testing.assert_array_equal(halved.predictions[label], values)


def test_one_configuration_is_searched_as_it_would_be_in_full() -> None:
    one = RIDGES[:1]
    halved, full = found(one), exhaustive(ROWS, {"ridge": one}, FOLDS, MAE, seed=SEED)["ridge"]
    assert halved.account["losses"]["ridge:default"] == pytest.approx(full.account["losses"]["ridge:default"])
    assert (halved.best, halved.fits) == (full.best, full.fits) == (one[0], len(FOLDS))
    assert set(halved.predictions) == {fold.label for fold in FOLDS}
    assert loss_of(ROWS, halved, FOLDS, MAE) == pytest.approx(halved.losses["ridge:default"][0])


def test_losses_are_the_metric_over_the_rows_of_the_folds() -> None:
    """Not the mean of the folds' means: folds differ in size."""
    rows = Rows.of(frame(24, 12).drop(index=range(0, 100, 3)), DESIGN)
    folds = rows.splits(asked("ridge", search_periods=6, min_rows=20)).search
    assert len({fold.predict.size for fold in folds}) > 1
    one = search(rows, {"ridge": RIDGES[3:4]}, folds, MAE, seed=SEED)["ridge"]
    errors = [np.abs(rows.outcomes[fold.predict] - one.predictions[fold.label]) for fold in folds]
    assert one.losses["ridge:alpha=1.0"] == (pytest.approx(np.concatenate(errors).mean()), 6)


def test_equal_inputs_give_equal_results_on_any_number_of_processes() -> None:
    tried = {"ridge": RIDGES, "random_forest": light("random_forest", 4, max_features=(0.3, 1.0))}
    results = []
    for n_jobs in (1, 1, 2):
        with parallel_config(backend="loky" if n_jobs > 1 else "sequential"):
            results.append(search(ROWS, tried, FOLDS, MAE, seed=SEED, n_jobs=n_jobs))
    for other in results[1:]:
        assert list(other) == list(tried)
        for family in tried:
            assert_same(results[0][family], other[family])


def test_of_equally_good_configurations_the_one_declared_first_wins() -> None:
    copies = light("ridge", 3, copy_X=(True, False), fit_intercept=(True,), alpha=(1.0,))
    assert len(copies) == 2
    assert found(copies).best == copies[0]
    assert found(copies[::-1]).best == copies[1]


# A wider search


def test_a_new_configuration_that_is_worse_costs_one_fold() -> None:
    """The places of the first wave are taken by better ones: those that are new predict a fold each, and go no further."""
    best, worse = RIDGES[3], light("ridge", 9, alpha=(1e8, 2e8, 3e8, 4e8, 5e8, 6e8, 7e8, 8e8, 9e8))[1:]
    first, both = found(RIDGES), found((*RIDGES, *worse), breadth=9)
    assert both.best == first.best == best
    assert both.fits == first.fits + len(worse)
    assert {both.losses[one.name][1] for one in worse} == {1}
    assert both.losses[best.name] == first.losses[best.name]


def test_a_new_configuration_that_is_better_by_more_than_the_margin_wins() -> None:
    one = found((*RIDGES[:3], *RIDGES[3:6]), breadth=3)
    assert one.best == RIDGES[3]
    assert one.losses[RIDGES[3].name][1] == len(FOLDS)
    assert set(one.predictions) == {fold.label for fold in FOLDS}


def test_a_gain_below_the_margin_does_not_change_the_best() -> None:
    """A thousandth of a penalty that hardly counts: better or worse, by less than anybody would notice."""
    holder, *_ = RIDGES[3:4]
    for alpha in (0.9, 1.1):
        near = Candidate(f"ridge:alpha={alpha}", "ridge", {**holder.params, "alpha": alpha})
        one = found((holder, near), breadth=1)
        assert one.best == holder
        assert one.losses[near.name][1] == 1


@given(st.integers(1, 9), st.integers(1, 9))
@settings(max_examples=8, deadline=None)
def test_a_wave_with_nothing_new_changes_nothing(breadth: int, count: int) -> None:
    tried = RIDGES[:count]
    if count <= breadth:
        assert_same(found(tried, breadth=breadth), found(tried))
    both = {"ridge": tried, "nearest_neighbours": light("nearest_neighbours")}
    side_by_side = search(ROWS, both, FOLDS, MAE, seed=SEED, breadth=breadth)
    assert_same(side_by_side["ridge"], found(tried, breadth=breadth))


def test_families_are_searched_side_by_side_and_do_not_compete() -> None:
    knn = light("nearest_neighbours", 3, weights=("uniform", "distance"))
    both = search(ROWS, {"ridge": RIDGES, "nearest_neighbours": knn}, FOLDS, MAE, seed=SEED)
    assert_same(both["ridge"], found(RIDGES))
    assert_same(both["nearest_neighbours"], found(knn, "nearest_neighbours"))


# What fails, and when time is up


def test_what_fails_is_out_with_its_reason_and_the_best_of_the_others_wins() -> None:
    bad = Candidate("ridge:broken", "ridge", {"alpha": -1.0})
    one = found((bad, *RIDGES))
    assert one.best == RIDGES[3]
    assert list(one.failed) == ["ridge:broken"]
    assert one.failed["ridge:broken"].startswith("InvalidParameterError: ")
    assert "ridge:broken" not in one.losses
    assert one.account["failed"] == one.failed


def test_what_fails_once_is_not_tried_again_and_all_may_fail() -> None:
    bad = broken(raising)
    one = found((bad,), "nearest_neighbours")
    assert (one.best, one.fits, one.losses, one.predictions) == (None, 0, {}, {})
    assert one.failed == {bad.name: "ZeroDivisionError: a bug in the family"}
    assert one.account["best"] is None
    assert loss_of(ROWS, one, FOLDS, MAE) == float("inf")


def test_what_takes_too_long_for_one_fit_has_failed() -> None:
    slow = broken(hanging)
    tried = (slow, *light("nearest_neighbours"))
    one = found(tried, "nearest_neighbours", FOLDS[:4], limits=Limits(candidate=1.0))
    assert one.failed == {slow.name: "took more than 1 s"}
    assert one.best == light("nearest_neighbours")[0]


@pytest.mark.parametrize("budget", [-1.0, 0.0, 1e-6])
def test_without_time_the_default_is_kept_untried(budget: float) -> None:
    one = found(RIDGES, limits=Limits(budget=budget))
    assert (one.best, one.failed, one.losses, one.fits) == (RIDGES[0], {}, {}, 0)


def test_a_default_that_the_end_of_the_search_interrupts_is_kept() -> None:
    slow = broken(hanging)
    one = found((slow, *light("nearest_neighbours")), "nearest_neighbours", limits=Limits(budget=0.3))
    assert (one.best, one.failed) == (slow, {})


def test_when_time_runs_out_within_a_round_what_all_have_predicted_decides(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def late(*given: Any) -> list[Trial]:
        trials = run_all(*given)
        return [*trials[:-1], replace(trials[-1], failed=TIME_UP)]

    monkeypatch.setattr("include.kreislauf.training.search.run_all", late)
    one = found(RIDGES[1:4])
    assert (one.best, one.failed) == (RIDGES[3], {})
    assert len(one.predictions) == len(FOLDS) - 3, "the last of each round is missing"


def test_without_folds_the_default_is_taken_untried() -> None:
    one = found(RIDGES, folds=())
    assert (one.best, one.fits, one.folds, one.predictions) == (RIDGES[0], 0, 0, {})


def test_each_configuration_is_fitted_once_per_fold(tmp_path: Any) -> None:
    counting = Counting(tmp_path / "uses")
    tried = (broken(counting, "counted"),)
    one = found(tried, "nearest_neighbours")
    assert counting.count == one.fits == len(FOLDS)


# The order of the folds


def folds(count: int) -> list[Fold]:
    nothing = np.empty(0, np.int64)
    return [Fold(f"t{number}", number, nothing, nothing) for number in range(count)]


@given(st.integers(0, 40))
def test_every_beginning_is_spread_over_the_whole_time(count: int) -> None:
    """No fold is farther from those chosen than they are from each other (Gonzalez, 1985)."""
    order = [fold.time for fold in spread(folds(count))]
    assert sorted(order) == list(range(count))
    assert order[:1] == ([count - 1] if count else [])
    for size in range(2, count + 1):
        chosen = sorted(order[:size])
        apart = min(later - earlier for earlier, later in pairwise(chosen))
        farthest = max(min(abs(one - other) for other in chosen) for one in range(count))
        assert farthest <= apart
        assert (chosen[0], chosen[-1]) == (0, count - 1)


# Without time, and classes


@pytest.mark.parametrize("classes", [2, 3])
def test_classes_without_time_are_searched_in_groups(classes: int) -> None:
    rows = class_rows(classes, time=False, data=timeless(180, entities=60))
    tried = {"ridge": light("ridge", 3, "classification", alpha=(1e5, 1e-1, 1e4))}
    split = rows.splits(asked("ridge", folds=4)).search
    one = search(rows, tried, split, LOG_LOSS, seed=SEED)["ridge"]
    assert one.best is not None
    assert one.best.params == {"alpha": 0.1}
    assert {label: values.shape for label, values in one.predictions.items()} == {
        fold.label: (fold.predict.size, classes) for fold in split
    }


def test_numbers_without_time_are_searched() -> None:
    rows = Rows.of(timeless(60), TIMELESS)
    one = search(rows, {"ridge": RIDGES}, rows.splits(asked("ridge")).search, MAE, seed=SEED)["ridge"]
    assert (one.best, one.folds) == (RIDGES[3], 4)
