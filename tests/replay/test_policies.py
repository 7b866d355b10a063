"""Who decides that the work goes back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.kreislauf.handovers import Edge, Reason
from include.kreislauf.replay.policies import Plan, Policy, ReplayError, plan_of
from tests.support.examples import loop

DAY = datetime(2020, 1, 1, tzinfo=UTC)
FROM_MONITORING = {"edge": Edge.MONITORING_TO_DATA_ENGINEERING, "reason": Reason.BUSINESS_METRIC_FELL}


class Around:
    """Surroundings of which only the changes matter."""

    name = "a world"

    def __init__(self, *changes: int, known: bool = True) -> None:
        self.changes = [days(one) for one in changes] if known else None


def days(count: int) -> datetime:
    return DAY + timedelta(days=count)


def due(plan: Plan, steps: int) -> list[int]:
    return [step for step in range(1, steps) if plan.due(step, days(step - 1), days(step))]


def test_never_and_triggered_ask_for_nothing_themselves() -> None:
    assert due(Plan(Policy.NEVER), 30) == due(Plan(Policy.TRIGGERED), 30) == []


def test_a_schedule_asks_every_so_many_steps() -> None:
    assert due(plan_of(Policy.SCHEDULED, Around(), 7), 30) == [7, 14, 21, 28]


@given(st.lists(st.integers(1, 28), unique=True), st.integers(1, 9))
def test_an_oracle_asks_once_per_change_at_the_first_step_that_is_not_before_it(
    changes: list[int], every: int
) -> None:
    assert due(plan_of(Policy.ORACLE, Around(*changes), every), 30) == sorted(changes)


def test_an_oracle_that_knows_nothing_is_refused_and_told_what_is_allowed() -> None:
    with pytest.raises(ReplayError) as told:
        plan_of(Policy.ORACLE, Around(known=False), 3)
    assert "not defined" in told.value.text
    assert "never, scheduled, triggered" in told.value.text
    assert "--data" in told.value.text


@pytest.mark.parametrize("every", [0, -1])
def test_a_schedule_needs_steps(every: int) -> None:
    with pytest.raises(ReplayError, match="1 or more"):
        plan_of(Policy.SCHEDULED, Around(), every)


@pytest.mark.parametrize("policy", [Policy.NEVER, Policy.SCHEDULED, Policy.ORACLE])
def test_what_monitoring_raises_by_itself_counts_only_where_it_decides(policy: Policy) -> None:
    raised = loop(**FROM_MONITORING)
    assert str(policy) in Plan(policy).turned_down(raised)
    assert Plan(policy).turned_down(raised.model_copy(update={"by": "somebody"})) == ""
    assert Plan(Policy.TRIGGERED).turned_down(raised) == ""


def test_where_no_check_can_change_anything_it_may_be_left_out() -> None:
    assert [step for step in range(9) if Plan(Policy.NEVER, checks=4).looks(step)] == [0, 4, 8]
    assert all(Plan(Policy.TRIGGERED, checks=4).looks(step) for step in range(9))
