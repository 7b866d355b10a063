"""The encoder: the same numbers from a table and from rows, as scikit-learn's own where nothing is missing."""

from __future__ import annotations

import pickle
import subprocess
import sys
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from include.kreislauf.errors import PreparationError
from include.kreislauf.preparation.encoder import FeatureEncoder
from include.kreislauf.settings import ROOT

NUMERIC, CATEGORICAL = ("a", "b"), ("c", "d")
NAN, INF = float("nan"), float("inf")


def encoder() -> FeatureEncoder:
    return FeatureEncoder(NUMERIC, CATEGORICAL)


def table(rows: list[dict[str, Any]]) -> pd.DataFrame:
    """Rows as a table; object columns keep whatever stands in them."""
    return pd.DataFrame({name: pd.Series([row[name] for row in rows]) for name in (*NUMERIC, *CATEGORICAL)})


NUMBERS = st.one_of(
    st.floats(),
    st.none(),
    st.integers(-(10**400), 10**400),
    st.booleans(),
    st.floats(width=32).map(np.float32),
)
CATEGORIES = st.one_of(
    st.sampled_from(["x", "y", "", "ü"]), st.none(), st.integers(-2, 2), st.booleans(), st.just(NAN)
)
ROW = st.fixed_dictionaries({"a": NUMBERS, "b": NUMBERS, "c": CATEGORIES, "d": CATEGORIES})
ROWS = st.lists(ROW, min_size=1, max_size=12)


def objects(rows: list[dict[str, Any]]) -> pd.DataFrame:
    """Rows as a table that changes no value."""
    return pd.DataFrame(rows, columns=[*NUMERIC, *CATEGORICAL], dtype=object)


@given(train=ROWS, serve=ROWS)
def test_rows_give_what_a_table_gives_exactly(
    train: list[dict[str, Any]], serve: list[dict[str, Any]]
) -> None:
    fitted = encoder().fit(objects(train))
    for rows in (train, serve):
        found = fitted.encode_rows(rows)
        np.testing.assert_array_equal(found, fitted.transform(objects(rows)))
        assert found.dtype == np.float64
        assert found.shape == (len(rows), len(fitted.get_feature_names_out()))
        assert np.isfinite(found).all()


PLAIN = st.fixed_dictionaries({
    "a": st.floats(), "b": st.integers(-(2**62), 2**62), "c": st.sampled_from(["x", "y", None]),
    "d": st.integers(-2, 2),
})  # fmt: skip


@given(st.lists(PLAIN, min_size=1, max_size=12))
def test_typed_columns_give_what_their_rows_give(rows: list[dict[str, Any]]) -> None:
    frame = table(rows)
    fitted = encoder().fit(frame)
    np.testing.assert_array_equal(fitted.encode_rows(rows), fitted.transform(frame))
    np.testing.assert_array_equal(fitted.encode_rows(frame.to_dict("records")), fitted.transform(frame))


@given(rows=ROWS, order=st.randoms())
def test_the_order_of_the_rows_makes_no_difference(rows: list[dict[str, Any]], order: Any) -> None:
    shuffled = order.sample(rows, len(rows))
    one, other = encoder().fit(objects(rows)), encoder().fit(objects(shuffled))
    assert list(one.get_feature_names_out()) == list(other.get_feature_names_out())
    np.testing.assert_array_equal(one.encode_rows(rows), other.encode_rows(rows))


FINITE = st.floats(-1e6, 1e6)
COMPLETE = st.fixed_dictionaries({
    "a": FINITE, "b": FINITE, "c": st.sampled_from("xyz"), "d": st.sampled_from(["Q1", "Q2"]),
})  # fmt: skip


@given(train=st.lists(COMPLETE, min_size=2, max_size=30), serve=st.lists(COMPLETE, min_size=1, max_size=5))
def test_complete_data_give_what_scikit_learn_gives(
    train: list[dict[str, Any]], serve: list[dict[str, Any]]
) -> None:
    reference = ColumnTransformer([
        ("numbers", StandardScaler(), list(NUMERIC)),
        ("texts", OneHotEncoder(handle_unknown="ignore", sparse_output=False), list(CATEGORICAL)),
    ])  # fmt: skip
    reference.fit(table(train))
    fitted = encoder().fit(table(train))
    np.testing.assert_allclose(
        fitted.transform(table(train)), reference.transform(table(train)), rtol=1e-12, atol=1e-12
    )
    scale = np.abs(reference.transform(table(serve))).max(initial=1.0)
    np.testing.assert_allclose(
        fitted.transform(table(serve)), reference.transform(table(serve)), rtol=1e-12, atol=1e-12 * scale
    )


