"""Rows as values alone, numbers first, are predicted exactly as rows by name."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler

from include.kreislauf.errors import PreparationError
from include.kreislauf.inference.compiling import compile_model
from include.kreislauf.inference.predictor import Predictor

NUMERIC, KINDS = ["b", "a"], {"kind": ["x", "y", "z"], "size": ["l", "s"]}
NUMBERS = st.one_of(st.none(), st.integers(-9, 9), st.floats(-1e3, 1e3), st.just(math.nan))
ROWS = st.fixed_dictionaries({
    "a": NUMBERS, "b": NUMBERS, "kind": st.sampled_from(["x", "y", "z", "new"]), "size": st.sampled_from(["l", "s", "m"]),
})  # fmt: skip


def fitted(handle_unknown: str) -> Predictor:
    rng = np.random.default_rng(3)
    frame = pd.DataFrame({
        "a": rng.normal(size=300), "b": rng.normal(size=300), "kind": rng.choice(KINDS["kind"], 300),
        "size": rng.choice(KINDS["size"], 300),
    })  # fmt: skip
    ordinal = (
        {"handle_unknown": "use_encoded_value", "unknown_value": -1} if handle_unknown == "ignore" else {}
    )
    encode = ColumnTransformer([
        ("numbers", StandardScaler(), NUMERIC), ("kind", OneHotEncoder(handle_unknown=handle_unknown), ["kind"]),
        ("size", OrdinalEncoder(**ordinal), ["size"]),
    ])  # fmt: skip
    model = Pipeline([("encode", encode), ("model", HistGradientBoostingRegressor(max_iter=20))])
    model.fit(frame, frame["a"] + (frame["kind"] == "x") + (frame["size"] == "s"))
    return compile_model(model, NUMERIC, KINDS).predictor()


TOLERANT, STRICT = fitted("ignore"), fitted("error")


def values_of(row: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(row[name] for name in [*NUMERIC, *KINDS])


@given(st.lists(ROWS, min_size=1, max_size=6))
def test_law_values_are_predicted_as_rows_by_name(rows: list[dict[str, Any]]) -> None:
    values = [values_of(row) for row in rows]
    expected = TOLERANT.predict(rows)
    assert TOLERANT.evaluate(TOLERANT.encode(values)).tolist() == expected.tolist()
    assert [TOLERANT.predict_values(one) for one in values] == expected.tolist()


def test_what_is_wrong_is_told_by_its_name() -> None:
    with pytest.raises(PreparationError, match="kind is 'new'"):
        STRICT.predict_values((1.0, 2.0, "new", "l"))
    with pytest.raises(PreparationError, match="size is 'm'"):
        STRICT.encode([(1.0, 2.0, "x", "l"), (1.0, 2.0, "x", "m")])
    with pytest.raises(PreparationError, match="a is 'one'"):
        TOLERANT.predict_values((1.0, "one", "x", "l"))
    with pytest.raises(PreparationError, match="features are missing: size"):
        TOLERANT.predict_values((1.0, 2.0, "x"))
