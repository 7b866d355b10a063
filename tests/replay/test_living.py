"""Living through a world under one policy: what is told on the way, and what is kept of the loops."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from include.kreislauf.replay.living import begin, live_through
from include.kreislauf.replay.policies import Plan, Policy
from include.kreislauf.replay.results import result_of
from include.kreislauf.replay.ring import LocalRing
from tests.support.lap import Lap
from tests.support.outcomes import happen


class Falling:
    """Quarters in which every recommendation turns out badly."""

    name = "a falling world"
    changes: Sequence[datetime] | None = None
    quarters = ("2016Q1", "2016Q2", "2016Q3")

    def __init__(self, lap: Lap) -> None:
        self.times = [datetime(2016, 1, 1, tzinfo=UTC)]
        begin(lap, self)
        self.times += [happen(lap, one, -0.05) for one in self.quarters]

    def reach(self, now: datetime) -> None:
        """Everything is there from the start."""

    def happened(self, ring: LocalRing, now: datetime) -> None:
        """Everything is known from the start."""

    def asks(self, ring: LocalRing, now: datetime) -> None:
        """Everything has been asked."""


def lived(lap: Lap, policy: Policy) -> tuple[Falling, list[str]]:
    told: list[str] = []
    world = Falling(lap)
    live_through(lap, world, Plan(policy), told.append)
    return world, told


def test_a_loop_that_the_policy_turned_down_is_told_as_refused_and_kept_with_the_reason(
    scripted: Lap,
) -> None:
    world, told = lived(scripted, Policy.NEVER)
    loops = [line for line in told if "loop/" in line]
    assert loops
    assert all(line.endswith("(refused: policy never, whatever monitoring finds)") for line in loops)
    found = result_of(scripted, Policy.NEVER, world.times[-1])
    assert found.loops == []
    assert {one.decision for one in found.refused} == {"policy never, whatever monitoring finds"}
    assert len(found.refused) == len(loops)


def test_a_loop_that_was_taken_up_is_not_told_as_refused(scripted: Lap) -> None:
    world, told = lived(scripted, Policy.TRIGGERED)
    assert result_of(scripted, Policy.TRIGGERED, world.times[-1]).loops
    assert any("loop/" in line and "refused" not in line for line in told)


def test_how_far_a_policy_has_come_is_told(scripted: Lap) -> None:
    _, told = lived(scripted, Policy.NEVER)
    assert [line[10:] for line in told if "step" in line] == [f"  step {number} of 3" for number in (1, 2, 3)]
