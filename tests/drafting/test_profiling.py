"""Types, and columns that models should not see, are found as a person would find them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from include.kreislauf.drafting.profiling import Column, profile
from tests.drafting.tables import ROWS, machines, table_of

NUMBERS = np.arange(ROWS)
RANDOM = np.random.default_rng(1)


def column(values: Any, folder: Path, name: str = "it") -> Column:
    return profile(table_of(machines(**{name: values}), folder))[name]


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (NUMBERS / 7, "number"),
        (NUMBERS % 2 == 0, "text"),
        (["a", "b", "c"] * 80, "text"),
        (["2024-01-31", "2024-02-29"] * 120, "date"),
        (["2024-01-31T10:00:00Z", "2024-02-29 10:00"] * 120, "date"),
        (["2024-01-31", "2023-02-29"] * 120, "text"),
    ],
)
def test_types(values: Any, kind: str, tmp_path: Path) -> None:
    assert column(values, tmp_path).type == kind


@pytest.mark.parametrize(
    ("values", "trouble", "said"),
    [
        ([None] * ROWS, "empty", "no value"),
        ([7] * ROWS, "constant", "always 7"),
        ([1.5, *[None] * 9] * 24, "sparse", "90% of the values are missing"),
        (NUMBERS + 1000, "identifier", "names rows"),
        ([f"M-{number:04}" for number in NUMBERS], "identifier", "names rows"),
        ([f"the {number}th of many long notes that nobody wrote twice" for number in NUMBERS], "free_text", "a text of its own"),
        ([f"note {number // 2}" for number in NUMBERS], "free_text", "too few of each"),
        (["03/04/2024", "4. April 2024", "2024.05.06"] * 80, "dates_as_text", "'03/04/2024', '4. April 2024', '2024.05.06'"),
        (["1,5", "2,25"] * 120, "numbers_as_text", "numbers with a comma"),
        ([*range(230), *["n.a.x"] * 10], "numbers_as_text", "such as 'n.a.x'"),
    ],
)  # fmt: skip
def test_columns_that_models_should_not_see(values: Any, trouble: str, said: str, tmp_path: Path) -> None:
    found = column(values, tmp_path)
    assert found.trouble == trouble
    assert said in found.why


@pytest.mark.parametrize(
    "values",
    [
        NUMBERS % 100,  # whole, and repeated
        RANDOM.choice(10**6, ROWS, replace=False),  # whole, each once, but no running number
        RANDOM.normal(size=ROWS),  # each once, not whole
        ["yes", "no", None] * 80,
        [None, 1.0, 2.0, 3.0] * 60,
    ],
)
def test_ordinary_columns_are_left_as_they_are(values: Any, tmp_path: Path) -> None:
    assert column(values, tmp_path).trouble == ""


@pytest.mark.parametrize("name", ["id", "customer_id", "customerId", "Kunden-Nr", "ROW", "Unnamed: 0"])
def test_a_number_of_its_own_that_is_called_an_identifier_is_one(name: str, tmp_path: Path) -> None:
    assert column(RANDOM.choice(10**6, ROWS, replace=False), tmp_path, name).trouble == "identifier"


@pytest.mark.parametrize("name", ["paid", "monkey", "humid", "grid_width", "hidden"])
def test_names_that_only_end_like_one_are_none(name: str, tmp_path: Path) -> None:
    assert not column([1, 2] * 120, tmp_path, name).called_id


def test_two_thousand_columns(tmp_path: Path) -> None:
    wide = pd.DataFrame(RANDOM.normal(size=(300, 2_000)), columns=[f"x{number}" for number in range(2_000)])
    found = profile(table_of(wide, tmp_path))
    assert len(found) == 2_000
    assert not any(one.trouble for one in found.values())