def test_a_missing_number_becomes_the_median_and_is_flagged() -> None:
    train = pd.DataFrame({"a": [1.0, 2.0, 9.0, NAN, INF]})
    fitted = FeatureEncoder(["a"]).fit(train)
    assert list(fitted.get_feature_names_out()) == ["a", "a__missing"]
    mean, std = np.mean([1, 2, 9, 2, 2]), np.std([1, 2, 9, 2, 2])
    expected = [[(2 - mean) / std, 1.0], [(1 - mean) / std, 0.0], [(2 - mean) / std, 1.0]]
    np.testing.assert_allclose(fitted.encode_rows([{"a": None}, {"a": 1}, {"a": -INF}]), expected)


def test_without_missing_numbers_in_training_there_is_no_flag() -> None:
    fitted = FeatureEncoder(["a"]).fit(pd.DataFrame({"a": [1.0, 3.0]}))
    np.testing.assert_array_equal(fitted.encode_rows([{"a": NAN}, {"a": 3.0}]), [[0.0], [1.0]])


@pytest.mark.parametrize("nothing", [NAN, INF, None])
def test_a_column_that_training_never_saw_is_zero(nothing: float | None) -> None:
    fitted = FeatureEncoder(["a"]).fit(pd.DataFrame({"a": [nothing, nothing]}))
    assert fitted.transform(pd.DataFrame({"a": [5.0, NAN]}))[:, 0].tolist() == [0.0, 0.0]


def test_the_largest_numbers_do_not_overflow() -> None:
    """Their squares would, and their differences."""
    largest = sys.float_info.max
    fitted = FeatureEncoder(["a"]).fit(pd.DataFrame({"a": [-largest, largest]}))
    assert fitted.encode_rows([{"a": -largest}, {"a": 0.0}, {"a": largest}]).tolist() == [
        [-1.0],
        [0.0],
        [1.0],
    ]


def test_a_constant_is_not_divided_by_rounding_errors() -> None:
    fitted = FeatureEncoder(["a"]).fit(pd.DataFrame({"a": [0.1] * 7}))
    assert fitted.transform(pd.DataFrame({"a": [0.1, 1.1]})).ravel().tolist() == [0.0, 1.0]


def test_categories_that_training_did_not_see_are_all_zero() -> None:
    fitted = FeatureEncoder((), ["c"]).fit(pd.DataFrame({"c": ["y", "x", None]}))
    assert list(fitted.get_feature_names_out()) == ["c=x", "c=y"]
    found = fitted.encode_rows([{"c": "x"}, {"c": "z"}, {"c": None}, {"c": NAN}, {"c": "y"}])
    np.testing.assert_array_equal(found, [[1, 0], [0, 0], [0, 0], [0, 0], [0, 1]])


def test_whole_numbers_as_categories_are_the_same_with_and_without_missing_ones() -> None:
    fitted = FeatureEncoder((), ["c"]).fit(pd.DataFrame({"c": [1, 2]}))
    with_missing = pd.DataFrame({"c": [1, None]})
    assert with_missing["c"].dtype == "float64"
    np.testing.assert_array_equal(fitted.transform(with_missing), [[1, 0], [0, 0]])


@pytest.mark.parametrize("dtype", ["Float64", "Int64", "float32", "int16", "object", "boolean"])
def test_columns_of_every_type_are_read(dtype: str) -> None:
    fitted = FeatureEncoder(["a"]).fit(pd.DataFrame({"a": [0.0, 1.0]}))
    frame = pd.DataFrame({"a": pd.Series([1, 0], dtype=dtype)})
    np.testing.assert_array_equal(fitted.transform(frame), [[1.0], [-1.0]])


