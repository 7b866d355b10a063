"""Which loops pay: counted, measured and priced per kind of loop."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from include.kreislauf.feedback.loop_summary import loop_summary
from include.kreislauf.feedback.overview import overview
from include.kreislauf.feedback.overview_models import LoopKind
from include.kreislauf.feedback.stranded import remind
from include.kreislauf.handovers import Edge, Handover, Reason, Role, Stage
from include.kreislauf.statistics.intervals import mean_interval
from include.kreislauf.store.receipts import MAX_REMINDERS
from tests.support.lap import Lap
from tests.support.outcomes import happen
from tests.support.script import Script

AS_OF = datetime(2016, 1, 1, tzinfo=UTC)
MAIN = Edge.MONITORING_TO_DATA_ENGINEERING


def year(lap: Lap, number: int, uplift: float) -> datetime:
    return [happen(lap, f"{number}Q{quarter}", uplift) for quarter in (1, 2, 3)][-1]


def summary(lap: Lap) -> tuple[LoopKind, ...]:
    with lap.store.read() as db:
        return loop_summary(db, "radar")


def test_without_loops_there_is_nothing_to_sum_up(scripted: Lap) -> None:
    scripted.manual(Role.REQUIREMENTS, as_of=AS_OF)
    assert summary(scripted) == ()


def test_loops_are_counted_by_way_and_reason_with_the_mean_of_their_gains(scripted: Lap) -> None:
    scripted.manual(Role.REQUIREMENTS, as_of=AS_OF)
    for number, uplift in enumerate([-0.06, -0.02, -0.05, 0.05]):
        scripted.check(year(scripted, 2016 + number, uplift))
    (kind,) = [one for one in summary(scripted) if one.edge == MAIN]
    closed = scripted.loops("closed")
    gains = [0.04, -0.03, 0.10]
    assert [row.helped for row in closed] == [True, False, True]
    expected = mean_interval(gains, 0.8)
    assert (kind.raised, kind.refused, kind.closed, kind.helped) == (3, 0, 3, 2)
    assert (kind.gain, kind.gain_low, kind.gain_high) == pytest.approx(
        (expected.mean, expected.low, expected.high)
    )
    assert kind.surely_helped == sum(row.sure and row.helped is True for row in closed)
    assert (kind.metric, kind.unit) == ("portfolio_uplift", "log points per period")


def test_the_gain_of_a_single_loop_has_the_interval_of_its_levels(scripted: Lap) -> None:
    scripted.manual(Role.REQUIREMENTS, as_of=AS_OF)
    for number, uplift in enumerate([-0.06, 0.02]):
        scripted.check(year(scripted, 2016 + number, uplift))
    (kind,), (row,) = summary(scripted), scripted.loops("closed")
    assert kind.gain == pytest.approx(0.08)
    assert (kind.gain_low, kind.gain_high) == (row.gain_low, row.gain_high)


def test_machine_time_is_what_lies_between_receipts_and_results(scripted: Lap, script: Script) -> None:
    """Of the cycle for a loop that opened it, of the attempt for one inside it."""
    scripted.manual(Role.REQUIREMENTS, as_of=AS_OF)
    script.sends_back(Stage.EVALUATION, Edge.DATA_SCIENCE_TO_DATA_ENGINEERING, Reason.COVERAGE_TOO_LOW)
    message = scripted.run(scripted.by_hand(Role.MONITORING, loop=MAIN, by="Ada"))
    for _ in range(6):
        assert message is not None
        incoming = scripted.arriving(message)
        order = scripted.receive(incoming)
        scripted.delay += timedelta(minutes=10)  # each role works for ten minutes
        stages = {
            Role.DATA_ENGINEERING: (Stage.COLLECTION,), Role.MLOPS: (Stage.DEPLOYMENT,),
            Role.DATA_SCIENCE: (Stage.PREPARATION, Stage.TRAINING, Stage.EVALUATION),
        }.get(incoming.role)  # fmt: skip
        if stages is None:
            break
        message, _ = scripted.work(order, *stages)
        scripted.delay += timedelta(hours=1)  # nobody works
    assert isinstance(message, Handover)
    assert message.stage is Stage.DEPLOYMENT
    seconds = {one.edge: one.machine_seconds for one in summary(scripted)}
    assert seconds[MAIN] == pytest.approx(50 * 60, abs=30)
    assert seconds[Edge.DATA_SCIENCE_TO_DATA_ENGINEERING] == pytest.approx(30 * 60, abs=30)


def test_the_overview_shows_the_summary_and_what_is_stranded(scripted: Lap) -> None:
    scripted.manual(Role.REQUIREMENTS, as_of=AS_OF)
    scripted.check(year(scripted, 2016, -0.05))
    lost = scripted.run(scripted.by_hand(Role.DATA_ENGINEERING))
    for number in range(1, MAX_REMINDERS + 1):
        assert overview(scripted.store, scripted.settings, "radar").stranded == ()
        later = scripted.now() + timedelta(minutes=6 * number)
        remind(scripted.store, later, timedelta(minutes=5), lambda _: "data_science is paused")
    found = overview(scripted.store, scripted.settings, "radar")
    assert found.loop_kinds == summary(scripted)
    assert [one.startswith(f"{lost.id}: not received by data_science") for one in found.stranded] == [True]  # type: ignore[union-attr]
