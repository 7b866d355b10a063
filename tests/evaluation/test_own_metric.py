"""Metrics of kind ``own``: the same function of the use case's ``metrics.py`` in the lab as live; and what is wrong with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from include.kreislauf.errors import EvaluationError
from include.kreislauf.evaluation.business import measure_of, observations_of
from include.kreislauf.evaluation.own_metric import code_of, own_measure
from include.kreislauf.requirements.business import OwnMetric, is_gate
from include.kreislauf.requirements.monitoring import SequentialTest
from tests.support.problems import NUMBERS, TWO

GAIN = """
def gain(predicted, happened, options):
    return options["price"] * (predicted - happened)
"""


def gain(**fields: Any) -> OwnMetric:
    given: dict[str, Any] = {"name": "gain", "threshold": 0.0, "options": {"price": 2.0}, **fields}
    return OwnMetric(kind="own", test=SequentialTest(bounds=(-10.0, 10.0)), **given)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return written(tmp_path, GAIN)


def written(folder: Path, code: str) -> Path:
    (folder / "metrics.py").write_text(code)
    return folder


def test_it_measures_what_the_function_says(folder: Path) -> None:
    measure = measure_of(gain(), NUMBERS, folder)
    assert measure([1.0, 2.0], [0.5, 3.0]).tolist() == [1.0, -2.0]
    assert measure([], []).tolist() == []


def test_held_out_rows_are_measured_by_the_same_function(folder: Path) -> None:
    rows = pd.DataFrame({
        "entity": ["a", "b", "a", "b"], "fold": [1, 1, 2, 2], "block": ["1", "1", "2", "2"],
        "prediction": [1.0, np.nan, 3.0, 4.0], "target": [0.0, 0.0, 1.0, 1.0],
    })  # fmt: skip
    found = observations_of(gain(), NUMBERS, folder)(rows)
    assert {block: values.tolist() for block, values in found.items() if block == "2"} == {"2": [4.0, 6.0]}
    np.testing.assert_array_equal(found["1"], [2.0, np.nan])


def test_of_two_classes_it_is_told_probabilities_and_positions(folder: Path) -> None:
    rows = pd.DataFrame({
        "entity": ["a", "b"], "fold": 1, "block": "1", "p0": [0.75, 0.5], "p1": [0.25, 0.5], "target": [0.0, 1.0],
    })  # fmt: skip
    assert observations_of(gain(), TWO, folder)(rows)["1"].tolist() == [0.5, -1.0]


def test_the_function_cannot_change_what_it_is_given(folder: Path) -> None:
    written(
        folder, "def gain(told, true, options):\n    told += 1\n    options['price'] = 0\n    return told\n"
    )
    metric, told = gain(), np.zeros(3)
    own_measure(metric, folder)(told, np.zeros(3))
    assert (told.tolist(), metric.options) == ([0, 0, 0], {"price": 2.0})


@pytest.mark.parametrize(
    ("code", "what", "place"),
    [
        ("x = 1\n1 / 0\n", "cannot be imported: ZeroDivisionError: division by zero", "{path}, line 2"),
        ("x = 1\n", "gain is missing", "{path}"),
        ("gain = 1\n", "gain is no function", "{path}"),
        ("def gain(a, b, options):\n    return options['cost']\n", "gain fails: KeyError: 'cost'", "{path}, line 2"),
        ("def gain(a, b):\n    return a\n", "gain fails: TypeError: gain() takes 2 positional arguments but 3 were given", "{path}, line 1"),
        ("def gain(a, b, options):\n    return a.mean()\n", "gives shape ()", "{path}, gain"),
        ("def gain(a, b, options):\n    return a[:1]\n", "gives shape (1,)", "{path}, gain"),
        ("def gain(a, b, options):\n    return None\n", "gives shape ()", "{path}, gain"),
        ("def gain(a, b, options):\n    return ['much'] * len(a)\n", "gives list", "{path}, gain"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_with_file_and_line(folder: Path, code: str, what: str, place: str) -> None:
    written(folder, code)
    with pytest.raises(EvaluationError) as error:
        own_measure(gain(), folder)([1.0, 2.0], [1.0, 2.0])
    assert (error.value.what, error.value.where) == (what, place.format(path=folder / "metrics.py"))


def test_without_the_file_it_cannot_be_had(tmp_path: Path) -> None:
    with pytest.raises(EvaluationError, match=r"has no metrics\.py"):
        measure_of(gain(), NUMBERS, tmp_path)
    with pytest.raises(EvaluationError, match=r"gain: the use case's metrics\.py cannot be reached here"):
        measure_of(gain(), NUMBERS)


def test_its_code_is_told_by_a_digest(folder: Path, tmp_path: Path) -> None:
    first = code_of(folder)
    written(folder, f"{GAIN}\n")
    assert len({first, code_of(folder), code_of(tmp_path / "nowhere")}) == 3
    assert code_of(None) == ""


def test_it_is_a_gate_where_the_contract_says_so() -> None:
    assert not is_gate(gain())
    assert is_gate(gain(gate_threshold=1.0))


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"name": "class"}, "class is a word of Python's"),
        ({"threshold": 11.0}, "threshold 11 lies not within the test's bounds"),
        ({"options": {"price": float("nan")}}, "finite"),
    ],
)
def test_a_contract_that_does_not_fit_is_refused(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        gain(**fields)
