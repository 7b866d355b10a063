"""What raw data and features must fulfil, and how a fault is named."""

from __future__ import annotations

from datetime import date
from typing import Any

import numpy as np
import pandas as pd
import pytest

from include.kreislauf.errors import PreparationError
from include.kreislauf.preparation.schemas import check_features, check_raw
from tests.preparation.worlds import contract, honest, module, raw

AS_OF = date(2016, 1, 1)
FEATURES = module(honest)
PROBLEM = contract().problem


def panel(**values: Any) -> pd.DataFrame:
    """Two valid raw rows, but for what a test says."""
    frame = pd.DataFrame({
        "tech": ["a", "b"], "kind": ["language", "web"],
        "quarter_start": pd.to_datetime(["2015-01-01", "2015-01-01"]),
        "gh_pull_requests_share": [0.1, np.nan], "gh_repo_new_stars": [np.nan, 3.0],
        "so_share_first": [0.1, 0.2], "jobs_with_tech": [1.0, 2.0], "jobs_share": [0.1, 0.2],
    })  # fmt: skip
    return frame.assign(**values)


def features(**values: Any) -> pd.DataFrame:
    return honest(raw(quarters=8, entities=2), AS_OF).assign(**values)


def said(frame: pd.DataFrame, **offers: Any) -> str:
    with pytest.raises(PreparationError) as error:
        check_features(frame, module(honest, **offers), PROBLEM)
    return error.value.text


# Raw data


def test_valid_raw_rows_pass_with_their_types() -> None:
    given = panel(jobs_with_tech=[1, 2], quarter_start=[date(2015, 1, 1)] * 2, further=["x", None])
    found = check_raw(given, contract())
    assert found["jobs_with_tech"].dtype == "float64"
    assert pd.api.types.is_datetime64_any_dtype(found["quarter_start"])
    assert list(found.columns) == list(given.columns)


def test_a_date_with_a_zone_is_taken_in_utc() -> None:
    given = panel(quarter_start=pd.to_datetime(["2015-01-01T02:00+02:00"] * 2, utc=True))
    assert set(check_raw(given, contract())["quarter_start"]) == {pd.Timestamp("2015-01-01")}


@pytest.mark.parametrize(
    ("fault", "text"),
    [
        ({"tech": ["a", None]}, "tech fails not_nullable"),
        ({"tech": ["a", "a"]}, "multiple_fields_uniqueness"),
        ({"quarter_start": [1, 2]}, "quarter_start fails date, found 1"),
        ({"quarter_start": ["soon", "later"]}, "quarter_start fails date, found 'soon'"),
        ({"quarter_start": [pd.NaT, pd.Timestamp("2015-01-01")]}, "quarter_start fails not_nullable"),
        ({"jobs_share": ["many", "few"]}, "jobs_share fails number, found 'many'"),
        ({"jobs_share": [True, False]}, "jobs_share fails number"),
        ({"kind": [1, 2]}, "kind fails text, found 1"),
        ({"kind": ["web", None]}, "kind fails not_nullable"),
    ],
)
def test_raw_rows_that_break_a_rule_name_it(fault: dict[str, Any], text: str) -> None:
    with pytest.raises(PreparationError) as error:
        check_raw(panel(**fault), contract())
    assert text in error.value.text
    assert error.value.where == "raw data"


def test_a_declared_column_must_be_there() -> None:
    with pytest.raises(PreparationError, match="column jobs_share is missing"):
        check_raw(panel().drop(columns="jobs_share"), contract())


def test_without_rows_there_is_nothing_to_prepare() -> None:
    with pytest.raises(PreparationError, match="there are no rows; next: collect again"):
        check_raw(panel().head(0), contract())


def test_repeated_keys_pass_where_the_latest_is_kept() -> None:
    assert len(check_raw(panel(tech=["a", "a"]), contract({"step": "keep_latest"}))) == 2


# Features


def test_a_declared_feature_may_be_missing_but_never_infinite() -> None:
    frame = features()
    frame.loc[3, "change"] = np.nan
    assert "change fails not_nullable, found nan" in said(frame)
    assert (
        check_features(frame, module(honest, MAY_BE_MISSING=("change",)), PROBLEM)["change"].isna().sum() == 1
    )
    frame.loc[4, "change"] = -np.inf
    assert "change fails finite, found -inf; 1 faults" in said(frame, MAY_BE_MISSING=("change",))


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("declared", [(), ("change",)])
def test_a_feature_without_a_single_number_is_named(value: float, declared: tuple[str, ...]) -> None:
    text = said(features(change=value), MAY_BE_MISSING=declared)
    assert "change is missing or infinite in all 16 rows" in text
    assert "preparation.exclude" in text


def test_a_constant_target_is_told() -> None:
    frame = features()
    frame["target"] = frame["target"].where(frame["target"].isna(), 0.5)
    assert "the target is 0.5 in all 14 rows that have one" in said(frame)


def test_a_target_that_is_never_known_is_told() -> None:
    assert "the target is not known in any row" in said(features(target=np.nan))


def test_an_infinite_target_is_told() -> None:
    frame = features()
    frame.loc[0, "target"] = np.inf
    assert "target fails finite, found inf" in said(frame)


def test_a_category_with_missing_values_is_told() -> None:
    assert "kind fails not_nullable, found None; 16 faults" in said(features(kind=None))


def test_excluded_features_must_not_be_there() -> None:
    frame = features()
    assert "column_in_schema, found 'change'" in _excluding(frame, "change")
    assert list(check_features(frame.drop(columns="change"), FEATURES, PROBLEM, {"change"}).columns) == [
        "entity", "period", "level", "kind", "target",
    ]  # fmt: skip


def _excluding(frame: pd.DataFrame, name: str) -> str:
    with pytest.raises(PreparationError) as error:
        check_features(frame, FEATURES, PROBLEM, {name})
    return error.value.text
