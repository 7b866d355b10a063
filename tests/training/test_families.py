"""Families: each learns, repeats itself and takes what it is given; the configurations of a search in their order."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from include.kreislauf.errors import TrainingError
from include.kreislauf.requirements.science import Family as Declared
from include.kreislauf.training.design import Design, Rows
from include.kreislauf.training.families import (
    FAMILIES,
    Candidate,
    configurations,
    family,
    pipeline,
    reduced,
    size_of_space,
)
from include.kreislauf.training.trials import Floats, Job, fit, predict, run
from tests.training.worlds import (
    DESIGN,
    NAMES,
    SEED,
    TIMELESS,
    TIMELESS_BY_CLASS,
    asked,
    class_rows,
    classed,
    frame,
    light,
    metric_of,
    timeless,
)

pytestmark = pytest.mark.usefixtures("single_threaded")
BOTH = [(name, task) for name, found in sorted(FAMILIES.items()) for task in found.builders]
EVERY = pytest.mark.parametrize(("name", "task"), BOTH)


def declared(name: str, **space: Any) -> Declared:
    return Declared(family=name, space={parameter: tuple(values) for parameter, values in space.items()})


def names(name: str, count: int, seed: int = SEED, **space: Any) -> list[str]:
    return [one.name for one in configurations(declared(name, **space), "regression", count, seed)]


def world(task: str, *, time: bool = True, classes: int = 2) -> Rows:
    if task == "regression":
        return Rows.of(frame() if time else timeless(), DESIGN if time else TIMELESS)
    return class_rows(classes, time=time)


def test_every_family_serves_both_tasks() -> None:
    assert len(BOTH) == 2 * len(FAMILIES) >= 10
    assert len({found.complexity for found in FAMILIES.values()}) == len(FAMILIES)


@EVERY
@pytest.mark.parametrize("classes", [2, 3])
def test_every_family_learns_and_repeats_itself(name: str, task: Any, classes: int) -> None:
    if task == "regression":
        classes = 2
    rows = world(task, classes=classes)
    fold = rows.splits(asked(name)).held_out[-1]
    job = Job(light(name, task=task)[0], fold)
    first, again = (run(rows, job, SEED) for _ in range(2))
    assert first.failed == ""
    np.testing.assert_array_equal(first.predictions, again.predictions)
    metric, outcomes = metric_of(rows), rows.outcomes[fold.predict]
    naive: Floats = np.zeros(fold.predict.size)
    if task == "classification":
        naive = np.full((fold.predict.size, classes), 1 / classes)
        np.testing.assert_allclose(first.predictions.sum(axis=1), 1.0)
    assert metric.losses(outcomes, first.predictions).mean() < 0.9 * metric.losses(outcomes, naive).mean()


@EVERY
def test_the_seed_is_all_that_is_random(name: str, task: Any) -> None:
    rows = world(task, time=False)
    positions = np.arange(len(rows.frame))
    other = fit(rows, light(name, task=task)[0], positions, SEED)
    again = fit(rows, light(name, task=task)[0], positions, SEED)
    np.testing.assert_array_equal(predict(other, rows, positions), predict(again, rows, positions))
    single = getattr(other["model"], "n_jobs", None)
    assert single in (None, 1), "a family that takes all CPUs for itself slows the others down"


@EVERY
def test_what_training_did_not_see_is_predicted(name: str, task: Any) -> None:
    rows = world(task)
    model = fit(rows, light(name, task=task)[0], np.arange(len(rows.frame)), SEED)
    unseen = pd.DataFrame(
        {"x": [0.5, np.inf, np.nan], "noise": [0.0, -1e30, 1.0], "kind": ["never seen", None, "a"]}
    )
    assert np.isfinite(model.predict(unseen)).all()


@EVERY
@pytest.mark.filterwarnings("error::RuntimeWarning")
def test_bad_columns_cost_no_family_its_fit(name: str, task: Any) -> None:
    data = frame()
    data["empty"], data["constant"] = np.nan, 3.0
    data.loc[::7, "noise"] = np.inf
    data.loc[::11, "kind"] = None
    if task == "classification":
        data = classed(data)
    rows = Rows.of(
        data,
        Design(("x", "noise", "empty", "constant"), ("kind",), NAMES[:2] if task == "classification" else ()),
    )
    fold = rows.splits(asked(name)).held_out[-1]
    found = run(rows, Job(light(name, task=task)[0], fold), SEED)
    assert found.failed == ""
    metric = metric_of(rows)
    right = metric.losses(rows.outcomes[fold.predict], found.predictions).mean()
    assert right < metric.losses(rows.outcomes[fold.predict][::-1], found.predictions).mean()


@pytest.mark.parametrize("name", sorted(FAMILIES))
def test_a_constant_target_is_predicted(name: str) -> None:
    rows = Rows.of(frame().assign(target=0.25), DESIGN)
    model = fit(rows, light(name)[0], np.arange(len(rows.frame)), SEED)
    np.testing.assert_allclose(predict(model, rows, np.arange(5)), 0.25)


@pytest.mark.parametrize("name", ["random_forest", "extra_trees", "hist_gradient_boosting"])
def test_a_class_that_training_lacks_has_probability_zero(name: str) -> None:
    rows = world("classification", classes=3)
    without_b = np.flatnonzero(rows.outcomes != 1.0)
    model = fit(rows, light(name, task="classification")[0], without_b, SEED)
    found = predict(model, rows, np.arange(len(rows.frame)))
    assert found.shape == (len(rows.frame), 3)
    assert (found[:, 1] == 0).all()
    np.testing.assert_allclose(found.sum(axis=1), 1.0)
    assert found[rows.outcomes == 2.0, 2].mean() > 0.6


# The configurations


@given(
    name=st.sampled_from(sorted(FAMILIES)),
    narrow=st.integers(1, 60),
    more=st.integers(0, 60),
    seed=st.integers(0, 9),
)
def test_a_wider_search_is_the_narrower_one_and_more(name: str, narrow: int, more: int, seed: int) -> None:
    few, many = names(name, narrow, seed), names(name, narrow + more, seed)
    assert few == names(name, narrow, seed)
    assert many[: len(few)] == few
    assert few[0] == f"{name}:default"
    assert len(set(many)) == len(many) == min(narrow + more, size_of_space(declared(name)))


def test_the_default_is_the_first_of_every_value_and_names_say_what_differs() -> None:
    found = configurations(declared("ridge", alpha=[5.0, 7.0], positive=[False, True]), "regression", 9, SEED)
    by_name = {one.name: one.params for one in found}
    assert found[0] == Candidate("ridge:default", "ridge", {"alpha": 5.0, "positive": False})
    assert by_name == {
        "ridge:default": {"alpha": 5.0, "positive": False},
        "ridge:alpha=7.0": {"alpha": 7.0, "positive": False},
        "ridge:positive=True": {"alpha": 5.0, "positive": True},
        "ridge:alpha=7.0,positive=True": {"alpha": 7.0, "positive": True},
    }


def test_the_order_of_the_others_is_drawn_by_the_seed() -> None:
    one, other = names("hist_gradient_boosting", 40, 1), names("hist_gradient_boosting", 40, 2)
    assert one != other
    assert one[0] == other[0]


def test_a_contracts_space_takes_the_place_of_the_familys_own() -> None:
    own = declared("nearest_neighbours", n_neighbors=[3], leaf_size=[20, 30])
    found = configurations(own, "classification", 100, SEED)
    assert {one.params["n_neighbors"] for one in found} == {3}
    assert {one.params["leaf_size"] for one in found} == {20, 30}
    assert len(found) == size_of_space(own) == 2 * 4
    model = pipeline(found[0], TIMELESS_BY_CLASS, SEED)["model"]
    assert (model.n_neighbors, model.leaf_size) == (3, 20)


@pytest.mark.parametrize(("alias", "name"), [("logistic", "ridge"), ("knn", "nearest_neighbours")])
def test_the_field_knows_some_families_by_other_names(alias: str, name: str) -> None:
    assert family(alias) is FAMILIES[name]
    assert configurations(declared(alias), "classification", 3, SEED) == configurations(
        declared(name), "classification", 3, SEED
    )


def test_the_same_penalty_means_the_same_for_numbers_and_classes() -> None:
    candidate = configurations(declared("logistic", alpha=[4.0]), "classification", 1, SEED)[0]
    assert pipeline(candidate, TIMELESS_BY_CLASS, SEED)["model"].C == 0.25
    assert pipeline(candidate, TIMELESS, SEED)["model"].alpha == 4.0


def test_what_a_contract_asks_of_logistic_regression_reaches_it() -> None:
    space = {"alpha": [2.0], "class_weight": ["balanced"], "max_iter": [7]}
    model = pipeline(
        configurations(declared("logistic", **space), "classification", 1, SEED)[0], TIMELESS_BY_CLASS, SEED
    )["model"]
    assert (model.C, model.class_weight, model.max_iter) == (0.5, "balanced", 7)


def test_errors_say_what_is_allowed() -> None:
    with pytest.raises(
        TrainingError, match=r"unknown model family 'prophet'; allowed: .*knn, logistic.*ridge"
    ):
        family("prophet")
    with pytest.raises(
        TrainingError, match=r"family ridge has no parameter beta, depth; allowed: alpha, copy_X"
    ):
        configurations(declared("ridge", depth=[1], beta=[2]), "regression", 1, SEED)
    with pytest.raises(ValidationError, match="at least 1 item"):
        declared("ridge", alpha=[])
    with pytest.raises(
        TrainingError, match=r"space: a value of alpha is named twice; allowed: each value once"
    ):
        configurations(declared("ridge", alpha=[1.0, 2.0, 1.0]), "regression", 1, SEED)
    with pytest.raises(TrainingError, match="random_forest has no parameter n_jobs, random_state"):
        configurations(declared("random_forest", n_jobs=[2], random_state=[1]), "regression", 1, SEED)
    with pytest.raises(TrainingError, match="unknown model family 'mean'"):
        pipeline(Candidate("mean:ridge", "mean", {}), DESIGN, SEED)


def test_what_is_made_of_several_models_is_the_least_simple() -> None:
    ensemble = Candidate("mean:a+b", "mean", {})
    assert all(light(name)[0].complexity < ensemble.complexity for name in FAMILIES)
    assert light("ridge")[0].complexity < light("hist_gradient_boosting")[0].complexity


# Less of it, for the first rounds


@pytest.mark.parametrize(("share", "trees"), [(1.0, 100), (2.0, 100), (0.34, 34), (0.001, 1)])
def test_a_smaller_forest_is_the_same_candidate(share: float, trees: int) -> None:
    forest = light("random_forest", n_estimators=(100,))[0]
    less = reduced(forest, share)
    assert less.name == forest.name
    assert less.params == {**forest.params, "n_estimators": trees}


def test_what_has_no_size_is_not_reduced() -> None:
    for name in ("ridge", "nearest_neighbours", "hist_gradient_boosting"):
        assert reduced(light(name)[0], 0.1) == light(name)[0]
