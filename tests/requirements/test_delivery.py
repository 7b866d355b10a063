"""The contract's part on deployment: what it accepts, and what it is when nothing is said."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from include.kreislauf.errors import ContractError
from include.kreislauf.requirements.contract import json_schema
from include.kreislauf.requirements.delivery import Canary, Delivery, Shadow
from tests.support.use_cases import write_use_case

CANARY = {"share": 0.1, "min_requests": 100, "max_hours": 2}


def test_a_contract_that_says_nothing_is_promoted_straight_on() -> None:
    assert Delivery() == Delivery(shadow=None, canary=None, on_inconclusive="ask", approval="none")


def test_a_section_is_read_with_its_defaults(tmp_path: Path) -> None:
    said = {"shadow": {"min_rows": 50, "max_hours": 1}, "canary": CANARY, "on_inconclusive": "wait"}
    made = write_use_case(tmp_path, delivery=said).delivery
    assert made.shadow == Shadow(min_rows=50, max_hours=1.0, max_difference=None)
    assert made.canary == Canary(share=0.1, min_requests=100, max_hours=2.0)
    assert (made.canary.max_slowdown, made.canary.max_errors, made.canary.business) == (1.5, 0.01, False)


@pytest.mark.parametrize(
    ("section", "field"),
    [
        ({"canary": {**CANARY, "share": 0.6}}, "delivery.canary.share"),
        ({"canary": {**CANARY, "share": 0}}, "delivery.canary.share"),
        ({"canary": {**CANARY, "max_slowdown": 0.9}}, "delivery.canary.max_slowdown"),
        ({"canary": {**CANARY, "max_errors": 0}}, "delivery.canary.max_errors"),
        ({"canary": {"share": 0.1}}, "delivery.canary.min_requests"),
        ({"shadow": {"min_rows": 0, "max_hours": 1}}, "delivery.shadow.min_rows"),
        ({"on_inconclusive": "hope"}, "delivery.on_inconclusive"),
        ({"approval": "maybe"}, "delivery.approval"),
    ],
)
def test_what_is_not_allowed_is_named(tmp_path: Path, section: dict[str, Any], field: str) -> None:
    with pytest.raises(ContractError) as caught:
        write_use_case(tmp_path, delivery=section)
    assert field in caught.value.text


def test_every_field_is_described_for_editors() -> None:
    definitions = json_schema()["$defs"]
    for name in ("Delivery", "Shadow", "Canary"):
        assert all(field.get("description") for field in definitions[name]["properties"].values())
