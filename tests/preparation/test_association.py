"""How closely features go with targets of each kind: known values, laws, and what counts as a leak."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import contingency, spearmanr
from sklearn.metrics import roc_auc_score

from include.kreislauf.preparation.association import association
from include.kreislauf.preparation.leaks import correlated_leaks
from tests.preparation.tables import table_contract
from tests.preparation.worlds import module

SEEDS = st.integers(0, 10_000)
PROBLEM = {"binary": ["no", "yes"], "multiclass": ["low", "middle", "high"]}


def classes_of(rng: np.random.Generator, size: int, count: int) -> pd.Series:
    return pd.Series(np.concatenate([np.arange(count), rng.integers(0, count, size - count)]).astype(float))


@given(SEEDS)
def test_of_two_classes_it_is_the_area_under_the_curve(seed: int) -> None:
    rng = np.random.default_rng(seed)
    target = classes_of(rng, 60, 2)
    values = pd.Series(rng.integers(0, 20, 60) + 5.0 * rng.random() * target)
    area = roc_auc_score(target, values)
    found, unit = association(values, target, classes=True)
    assert found == pytest.approx(abs(2 * area - 1), abs=1e-9)
    assert unit == "rank-biserial correlation"


@given(SEEDS)
def test_of_numbers_it_is_spearmans(seed: int) -> None:
    rng = np.random.default_rng(seed)
    values, target = pd.Series(rng.integers(0, 9, 40)), pd.Series(rng.normal(size=40))
    expected = spearmanr(values, target).statistic
    assert association(values, target, classes=False) == (pytest.approx(expected), "rank correlation")


@given(SEEDS)
def test_of_two_categories_it_is_cramers(seed: int) -> None:
    rng = np.random.default_rng(seed)
    values, target = (
        pd.Series(list("abcd")).sample(80, replace=True, random_state=seed),
        classes_of(rng, 80, 3),
    )
    table = pd.crosstab(values.to_numpy(), target.to_numpy()).to_numpy()
    found, unit = association(values.reset_index(drop=True), target, classes=True)
    assert found == pytest.approx(contingency.association(table, method="cramer"))
    assert unit == "Cramér's V"


@given(SEEDS, st.integers(2, 5))
def test_law_it_lies_between_nothing_and_one_and_no_order_of_rows_matters(seed: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    target = classes_of(rng, 50, count)
    order = rng.permutation(50)
    for values in (pd.Series(rng.normal(size=50)), pd.Series(rng.choice(list("abc"), 50))):
        for classes in (True, False):
            found = association(values, target, classes=classes)[0]
            assert -1 - 1e-9 <= found <= 1 + 1e-9
            shuffled = association(
                values[order].reset_index(drop=True), target[order].reset_index(drop=True), classes=classes
            )
            assert shuffled[0] == pytest.approx(found)


@given(SEEDS, st.integers(2, 5))
def test_law_a_feature_that_tells_the_class_has_one(seed: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    target = classes_of(rng, 50, count)
    place = rng.permutation(count)
    told = target.map(lambda one: float(place[int(one)]))
    assert association(told + 0.5 * rng.random(50), target, classes=True)[0] == pytest.approx(1.0)
    assert association(told.astype("str"), target, classes=True)[0] == pytest.approx(1.0)
    assert association(told.astype("str"), target, classes=False)[0] == pytest.approx(1.0)


def test_a_constant_goes_with_nothing() -> None:
    ones, target = pd.Series([1.0] * 40), pd.Series([0.0, 1.0] * 20)
    assert association(ones, target, classes=True)[0] == 0.0
    assert association(target, ones, classes=False)[0] == 0.0
    assert association(ones.astype("str"), target, classes=True)[0] == 0.0


@pytest.mark.parametrize(("kind", "classes"), PROBLEM.items())
def test_what_tells_the_class_is_a_leak_whatever_its_type(kind: str, classes: list[str]) -> None:
    problem = table_contract(
        {"x": "number", "y": "text"}, {"kind": kind, "target": "y", "classes": classes}
    ).problem
    rng = np.random.default_rng(0)
    target = classes_of(rng, 90, len(classes))
    frame = pd.DataFrame({
        "level": rng.normal(size=90), "change": target + rng.random(90) / 2, "kind": target.astype("str"),
        "honest": rng.choice(["a", "b"], 90), "target": target,
    })  # fmt: skip
    given_features = module(lambda rows, _: rows, CATEGORICAL=("kind", "honest"))
    leaks = correlated_leaks(frame, given_features, problem, 0.98)
    assert {(one.feature, one.unit) for one in leaks} == {
        ("change", "rank-biserial correlation"), ("kind", "Cramér's V"),
    }  # fmt: skip
