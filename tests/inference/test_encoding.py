"""Rows are encoded as our own encoder does it, to the last bit, one by one and together."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from include.kreislauf.errors import PreparationError
from include.kreislauf.inference.encoding import RowEncoder
from include.kreislauf.inference.planning import plan
from include.kreislauf.preparation.encoder import FeatureEncoder

NUMERIC, CATEGORICAL = ("a", "b"), ("c", "d")
NAN, INF = math.nan, math.inf
NUMBERS = st.one_of(
    st.floats(), st.none(), st.integers(-(10**400), 10**400), st.booleans(), st.floats(width=32).map(np.float32),
    st.sampled_from([1e30, -1e30, 1.1e30, 10**30 + 1, INF, -INF]),
)  # fmt: skip
CATEGORIES = st.one_of(
    st.sampled_from(["x", "y", "", "ü", "1"]), st.none(), st.integers(-2, 2), st.booleans(),
    st.sampled_from([NAN, 1.0, 2.5, INF, pd.NA, np.float64(2)]),
)  # fmt: skip
ROWS = st.lists(
    st.fixed_dictionaries({"a": NUMBERS, "b": NUMBERS, "c": CATEGORIES, "d": CATEGORIES}), min_size=1, max_size=12
)  # fmt: skip


def compiled(rows: list[dict[str, Any]]) -> tuple[FeatureEncoder, RowEncoder]:
    frame = pd.DataFrame(rows, columns=[*NUMERIC, *CATEGORICAL], dtype=object)
    encoder = FeatureEncoder(NUMERIC, CATEGORICAL).fit(frame)
    return encoder, RowEncoder(plan([encoder], NUMERIC, CATEGORICAL))


@settings(deadline=None)
@given(train=ROWS, serve=ROWS)
def test_as_our_own_encoder(train: list[dict[str, Any]], serve: list[dict[str, Any]]) -> None:
    encoder, rows_encoder = compiled(train)
    for rows in (train, serve):
        expected = encoder.encode_rows(rows)
        np.testing.assert_array_equal(rows_encoder.many(rows), expected)
        one_by_one = np.array([rows_encoder.one(row).tolist()[:-1] for row in rows])
        np.testing.assert_array_equal(one_by_one, expected)


GOOD = {"a": 1.0, "b": None, "c": "x", "d": "y"}
BAD = [
    ({"a": 1.0, "c": "x", "d": "y"}, "features are missing: b"),
    ({"a": 1.0, "b": 2.0, "c": "x"}, "features are missing: d"),
    ({**GOOD, "a": "1.5"}, "a is '1.5'"),
    ({**GOOD, "b": b"2"}, "b is b'2'"),
    ({**GOOD, "a": [1.0]}, "a is"),
    ({**GOOD, "a": {}}, "a is"),
    ({**GOOD, "c": ["x"]}, "a category is no text"),
]


@pytest.mark.parametrize(("row", "message"), BAD)
def test_what_cannot_be_encoded_is_named(row: dict[str, Any], message: str) -> None:
    _, encoder = compiled([GOOD, {**GOOD, "a": 2.0, "b": 3.0}])
    with pytest.raises(PreparationError) as one:
        encoder.one(row)
    with pytest.raises(PreparationError) as many:
        encoder.many([GOOD, row])
    assert message in one.value.what
    assert one.value.text == many.value.text


def test_no_rows_are_no_rows() -> None:
    _, encoder = compiled([GOOD])
    assert encoder.many([]).shape == (0, encoder.plan.width)


def test_encoding_a_row_leaves_nothing_behind() -> None:
    _, encoder = compiled([GOOD, {**GOOD, "a": 2.0, "b": 3.0, "c": "z"}])
    before = encoder.one(GOOD)
    encoder.one({"a": None, "b": 9.0, "c": "z", "d": "never seen"})
    assert encoder.one(GOOD) == before
