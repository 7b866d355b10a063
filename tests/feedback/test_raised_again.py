"""A breach that the governor held back is raised again when the reason has passed: once, and not at every look."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from include.kreislauf.feedback import raising
from include.kreislauf.handovers import Role
from include.kreislauf.store import observations
from include.kreislauf.store.cycles import State
from tests.support.examples import prediction
from tests.support.fixtures import MakeLap
from tests.support.lap import Lap
from tests.support.outcomes import happen
from tests.support.script import Script

AS_OF = datetime(2016, 1, 1, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
RATE = {
    "kind": "outcomes", "name": "rate", "measure": "outcome", "threshold": 0.7,
    "test": {"bounds": [0, 1], "reference": 0.8},
}  # fmt: skip
UPLIFT = {
    "kind": "portfolio_uplift", "name": "portfolio_uplift", "top": 10, "gate_threshold": 0.01, "threshold": 0.02,
    "window_periods": 3,
}  # fmt: skip
BAD = (1.0, 0.0, 0.0, 1.0, 0.0)
PATIENT = {"cool_down_days": 30, "back_off": 1.0, "ask_after": 20}


def come(lap: Lap, start: datetime, *values: float, release: int) -> datetime:
    """Outcomes of a release, one an hour; returns the time of the last one."""
    with lap.store.write() as db:
        for number, value in enumerate(values):
            at = start + number * HOUR
            row = prediction(use_case=lap.use_case, as_of=at, entity=f"{at}", value=0.5, release=release)
            observations.save_predictions(db, [row])
            observations.save_outcome(db, row["id"], value, at, at)
    return at


def states(lap: Lap) -> list[tuple[str, State]]:
    """What opened the cycles after the first, and where each stands."""
    return [(one.reason.split(":")[0], one.state) for one in lap.cycles()[1:]]


@pytest.fixture
def held_back(make_lap: MakeLap, script: Script) -> Iterator[tuple[Lap, datetime]]:
    """A ring whose second release falls within the cool-down of the loop that made it, and when that fall was seen."""
    lap = make_lap(script, business_metrics=[UPLIFT, RATE], governor=PATIENT, monitoring={"rollback_days": 0})
    lap.manual(Role.REQUIREMENTS, as_of=AS_OF)
    first = come(lap, AS_OF + HOUR, *BAD * 60, release=1)
    assert lap.check(first)
    fallen = come(lap, first + HOUR, *BAD * 60, release=2)
    yield lap, first
    assert fallen < first + 30 * DAY


def test_a_breach_that_outlasts_the_cool_down_leads_to_one_cycle_after_it(
    held_back: tuple[Lap, datetime], monkeypatch: pytest.MonkeyPatch
) -> None:
    lap, first = held_back
    diagnosed: list[Any] = []
    diagnose = raising.diagnose
    monkeypatch.setattr(raising, "diagnose", lambda found: diagnosed.append(found) or diagnose(found))
    for days in range(13, 30):
        at = come(lap, first + days * DAY, *BAD, release=2)  # each look sees a newer day
        lap.check(at)
    assert [state for _, state in states(lap)] == [State.LIVE, State.REFUSED]
    assert len(diagnosed) == 1
    for hours in range(6):  # nothing new comes any more
        lap.check(first + 30 * DAY + hours * HOUR)
    assert states(lap) == [("rate", State.LIVE), ("rate", State.REFUSED), ("rate", State.LIVE)]
    last = lap.cycles()[-1]
    assert last.as_of == first + 30 * DAY
    assert lap.loops()[-1].decision == f"the cool-down ended {last.as_of:%Y-%m-%d}"


def test_without_any_new_observation_it_is_raised_again_too(held_back: tuple[Lap, datetime]) -> None:
    lap, first = held_back
    for days in (13, 14, 29, 30, 31):
        lap.check(first + days * DAY)
    assert [state for _, state in states(lap)] == [State.LIVE, State.REFUSED, State.LIVE]


def test_a_loop_raised_again_that_nobody_takes_is_the_same_at_each_look(
    held_back: tuple[Lap, datetime],
) -> None:
    lap, first = held_back
    lap.check(first + 13 * DAY)
    found = [lap.run(lap.by_hand(Role.MONITORING, as_of=first + days * DAY)) for days in (30, 31, 40)]
    assert found[0] == found[1] == found[2] is not None
    assert len(lap.cycles(State.PROPOSED)) == 1


def test_a_metric_without_a_test_is_not_lost_either(make_lap: MakeLap, script: Script) -> None:
    lap = make_lap(script, governor={"cool_down_days": 400})
    lap.manual(Role.REQUIREMENTS, as_of=AS_OF)

    def year(number: int) -> datetime:
        return [happen(lap, f"{number}Q{quarter}", -0.05) for quarter in (1, 2, 3)][-1]

    opened = year(2016)
    lap.check(opened)
    known = year(2017)
    for days in (0, 1, 30, 399 - (known - opened).days, 400 - (known - opened).days, 450):
        lap.check(known + days * DAY)
    assert [state for _, state in states(lap)] == [State.LIVE, State.REFUSED, State.LIVE]
