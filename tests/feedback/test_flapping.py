"""Loops that end: whatever the verdicts do, and however often and in whatever order events arrive."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from benchmarks.monitoring_flapping import PERSONS, month
from include.kreislauf.handovers import Edge, Reason, Role, Stage
from include.kreislauf.store.cycles import State
from tests.support.fixtures import MakeLap
from tests.support.lap import Lap, Message
from tests.support.script import Script


@pytest.mark.parametrize("person", PERSONS)
def test_verdicts_that_alternate_every_hour_end_with_a_question(tmp_path: Path, person: str) -> None:
    found = month(tmp_path, person, days=8)
    assert found.active == 1
    assert found.in_a_week == 3
    assert found.asked >= 1
    assert len(found.opened) == 3 or person != "silent"
    assert set(found.refusals) <= {"weekly budget"}


def ledger(lap: Lap) -> dict[str, Any]:
    """All that stands in the store of a lap, without who did it when."""
    (cycle,) = lap.cycles()
    return {
        "loops": sorted((row.loop.id, row.state, row.decision) for row in lap.loops()),
        "handovers": sorted(one.id for one in lap.handovers(cycle.cycle_id)),
        "cycle": (cycle.state, cycle.note),
    }


def lap_with_loops(make_lap: MakeLap) -> tuple[Lap, Script]:
    """A cycle that goes back three times, and for the fourth time would go beyond the limit of hops."""
    script = Script()
    script.sends_back(Stage.EVALUATION, Edge.DATA_SCIENCE_TO_DATA_ENGINEERING, Reason.COVERAGE_TOO_LOW)
    script.sends_back(Stage.DEPLOYMENT, Edge.MLOPS_TO_DATA_SCIENCE, Reason.RELEASE_FAILED, times=2)
    return make_lap(script, governor={"max_hops": 2}), script


def deliver(lap: Lap, choose: Callable[[int], int]) -> Counter[str]:
    """Run what is waiting, or what has arrived before, in the order that is chosen; at most eighty events."""
    first = lap.run(lap.by_hand(Role.REQUIREMENTS, run_id="first"))
    assert first is not None
    waiting: list[Message] = [first]
    arrived: list[Message] = []
    times: Counter[str] = Counter()
    for _ in range(80):
        if not waiting:
            break
        index = choose(len(waiting) + len(arrived))
        again = index >= len(waiting)
        message = arrived[index - len(waiting)] if again else waiting.pop(index)
        times[message.id] += 1
        arrived.append(message)
        if answer := lap.run(lap.arriving(message)):
            waiting.append(answer)
    while waiting:  # what is left, once each
        message = waiting.pop()
        times[message.id] += 1
        if answer := lap.run(lap.arriving(message)):
            waiting.append(answer)
    return times


@settings(
    max_examples=15, deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)  # fmt: skip
@given(st.data())
def test_law_any_interleaving_of_repeated_events_gives_the_same_ledger(
    make_lap: MakeLap, data: st.DataObject
) -> None:
    once, script = lap_with_loops(make_lap)
    assert set(deliver(once, lambda _: 0).values()) == {1}
    assert once.cycles()[0].state is State.WAITING
    often, again = lap_with_loops(make_lap)
    deliver(often, lambda count: data.draw(st.integers(0, count - 1)))
    assert ledger(often) == ledger(once)
    assert again.done == script.done
    assert len(often.questions) == 1
