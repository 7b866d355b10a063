"""Permutation importance: what matters comes first, what does not is near zero, what harms is below it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from include.kreislauf.evaluation.importance import importances
from include.kreislauf.evaluation.models import Importance
from include.kreislauf.preparation.splits import Splits
from include.kreislauf.requirements.science import Family as Declared
from include.kreislauf.requirements.science import Training
from include.kreislauf.statistics.metrics import metric
from include.kreislauf.training.design import Design, Rows
from include.kreislauf.training.families import Candidate, configurations

TRAINING = Training.model_validate(
    {"candidates": [{"family": "ridge"}], "held_out_periods": 4, "min_rows": 60}
)


def planted(task: str = "regression", *, turned: bool = False) -> Rows:
    """The target is ``strong`` and a tenth of ``weak``; ``noise`` is none of its business, ``kind`` shifts it."""
    rng = np.random.default_rng(0)
    starts = pd.date_range("2010-01-01", periods=20, freq="QS")
    keys = [(start, f"e{n:02d}") for start in starts for n in range(30)]
    frame = pd.DataFrame(keys, columns=["period", "entity"])
    for name in ("strong", "weak", "noise"):
        frame[name] = rng.normal(size=len(frame))
    frame["kind"] = np.where(frame["entity"] < "e15", "a", "b")
    target = (
        frame["strong"]
        + 0.3 * frame["weak"]
        + 0.5 * (frame["kind"] == "a")
        + 0.1 * rng.normal(size=len(frame))
    )
    if turned:  # from the held-out periods on, strong means the opposite
        target = target.where(frame["period"] < starts[16], target - 2 * frame["strong"])
    if task == "classification":
        target = (target > 0).astype(float) + (target > 1)
    design = Design(
        ("noise", "strong", "weak"), ("kind",), ("low", "middle", "high") if task == "classification" else ()
    )
    return Rows.of(frame.assign(target=target), design)


def first_of(family: str, rows: Rows) -> Candidate:
    return configurations(Declared(family=family), rows.design.task, 1, 0)[0]


def found(
    rows: Rows, candidate: Candidate, members: dict[str, Candidate], judged_by: str
) -> list[Importance]:
    return list(importances(rows, rows.splits(TRAINING), candidate, members, metric(judged_by), 0))


def by_name(ranked: list[Importance]) -> dict[str, float]:
    return {one.feature: one.mean for one in ranked}


@pytest.mark.parametrize("family", ["ridge", "random_forest", "hist_gradient_boosting"])
@pytest.mark.parametrize("judged_by", ["mae", "rmse"])
def test_what_matters_comes_first_and_what_does_not_is_near_zero(family: str, judged_by: str) -> None:
    rows = planted()
    ranked = found(rows, first_of(family, rows), {}, judged_by)
    assert [one.mean for one in ranked] == sorted((one.mean for one in ranked), reverse=True)
    assert ranked[0].feature == "strong"
    assert {one.feature for one in ranked} == {"strong", "weak", "noise", "kind"}
    means = by_name(ranked)
    assert means["strong"] > 0.3  # in the unit of the target: the error without it
    assert abs(means["noise"]) < 0.02
    assert means["kind"] > 5 * abs(means["noise"])
    assert all(one.deviation >= 0 for one in ranked)
    assert found(rows, first_of(family, rows), {}, judged_by) == ranked


@pytest.mark.parametrize("judged_by", ["log_loss", "brier"])
def test_of_classes_the_loss_of_their_probabilities_counts(judged_by: str) -> None:
    rows = planted("classification")
    ranked = found(rows, first_of("random_forest", rows), {}, judged_by)
    assert ranked[0].feature == "strong"
    assert abs(by_name(ranked)["noise"]) < 0.05


def test_a_class_that_was_not_there_to_learn_from_has_a_probability_of_zero() -> None:
    rows = planted("classification")
    late = rows.frame.index[-20:]
    frame = rows.frame.assign(target=rows.frame["target"].where(~rows.frame.index.isin(late), 3.0))
    new = Rows.of(frame, replace(rows.design, classes=(*rows.classes, "new")))
    ranked = found(new, first_of("random_forest", new), {}, "brier")
    assert ranked[0].feature == "strong"


@pytest.mark.parametrize("kind", ["mean", "stack"])
def test_ensembles_have_importances_of_their_own(kind: str) -> None:
    rows = planted()
    members = {one.name: one for one in (first_of("ridge", rows), first_of("random_forest", rows))}
    ridge, forest = members
    together = Candidate(f"{kind}:both", kind, {"weights": {ridge: 0.5, forest: 0.5}})
    ranked = found(rows, together, members, "mae")
    assert ranked[0].feature == "strong"
    alone = by_name(found(rows, members[ridge], members, "mae"))
    assert by_name(ranked)["strong"] != alone["strong"]
    mostly_ridge = Candidate("stack:x", "stack", {"weights": {ridge: 1.0, forest: 1e-9}})
    assert by_name(found(rows, mostly_ridge, members, "mae")) == pytest.approx(alone, abs=1e-6)


def test_a_feature_that_misleads_is_below_zero() -> None:
    rows = planted(turned=True)
    ranked = found(rows, first_of("ridge", rows), {}, "mae")
    assert ranked[-1].feature == "strong"
    assert ranked[-1].mean < -0.1


def test_the_model_has_learnt_from_nothing_that_is_permuted() -> None:
    """Whatever the held-out outcomes are, what was learnt before stays the same: only their scores differ."""
    rows = planted()
    splits: Splits = rows.splits(TRAINING)
    learnt, asked = (
        set(splits.held_out[0].learn.tolist()),
        np.concatenate([one.predict for one in splits.held_out]),
    )
    assert not learnt & set(asked.tolist())
    beyond = rows.frame.assign(target=rows.frame["target"].mask(rows.frame.index.isin(asked), 1e6))
    shifted = found(Rows.of(beyond, rows.design), first_of("ridge", rows), {}, "mae")
    assert all(abs(one.mean) < 1.0 for one in shifted)  # a model that had seen 1e6 would move by far more
