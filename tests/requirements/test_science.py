"""The data scientist's part of a contract: what it accepts, and what does not fit together."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from include.kreislauf.errors import ContractError
from tests.support.use_cases import write_use_case


def test_a_space_is_a_list_of_values_by_parameter(tmp_path: Path) -> None:
    contract = write_use_case(
        tmp_path, training={"candidates": [{"family": "ridge", "space": {"alpha": [1.0, 10.0]}}]}
    )
    assert contract.training.candidates[0].space == {"alpha": (1.0, 10.0)}


@pytest.mark.parametrize(
    ("performance", "said"),
    [
        ({"metric": "log_loss"}, "metric log_loss does not judge a problem of kind regression; allowed: mae, rmse"),
        ({"baseline": "none"}, "allowed: 'persistence', 'momentum', 'drift' or 'prior'"),
        ({"metric": "accuracy"}, "allowed: 'mae', 'rmse', 'log_loss' or 'brier'"),
    ],
)  # fmt: skip
def test_metric_and_baseline_must_fit_the_target(
    tmp_path: Path, performance: dict[str, Any], said: str
) -> None:
    with pytest.raises(ContractError) as caught:
        write_use_case(tmp_path, performance=performance)
    assert said in caught.value.text


@pytest.mark.parametrize(
    ("step", "said"),
    [
        ({"step": "clip", "columns": ["jobs_share"]}, "clip has no bound"),
        ({"step": "clip", "columns": ["jobs_share"], "low": 2, "high": 1}, "is not below high"),
        (
            {"step": "out_of_range_missing", "columns": ["jobs_share"], "low": 1, "high": 1},
            "low 1 is not below high 1; allowed: low < high",
        ),
        ({"step": "smooth", "columns": ["jobs_share"]}, "smooth"),
    ],
)
def test_cleaning_steps_say_what_is_wrong(tmp_path: Path, step: dict[str, Any], said: str) -> None:
    with pytest.raises(ContractError) as caught:
        write_use_case(tmp_path, preparation={"cleaning": [step]})
    assert said in caught.value.text
