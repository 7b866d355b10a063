"""How wrong live predictions were, by the kind of what is predicted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from include.kreislauf.embedded.live_error import live_error
from include.kreislauf.requirements.contract import Contract
from include.kreislauf.requirements.loading import contract_path, load_contract
from include.kreislauf.settings import ROOT
from tests.support.use_cases import write_use_case


@pytest.fixture
def of_numbers(tmp_path: Path) -> Contract:
    return write_use_case(tmp_path)


@pytest.fixture
def of_two() -> Contract:
    return load_contract(contract_path(ROOT / "include" / "use_cases", "machine_failure"))


@pytest.fixture
def of_three(of_two: Contract) -> Contract:
    problem = of_two.problem.model_copy(update={"kind": "multiclass", "classes": ("a", "b", "c")})
    return of_two.model_copy(update={"problem": problem})


def test_numbers_are_compared_with_no_change(of_numbers: Contract) -> None:
    found = live_error(of_numbers, [1.0, 0.0], [1.5, -0.5])
    assert found is not None
    assert (found.name, found.value, found.baseline, found.without) == ("MAE", 0.5, "persistence", 1.0)
    assert found.text == "live MAE 0.5000, persistence 1.0000 (50.0% lower) over 2 predictions"


def test_numbers_with_the_baseline_prior_are_compared_with_their_mean(of_numbers: Contract) -> None:
    performance = of_numbers.performance.model_copy(update={"baseline": "prior"})
    found = live_error(of_numbers.model_copy(update={"performance": performance}), [1.0, 4.0], [1.0, 3.0])
    assert found is not None
    assert (found.value, found.baseline, found.without) == (0.5, "mean", 1.0)


def test_two_classes_are_compared_with_the_share_of_the_second(of_two: Contract) -> None:
    found = live_error(of_two, [0.5, 0.0, 0.0, 0.0], [1, 0, 0, 0])
    assert found is not None
    assert (found.name, found.value, found.without) == ("Brier score", 0.0625, 0.1875)


def test_more_classes_are_compared_with_the_most_frequent_one(of_three: Contract) -> None:
    found = live_error(of_three, [0, 1, 2, 2], [0, 1, 2, 1])
    assert found is not None
    assert (found.name, found.value, found.without) == ("error rate", 0.25, 0.5)


@pytest.mark.parametrize("values", [[], ()])
def test_without_an_outcome_there_is_no_error(of_two: Contract, values: Any) -> None:
    assert live_error(of_two, values, values) is None
