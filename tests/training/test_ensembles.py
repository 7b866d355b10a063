"""Ensembles: weights that are shares, what they say, and one pipeline that predicts just that."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.kreislauf.training.design import Rows
from include.kreislauf.training.ensembles import assemble, combined, ensembles, is_ensemble, weights_of
from include.kreislauf.training.families import Candidate
from include.kreislauf.training.search import Searched
from include.kreislauf.training.trials import Floats, fit, predict
from tests.training.worlds import (
    DESIGN,
    SEED,
    TIMELESS,
    class_rows,
    frame,
    light,
    timeless,
)

pytestmark = pytest.mark.usefixtures("single_threaded")
FAMILIES = ("ridge", "nearest_neighbours", "random_forest", "extra_trees")


def searched(family: str, loss: float, *predictions: Floats, folds: int = 0) -> Searched:
    """A search whose best has predicted the folds f0, f1, ..., of so many."""
    best = light(family)[0]
    made = {f"f{number}": one for number, one in enumerate(predictions)}
    return Searched(
        family=family, best=best, losses={best.name: (loss, len(made))} if made else {}, failed={},
        predictions=made, seconds=0.0, fits=len(made), configurations=1, folds=folds or len(made),
    )  # fmt: skip


def by_fold(*outcomes: Floats) -> dict[str, Floats]:
    return {f"f{number}": one for number, one in enumerate(outcomes)}


def numbers(*sizes: int, seed: int = 0) -> list[Floats]:
    rng = np.random.default_rng(seed)
    return [rng.normal(size=size) for size in sizes]


@given(seed=st.integers(0, 1000), members=st.integers(2, 4), kind=st.sampled_from(["mean", "stack"]))
def test_weights_are_shares(seed: int, members: int, kind: Any) -> None:
    truth = numbers(20, 11, seed=seed)
    noisy = [
        [one + noise for one, noise in zip(truth, numbers(20, 11, seed=seed + 1 + member), strict=True)]
        for member in range(members)
    ]
    found = [
        searched(name, place, *own) for place, (name, own) in enumerate(zip(FAMILIES, noisy, strict=False))
    ]
    (made,) = ensembles([kind], found, by_fold(*truth))
    weights = weights_of(made)
    assert sum(weights.values()) == pytest.approx(1.0, abs=3e-6)
    assert all(0 < weight <= 1 for weight in weights.values())
    assert set(weights) <= {f"{name}:default" for name in FAMILIES[: min(members, 3)]}
    assert is_ensemble(made)
    if kind == "mean":
        assert len(set(weights.values())) == 1


def test_the_stack_puts_its_weight_where_the_truth_is() -> None:
    one, other, noise = numbers(30), numbers(30, seed=1), numbers(30, seed=2)
    truth = 0.7 * one[0] + 0.3 * other[0]
    found = [
        searched("ridge", 1, *one),
        searched("random_forest", 2, *other),
        searched("extra_trees", 3, *noise),
    ]
    (made,) = ensembles(["stack"], found, by_fold(truth))
    assert weights_of(made) == pytest.approx({"ridge:default": 0.7, "random_forest:default": 0.3}, abs=1e-6)
    assert made.name == "stack:ridge+random_forest"


@pytest.mark.parametrize("classes", [2, 3])
def test_a_stack_of_probabilities_goes_by_the_class_that_happened(classes: int) -> None:
    rng = np.random.default_rng(0)
    truth = rng.integers(classes, size=40).astype(float)
    right = 0.1 / classes + 0.9 * np.eye(classes)[truth.astype(int)]
    wrong = np.full((40, classes), 1 / classes)
    half = np.where(np.arange(40)[:, None] < 20, right, wrong)
    other = np.where(np.arange(40)[:, None] < 20, wrong, right)
    found = [
        searched("ridge", 1, half),
        searched("extra_trees", 2, other),
        searched("random_forest", 3, wrong),
    ]
    (made,) = ensembles(["stack"], found, by_fold(truth))
    assert weights_of(made) == pytest.approx({"ridge:default": 0.5, "extra_trees:default": 0.5}, abs=0.02)


def test_a_stack_of_one_is_left_out_because_it_is_a_candidate_already() -> None:
    (values,) = numbers(30)
    found = [searched("ridge", 1, values), searched("extra_trees", 2, -values)]
    assert ensembles(["stack"], found, by_fold(values)) == []


def test_a_stack_goes_by_the_folds_that_all_have_predicted() -> None:
    (first, second), (other, _) = numbers(30, 30), numbers(30, 30, seed=1)
    found = [searched("ridge", 1, first, second), searched("extra_trees", 2, other)]
    truth = by_fold((first + other) / 2, np.zeros(30))  # the second fold would speak against ridge
    (made,) = ensembles(["stack"], found, truth)
    assert weights_of(made) == pytest.approx({"ridge:default": 0.5, "extra_trees:default": 0.5})


def test_the_best_three_take_part_and_what_did_not_predict_every_fold_comes_last() -> None:
    values = numbers(10, 10)
    found = [
        searched("ridge", 0.4, *values), searched("nearest_neighbours", 0.1, values[0], folds=2),
        searched("random_forest", 0.3, *values), searched("extra_trees", 0.2, *values),
    ]  # fmt: skip
    (made,) = ensembles(["mean"], found, by_fold(*values))
    assert made == Candidate(
        "mean:extra_trees+random_forest+ridge", "mean",
        {"weights": {"extra_trees:default": 0.333333, "random_forest:default": 0.333333, "ridge:default": 0.333333}},
    )  # fmt: skip


def test_of_fewer_than_two_families_there_is_none() -> None:
    values = numbers(10)
    alone = searched("ridge", 1, *values)
    failed = Searched("extra_trees", None, {}, {"extra_trees:default": "why"}, {}, 0.0, 0, 1, 1)
    for found in ([], [alone], [alone, failed]):
        assert ensembles(["mean", "stack"], found, by_fold(*values)) == []
    assert ensembles([], [alone, searched("extra_trees", 2, *values)], by_fold(*values)) == []


def test_without_predictions_of_the_search_there_is_a_mean_but_no_stack() -> None:
    untried = [searched("ridge", 0.0), searched("extra_trees", 0.0)]
    assert [one.family for one in ensembles(["stack", "mean"], untried, {})] == ["mean"]


def test_a_stack_of_what_is_always_wrong_is_none() -> None:
    values = numbers(10)
    found = [searched("ridge", 1, -values[0]), searched("extra_trees", 2, -2 * values[0])]
    assert ensembles(["stack"], found, by_fold(values[0])) == []


@pytest.mark.parametrize("classes", [None, 2, 3])
@pytest.mark.parametrize("time", [True, False])
@pytest.mark.parametrize("weights", [(0.333333,) * 3, (0.5, 0.3, 0.2)])
def test_one_pipeline_predicts_what_its_members_together_do(
    classes: int | None, time: bool, weights: tuple[float, ...]
) -> None:
    data = frame(8) if time else timeless(80)
    if classes:
        rows = class_rows(classes, time=time, data=data)
    else:
        rows = Rows.of(data, DESIGN if time else TIMELESS)
    everything = np.arange(len(rows.frame))
    tried = [light(name, task=rows.design.task)[0] for name in FAMILIES[:3]]
    models = {one.name: fit(rows, one, everything, SEED) for one in tried}
    made = Candidate("mean:all", "mean", {"weights": dict(zip(models, weights, strict=True))})
    expected = combined(made, {name: predict(model, rows, everything) for name, model in models.items()})
    found = predict(assemble(made, models, rows), rows, everything)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)
    if classes:
        np.testing.assert_allclose(expected.sum(axis=1), 1.0, atol=1e-12)


def test_a_candidate_that_is_no_ensemble_has_no_weights() -> None:
    assert weights_of(light("ridge")[0]) == {}
    assert not is_ensemble(light("ridge")[0])
