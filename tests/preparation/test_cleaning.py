"""Cleaning: what each step does and accounts for, and that none of them looks ahead."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.kreislauf.errors import PreparationError
from include.kreislauf.preparation.cleaning import Cleaned, clean
from tests.preparation.worlds import contract

STARTS = pd.date_range("2014-01-01", periods=6, freq="QS")
NAN, INF = float("nan"), float("inf")


def rows(values: list[Any], entity: str = "a", **more: Any) -> pd.DataFrame:
    """One row per quarter from 2014 on."""
    starts = list(STARTS[: len(values)])
    return pd.DataFrame({"tech": entity, "quarter_start": starts, "n": values, "kind": "web", **more})


def cleaned(frame: pd.DataFrame, *steps: dict[str, Any]) -> tuple[list[Any], list[Cleaned]]:
    found, account = clean(frame, contract(*steps))
    return [None if pd.isna(one) else one for one in found["n"]], account


@pytest.mark.parametrize(
    ("step", "values", "expected", "changed", "unit"),
    [
        ({"step": "drop_missing"}, [1.0, NAN, 3.0], [1, 3], 1, "rows"),
        ({"step": "fill_value", "value": 0}, [1.0, NAN, 3.0], [1, 0, 3], 1, "values"),
        ({"step": "fill_previous"}, [NAN, 1.0, NAN, NAN], [None, 1, 1, None], 1, "values"),
        ({"step": "fill_previous", "limit": 2}, [1.0, NAN, NAN, NAN], [1, 1, 1, None], 2, "values"),
        ({"step": "clip", "low": 0.0, "high": 2.0}, [-1.0, 1.0, 9.0, NAN], [0, 1, 2, None], 2, "values"),
        ({"step": "clip", "high": 2.0}, [-1, 1, 9], [-1, 1, 2], 1, "values"),
        ({"step": "out_of_range_missing", "low": 0.0}, [-1.0, 0.0, 9.0], [None, 0, 9], 1, "values"),
        ({"step": "out_of_range_missing"}, [-1.0, 9.0], [-1, 9], 0, "values"),
    ],
)
def test_each_step_changes_what_it_says(
    step: dict[str, Any], values: list[Any], expected: list[Any], changed: int, unit: str
) -> None:
    found, account = cleaned(rows(values), {**step, "columns": ["n"]})
    assert found == expected
    assert account == [Cleaned(step["step"], ("n",), changed, unit)]


def test_the_latest_of_several_rows_is_kept() -> None:
    found, account = cleaned(
        pd.concat([rows([1.0, 2.0]), rows([3.0]), rows([4.0], "b")]), {"step": "keep_latest"}
    )
    assert found == [2, 3, 4]
    assert account == [Cleaned("keep_latest", ("tech", "quarter_start"), 1, "rows")]


def test_infinite_numbers_are_missing_always() -> None:
    found, account = cleaned(rows([1.0, INF, -INF]))
    assert found == [1, None, None]
    assert account == [Cleaned("infinite_missing", ("n",), 2, "values")]


def test_infinite_numbers_are_filled_like_missing_ones() -> None:
    assert cleaned(rows([1.0, INF]), {"step": "fill_previous", "columns": ["n"]})[0] == [1, 1]


def test_nothing_is_filled_from_another_entity_or_over_a_gap_in_the_calendar() -> None:
    frame = pd.concat([rows([1.0], "a"), rows([NAN, NAN], "b"), rows([2.0, 0.0, 0.0, NAN], "c").iloc[[0, 3]]])
    found, _ = cleaned(frame, {"step": "fill_previous", "columns": ["n"], "limit": 2})
    assert found == [1, None, None, 2, None]


@pytest.mark.parametrize(("limit", "filled"), [(1, None), (2, 1)])
def test_another_entitys_value_between_is_not_taken(limit: int, filled: float | None) -> None:
    frame = pd.concat([rows([1.0, 0.0, NAN], "a").iloc[[0, 2]], rows([5.0, 2.0], "b").iloc[[1]]])
    assert cleaned(frame, {"step": "fill_previous", "columns": ["n"], "limit": limit})[0] == [1, filled, 2]


def test_text_is_filled_as_well() -> None:
    frame = rows([1.0, 2.0]).assign(kind=pd.Series(["web", None], dtype="str"))
    found, account = clean(frame, contract({"step": "fill_value", "columns": ["kind"], "value": "other"}))
    assert list(found["kind"]) == ["web", "other"]
    assert account[0].changed == 1


def test_steps_are_done_in_their_order() -> None:
    drop = {"step": "drop_missing", "columns": ["n"]}
    fill = {"step": "fill_value", "columns": ["n"], "value": 0.0}
    assert cleaned(rows([1.0, NAN]), drop, fill)[0] == [1]
    found, account = cleaned(rows([1.0, NAN]), fill, drop)
    assert found == [1, 0]
    assert [one.changed for one in account] == [1, 0]


def test_the_rows_given_stay_as_they_are() -> None:
    frame = rows([1.0, INF])
    clean(frame, contract({"step": "fill_value", "columns": ["n"], "value": 0.0}))
    pd.testing.assert_frame_equal(frame, rows([1.0, INF]))


@pytest.mark.parametrize(
    ("step", "said"),
    [
        ({"step": "drop_missing", "columns": ["nowhere"]}, "drop_missing cannot be done on nowhere; allowed: n, kind"),
        ({"step": "clip", "columns": ["kind"], "low": 0.0}, "clip cannot be done on kind; allowed: n;"),
        ({"step": "fill_value", "columns": ["n"], "value": "x"}, "cannot be done on n; allowed: kind;"),
        ({"step": "fill_value", "columns": ["kind"], "value": 1}, "cannot be done on kind; allowed: n;"),
        ({"step": "fill_value", "columns": ["tech"], "value": "x"}, "cannot be done on tech; allowed: kind;"),
    ],
)  # fmt: skip
def test_a_step_on_the_wrong_column_names_the_right_ones(step: dict[str, Any], said: str) -> None:
    with pytest.raises(PreparationError) as error:
        clean(rows([1.0]), contract(step))
    assert said in error.value.text


COLUMNS = st.lists(st.sampled_from(["n", "m"]), min_size=1, max_size=2, unique=True)
BOUNDS = st.sampled_from([-2.0, 0.0, 2.0])
STEPS = st.one_of(
    st.fixed_dictionaries({"step": st.just("drop_missing"), "columns": COLUMNS}),
    st.fixed_dictionaries({"step": st.just("fill_value"), "columns": COLUMNS, "value": st.sampled_from([0, 1.5])}),
    st.fixed_dictionaries({"step": st.just("fill_previous"), "columns": COLUMNS, "limit": st.integers(1, 3)}),
    st.fixed_dictionaries({"step": st.just("clip"), "columns": COLUMNS, "low": BOUNDS}),
    st.fixed_dictionaries({"step": st.just("out_of_range_missing"), "columns": COLUMNS, "high": BOUNDS}),
    st.just({"step": "keep_latest"}),
)  # fmt: skip
NUMBERS = st.sampled_from([-3.0, -1.0, 0.0, 1.0, 3.0, NAN, INF, -INF])
ROWS = st.lists(
    st.tuples(st.sampled_from("abc"), st.sampled_from(list(STARTS)), NUMBERS, NUMBERS),
    min_size=1,
    max_size=20,
)


@given(table=ROWS, steps=st.lists(STEPS, max_size=4), until=st.sampled_from(list(STARTS)))
def test_cleaning_never_looks_ahead(
    table: list[Any], steps: list[dict[str, Any]], until: pd.Timestamp
) -> None:
    frame = pd.DataFrame(table, columns=["tech", "quarter_start", "n", "m"])
    signed = contract(*steps)
    everything = clean(frame, signed)[0]
    then = everything[everything["quarter_start"] <= until].reset_index(drop=True)
    pd.testing.assert_frame_equal(clean(frame[frame["quarter_start"] <= until], signed)[0], then)


@given(table=ROWS, steps=st.lists(STEPS, max_size=4))
def test_the_account_adds_up(table: list[Any], steps: list[dict[str, Any]]) -> None:
    frame = pd.DataFrame(table, columns=["tech", "quarter_start", "n", "m"])
    found, account = clean(frame, contract(*steps))
    assert len(frame) - len(found) == sum(one.changed for one in account if one.unit == "rows")
    done = [one.step for one in account if one.step != "infinite_missing"]
    assert done == [step["step"] for step in steps]
    assert not np.isinf(found[["n", "m"]].to_numpy()).any()
