"""Fits: only what is known is used, and whatever a candidate does, the others go on."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from joblib import parallel_config

from include.kreislauf.errors import TrainingError
from include.kreislauf.training.design import Rows
from include.kreislauf.training.families import Candidate
from include.kreislauf.training.trials import TIME_UP, Floats, Job, Trial, fit, run, run_all
from tests.training.worlds import (
    DESIGN,
    SEED,
    asked,
    broken,
    class_rows,
    deadly,
    frame,
    hanging,
    light,
    not_a_number,
    raising,
)

pytestmark = pytest.mark.usefixtures("single_threaded")
RIDGE = light("ridge")[0]


def predictions(data: Any, label: str, horizon: int = 1, candidate: Candidate = RIDGE) -> Floats:
    rows = Rows.of(data, replace(DESIGN, purge=horizon))
    splits = rows.splits(asked("ridge", held_out_periods=12))
    fold = next(fold for fold in splits.held_out if fold.label == label)
    found = run(rows, Job(candidate, fold), SEED)
    assert found.failed == ""
    return found.predictions


@pytest.mark.parametrize(
    ("horizon", "known", "unknown"),
    [(1, "2015-07-01", "2015-10-01"), (2, "2015-04-01", "2015-07-01"), (4, "2014-10-01", "2015-01-01")],
)
def test_only_targets_known_at_the_prediction_are_used(horizon: int, known: str, unknown: str) -> None:
    """Every target that is unknown then may change, and the prediction stays; the last known one may not."""
    data, label = frame(), "2015-10-01"
    expected = predictions(data, label, horizon)
    future, past = data.copy(), data.copy()
    future.loc[future["period"] >= unknown, "target"] += 9.0
    np.testing.assert_array_equal(predictions(future, label, horizon), expected)
    past.loc[past["period"] == known, "target"] += 9.0
    assert not np.allclose(predictions(past, label, horizon), expected)


@pytest.mark.parametrize("family", ["ridge", "random_forest"])
def test_the_order_of_the_rows_makes_no_difference(family: str) -> None:
    candidate, shuffled = light(family)[0], frame().sample(frac=1, random_state=1)
    np.testing.assert_array_equal(
        predictions(shuffled, "2016-07-01", candidate=candidate),
        predictions(frame(), "2016-07-01", candidate=candidate),
    )


def test_an_outlier_among_the_targets_has_bounded_weight_and_full_weight_in_scoring() -> None:
    data = frame()
    data.loc[0, "target"] = 1e6
    rows = Rows.of(data, DESIGN)
    model = fit(rows, RIDGE, np.arange(len(rows.frame)), SEED)
    assert np.abs(model.predict(rows.frame[DESIGN.names])).max() < 1.0
    assert rows.outcomes.max() == 1e6


def test_nothing_to_learn_from_is_told() -> None:
    rows = Rows.of(frame(), DESIGN)
    with pytest.raises(
        TrainingError, match="ridge:default: no row with known target to learn from; next: coll"
    ):
        fit(rows, RIDGE, np.empty(0, np.int64), SEED)


# What goes wrong


def trials(candidates: list[Candidate], *, n_jobs: int) -> list[Trial]:
    rows = Rows.of(frame(), DESIGN)
    folds = rows.splits(asked("ridge")).held_out[:2]
    jobs = [
        Job(one, fold, seconds=0.5 if one.params.get("weights") is hanging else 60.0)
        for one in candidates for fold in folds
    ]  # fmt: skip
    with parallel_config(backend="loky" if n_jobs > 1 else "sequential"):
        found = run_all(rows, jobs, SEED, n_jobs)
    assert [(one.candidate, one.fold.label) for one in found] == [
        (job.candidate.name, job.fold.label) for job in jobs
    ]
    return found


@pytest.mark.parametrize("n_jobs", [1, 2])
@pytest.mark.parametrize(
    ("weights", "reason"),
    [
        (raising, "ZeroDivisionError: a bug in the family"),
        (hanging, "took more than 0.5 s"),
        (not_a_number, "nearest_neighbours:not_a_number: predictions are not finite"),
    ],
)
def test_a_candidate_that_goes_wrong_fails_with_its_reason_and_the_others_go_on(
    weights: Any, reason: str, n_jobs: int
) -> None:
    found = trials([RIDGE, broken(weights), light("random_forest")[0]], n_jobs=n_jobs)
    assert [one.failed for one in found] == ["", "", reason, reason, "", ""]
    assert [one.predictions.size for one in found] == [12, 12, 0, 0, 12, 12]
    assert all(np.isfinite(one.predictions).all() for one in found)


def test_a_candidate_that_takes_its_process_along_fails_alone() -> None:
    candidates = [RIDGE, broken(deadly), light("random_forest")[0]]
    found = trials(candidates, n_jobs=2)
    assert [bool(one.failed) for one in found] == [False, False, True, True, False, False]
    assert found[2].failed.startswith("its process ended: A worker process managed by the executor was unexp")
    expected = trials([RIDGE, candidates[2]], n_jobs=1)
    for one, other in zip([*found[:2], *found[4:]], expected, strict=True):
        np.testing.assert_array_equal(one.predictions, other.predictions)


def test_a_class_that_cannot_be_learnt_from_one_class_fails() -> None:
    rows = class_rows()
    fold = replace(rows.splits(asked("ridge")).held_out[0], learn=np.flatnonzero(rows.outcomes == 0.0))
    found = run(rows, Job(light("ridge", task="classification")[0], fold), SEED)
    assert found.failed.startswith("ValueError: This solver needs samples of at least 2 classes")


# Time


def job(candidate: Candidate, **fields: Any) -> tuple[Rows, Job]:
    rows = Rows.of(frame(), DESIGN)
    return rows, Job(candidate, rows.splits(asked("ridge")).held_out[0], **fields)


def test_after_the_time_of_the_search_nothing_is_begun(tmp_path: Any) -> None:
    rows, late = job(broken(raising), until=time.time())
    assert run(rows, late, SEED).failed == TIME_UP


def test_what_the_end_of_the_search_interrupts_has_not_failed_itself() -> None:
    rows, interrupted = job(broken(hanging), until=time.time() + 0.3)
    assert run(rows, interrupted, SEED).failed == TIME_UP
    rows, slow = job(broken(hanging), seconds=0.2, until=time.time() + 60)
    assert run(rows, slow, SEED).failed == "took more than 0.2 s"


def test_less_of_a_forest_is_fitted_where_that_is_asked() -> None:
    rows, whole = job(light("random_forest", n_estimators=(8,))[0])
    few = light("random_forest", n_estimators=(4,))[0]
    halved = run(rows, replace(whole, size=0.5), SEED)
    np.testing.assert_array_equal(
        halved.predictions, run(rows, replace(whole, candidate=few), SEED).predictions
    )
    assert not np.array_equal(halved.predictions, run(rows, whole, SEED).predictions)
