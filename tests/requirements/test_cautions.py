"""What is allowed in a contract and is likely not meant is told by ``contract check``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from include.kreislauf.cli import main
from tests.support.use_cases import write_use_case

UPLIFT = {
    "kind": "portfolio_uplift", "name": "portfolio_uplift", "top": 10, "gate_threshold": 0.01, "threshold": 0.02,
    "window_periods": 3,
}  # fmt: skip
RATE = {
    "kind": "outcomes", "name": "rate", "measure": "outcome", "threshold": 0.7, "maturity_days": 14,
    "test": {"bounds": [0, 1]},
}  # fmt: skip


@pytest.fixture
def check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """What ``contract check`` tells of a contract with these fields, beside that it is valid."""
    monkeypatch.setenv("KREISLAUF_USE_CASES", str(tmp_path))

    def told(**fields: Any) -> list[str]:
        contract = write_use_case(tmp_path, **fields)
        assert main(["contract", "check"]) == 0
        said = capsys.readouterr()
        assert said.out == f"radar: valid, version {contract.hash}\n"
        return said.err.splitlines()

    return told


def test_a_metric_with_a_test_and_no_starved_days(check: Any) -> None:
    [line] = check(business_metrics=[UPLIFT, RATE])
    assert line.startswith(
        "radar: warning: monitoring.starved_days is not set: if nothing more comes for rate,"
    )
    assert check(business_metrics=[UPLIFT, RATE], monitoring={"starved_days": 7}) == []


def test_metrics_without_a_test_need_no_starved_days(check: Any) -> None:
    assert check(business_metrics=[UPLIFT]) == []


def test_outcomes_that_mature_when_they_are_archived(check: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KREISLAUF_LOG_DAYS", "14")
    fields: dict[str, Any] = {"business_metrics": [UPLIFT, RATE], "monitoring": {"starved_days": 7}}
    [line] = check(**fields)
    assert line.startswith("radar: warning: rate: maturity_days 14 is not less than the 14 days")
    monkeypatch.setenv("KREISLAUF_LOG_DAYS", "15")
    assert check(**fields) == []