@pytest.mark.parametrize("missing", [None, pd.NA, pd.NaT, NAN, np.float32("nan")])
def test_every_kind_of_missing_value_is_one(missing: Any) -> None:
    fitted = encoder().fit(objects([{"a": 1.0, "b": 2.0, "c": "x", "d": "y"}]))
    row = {"a": missing, "b": 2.0, "c": missing, "d": "y"}
    np.testing.assert_array_equal(fitted.encode_rows([row]), [[0.0, 0.0, 0.0, 1.0]])
    np.testing.assert_array_equal(fitted.transform(objects([row])), [[0.0, 0.0, 0.0, 1.0]])


def test_lacking_features_are_named() -> None:
    fitted = encoder().fit(table([{"a": 1.0, "b": 2.0, "c": "x", "d": "y"}]))
    for use in (fitted.fit, fitted.transform):
        with pytest.raises(PreparationError, match="features are missing: b, d; allowed: a, b, c, d"):
            use(pd.DataFrame({"a": [1.0], "c": ["x"]}))
    with pytest.raises(PreparationError, match="features are missing: b, d"):
        fitted.encode_rows([{"a": 1.0, "c": "x"}])


@pytest.mark.parametrize("value", ["3", "much", [1.0], {}])
def test_what_is_not_a_number_is_named(value: Any) -> None:
    fitted = encoder().fit(table([{"a": 1.0, "b": 2.0, "c": "x", "d": "y"}]))
    row = {"a": 1.0, "b": value, "c": "x", "d": "y"}
    for use in (fitted.encode_rows, lambda rows: fitted.transform(objects(rows))):
        with pytest.raises(PreparationError, match=r"b is .*; allowed: a number, or none"):
            use([row])


def test_it_is_told_to_fit_first() -> None:
    for use in (encoder().get_feature_names_out, lambda: encoder().encode_rows([])):
        with pytest.raises(PreparationError, match="has not been fitted; next: call fit first"):
            use()


def test_no_rows_give_no_rows() -> None:
    fitted = encoder().fit(table([{"a": 1.0, "b": NAN, "c": "x", "d": "y"}]))
    assert fitted.encode_rows([]).shape == (0, 5)
    assert fitted.transform(objects([])).shape == (0, 5)
    assert encoder().fit(objects([])).encode_rows([{"a": 1, "b": 1, "c": 1, "d": 1}]).tolist() == [[0.0, 0.0]]


def test_it_is_cloned_pickled_and_piped_like_any_estimator() -> None:
    rows = [{"a": float(n), "b": NAN if n % 3 else 1.0, "c": "xy"[n % 2], "d": None} for n in range(9)]
    frame = table(rows)
    fitted = encoder().fit(frame)
    assert clone(fitted).get_params() == {"numeric": NUMERIC, "categorical": CATEGORICAL}
    np.testing.assert_array_equal(
        pickle.loads(pickle.dumps(fitted)).transform(frame), fitted.transform(frame)
    )
    np.testing.assert_array_equal(clone(fitted).fit_transform(frame), fitted.transform(frame))
    model = make_pipeline(encoder(), Ridge()).fit(frame, frame["a"])
    assert model[:-1].get_feature_names_out().tolist() == ["a", "b", "b__missing", "c=x", "c=y"]
    assert clone(fitted).set_output(transform="pandas").fit_transform(frame).columns[0] == "a"


def test_rows_are_encoded_without_pandas() -> None:
    """In a process of its own: importing the module and encoding needs no more than was pickled."""
    code = (
        "import sys\n"
        "sys.modules['pandas'] = None\n"
        "from include.kreislauf.preparation.encoder import FeatureEncoder\n"
        "import pickle\n"
        "fitted = pickle.loads(bytes.fromhex(sys.argv[1]))\n"
        "print(fitted.encode_rows([{'a': 3.0, 'b': None, 'c': 'x', 'd': 'z'}]).tolist())\n"
    )
    fitted = encoder().fit(table([{"a": 1.0, "b": NAN, "c": "x", "d": "y"}]))
    dump = pickle.dumps(fitted).hex()
    found = subprocess.run([sys.executable, "-c", code, dump], cwd=ROOT, capture_output=True, text=True)
    assert found.stdout.strip() == "[[2.0, 0.0, 1.0, 1.0, 0.0]]", found.stderr
