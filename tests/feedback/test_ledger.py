"""The ledger's last column: a loop is closed with the business metric after it, once enough has matured."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.kreislauf.feedback.ledger import measure
from include.kreislauf.handovers import Edge, Reason, Role, Stage
from include.kreislauf.statistics.intervals import mean_interval
from include.kreislauf.store import observations
from include.kreislauf.store.levels import Level
from include.kreislauf.store.messages import LoopRow, Measured
from include.kreislauf.store.observations import Verdict
from include.kreislauf.store.schema import loops
from tests.support.fixtures import MakeLap
from tests.support.lap import Lap
from tests.support.outcomes import happen, quarter
from tests.support.script import Script

AS_OF = datetime(2016, 1, 1, tzinfo=UTC)


def raise_main_loop(lap: Lap) -> Lap:
    """The first release fell to -0.05; the second is live as of 2017-01-01."""
    lap.manual(Role.REQUIREMENTS, as_of=AS_OF)
    lap.check([happen(lap, f"2016Q{number}", -0.05) for number in (1, 2, 3)][-1])
    return lap


@pytest.fixture
def looped(scripted: Lap) -> Lap:
    return raise_main_loop(scripted)


def main_loop(lap: Lap) -> LoopRow:
    return next(row for row in lap.loops() if row.loop.edge is Edge.MONITORING_TO_DATA_ENGINEERING)


@pytest.mark.parametrize(
    ("uplifts", "helped"), [((0.03, 0.05), True), ((-0.04, -0.05), True), ((-0.05, -0.06), False)]
)
def test_a_loop_is_closed_with_the_mean_after_it_and_its_interval(
    looped: Lap, uplifts: tuple[float, float], helped: bool
) -> None:
    happen(looped, "2017Q1", uplifts[0])
    looped.check(happen(looped, "2017Q2", uplifts[1]))
    row, after = main_loop(looped), mean_interval(uplifts, 0.8)
    assert (row.state, row.helped) == ("closed", helped)
    assert row.value_before == pytest.approx(-0.05)
    assert (row.value_after, row.after_low, row.after_high) == pytest.approx(
        (after.mean, after.low, after.high)
    )


def test_a_loop_stays_open_until_enough_periods_have_matured(looped: Lap) -> None:
    looped.check(happen(looped, "2017Q1", 0.05))
    happen(looped, "2017Q2", 0.05, with_outcome=0.4)
    looped.check(quarter("2017Q4"))
    row = main_loop(looped)
    assert (row.state, row.value_after, row.helped) == ("accepted", None, None)


def test_the_first_periods_decide_and_the_decision_stands(looped: Lap) -> None:
    for period, uplift in [("2017Q1", 0.05), ("2017Q2", 0.05), ("2017Q3", -0.4)]:
        as_of = happen(looped, period, uplift)
    looped.check(as_of)
    closed = main_loop(looped)
    assert (closed.value_after, closed.helped) == (pytest.approx(0.05), True)
    looped.check(happen(looped, "2017Q4", -0.4))
    assert main_loop(looped) == closed


def test_outcomes_of_the_release_before_do_not_count(make_lap: MakeLap, script: Script) -> None:
    lap = make_lap(script, governor={"help_periods": 1})
    lap.manual(Role.REQUIREMENTS, as_of=AS_OF)
    for number in (1, 2, 3):
        as_of = happen(lap, f"2016Q{number}", -0.05)
    happen(lap, "2016Q4", 0.5)  # asked of the first release, known when the second is live
    lap.check(as_of)
    lap.check(quarter("2017Q2"))
    assert main_loop(lap).state == "accepted"


def test_the_release_that_went_live_counts_not_one_that_failed_its_checks(
    scripted: Lap, script: Script
) -> None:
    """Attempt 1 of the loop's cycle made a release that never went live; attempt 2 made the one that did."""
    scripted.manual(Role.REQUIREMENTS, as_of=AS_OF)
    script.sends_back(Stage.DEPLOYMENT, Edge.MLOPS_TO_DATA_SCIENCE, Reason.RELEASE_FAILED)
    script.leaves_a_release_behind = True
    scripted.check([happen(scripted, f"2016Q{number}", -0.05) for number in (1, 2, 3)][-1])
    row = scripted.live()
    assert row is not None
    assert (row.version, row.attempt) == (3, 2)
    happen(scripted, "2017Q1", 0.05)
    scripted.check(happen(scripted, "2017Q2", 0.05))
    assert main_loop(scripted).helped is True


def test_a_loop_about_a_reported_metric_is_judged_by_that_metric(scripted: Lap) -> None:
    scripted.manual(Role.REQUIREMENTS, as_of=AS_OF)
    happen(scripted, "2016Q1", 0.05, productivity=94.0)
    scripted.check(happen(scripted, "2016Q2", 0.05, productivity=94.0))
    happen(scripted, "2016Q3", 0.05, productivity=99.0)
    scripted.check(happen(scripted, "2016Q4", 0.05, productivity=101.0))
    row = main_loop(scripted)
    assert (row.value_before, row.value_after, row.helped) == (94.0, 100.0, True)


def test_a_loop_whose_cycle_never_went_live_stays_open(scripted: Lap, script: Script) -> None:
    script.sends_back(Stage.COLLECTION, Edge.DATA_ENGINEERING_TO_REQUIREMENTS, Reason.SOURCE_FAILED)
    scripted.manual(Role.REQUIREMENTS, as_of=AS_OF)
    scripted.answer(approved=True)
    script.sends_back(Stage.COLLECTION, Edge.DATA_ENGINEERING_TO_REQUIREMENTS, Reason.SOURCE_FAILED)
    scripted.check([happen(scripted, f"2016Q{number}", -0.05) for number in (1, 2, 3)][-1])
    scripted.answer(approved=False)
    happen(scripted, "2017Q1", 0.05)
    scripted.check(happen(scripted, "2017Q2", 0.05))
    assert main_loop(scripted).state == "accepted"


# Before, after, and the gain


def test_a_loop_is_closed_with_the_interval_of_the_verdict_that_raised_it(looped: Lap) -> None:
    verdict = next(one for one in looped.verdicts() if one.verdict == "breach")
    happen(looped, "2017Q1", 0.03)
    looped.check(happen(looped, "2017Q2", 0.05))
    row = main_loop(looped)
    assert (row.value_before, row.before_low, row.before_high) == (verdict.value, verdict.low, verdict.high)
    assert row.before_high is not None
    assert row.after_low is not None
    assert row.gain_low == pytest.approx(row.after_low - row.before_high)
    assert row.sure is (row.gain_low is not None and row.gain_low > 0)


LEVELS = st.tuples(*[st.floats(-1e6, 1e6)] * 3).map(sorted).map(lambda ends: Level(ends[1], ends[0], ends[2]))


@given(LEVELS, LEVELS, st.sampled_from(["higher", "lower"]))
def test_law_the_interval_of_the_gain_holds_the_gain_of_whatever_lies_in_both(
    before: Level, after: Level, direction: str
) -> None:
    found = measure(before, after, direction)
    sign = 1 if direction == "higher" else -1
    gains = [
        sign * (one - other)
        for one in (after.low, after.value, after.high)
        for other in (before.low, before.value, before.high)
        if one is not None and other is not None
    ]
    assert (found.gain_low, found.gain_high) == pytest.approx((min(gains), max(gains)))
    assert found.helped is (sign * (after.value - before.value) > 0)


@given(LEVELS, LEVELS)
def test_law_what_is_better_upwards_is_worse_downwards(before: Level, after: Level) -> None:
    up, down = measure(before, after, "higher"), measure(before, after, "lower")
    assert (up.gain_low, up.gain_high) == pytest.approx((_negative(down.gain_high), _negative(down.gain_low)))
    assert not (up.helped and down.helped)


def _negative(value: float | None) -> float | None:
    return None if value is None else -value


def test_an_interval_that_is_not_known_leaves_the_gains_unknown() -> None:
    found = measure(Level(1.0), Level(2.0, 1.5, 2.5), "higher")
    assert found == Measured(None, None, 2.0, 1.5, 2.5, None, None, helped=True)


TESTED = {
    "kind": "reported", "name": "handling_time", "threshold": 30.0, "window_periods": 2, "direction": "lower",
    "unit": "minutes", "test": {"bounds": [0.0, 100.0], "reference": 20.0, "learn": 50},
}  # fmt: skip


def judged(
    lap: Lap, release: int, value: float, periods: int, *, as_of: datetime, verdict: str = "healthy"
) -> None:
    """What monitoring wrote down of the metric with a test."""
    with lap.store.write() as db:
        row = Verdict(
            "radar", "handling_time", release, as_of, "c", verdict, value, value - 2, value + 2, 30.0, periods, "t"
        )  # type: ignore[arg-type] # fmt: skip
        observations.save_verdicts(db, [row], as_of)


@pytest.fixture
def tested(make_lap: MakeLap, script: Script) -> Lap:
    """A metric of which less is better, with a sequential test: in breach at 40, and a second release is live."""
    lap = make_lap(script)
    metrics = [TESTED, *(one.model_dump(mode="json") for one in lap.contract.business_metrics)]
    lap = make_lap(script, business_metrics=metrics)
    lap.manual(Role.REQUIREMENTS, as_of=AS_OF)
    judged(lap, 1, 40.0, 300, as_of=quarter("2016Q4"), verdict="breach")
    loop = lap.run(lap.by_hand(Role.MONITORING, as_of=quarter("2016Q4"), loop=LOOP, by="Ada"))
    with lap.store.write() as db:
        assert loop is not None
        db.execute(loops.update().where(loops.c.id == loop.id).values(value_before=40.0))
    lap.event(loop)
    return lap


LOOP = Edge.MONITORING_TO_DATA_ENGINEERING


def test_a_metric_with_a_test_is_measured_once_it_has_learnt_a_level(tested: Lap) -> None:
    judged(tested, 2, 25.0, 49, as_of=quarter("2017Q1"))
    tested.check(quarter("2017Q2"))
    assert main_loop(tested).state == "accepted"
    judged(tested, 2, 24.0, 50, as_of=quarter("2017Q3"))
    judged(tested, 2, 10.0, 90, as_of=quarter("2017Q4"))
    tested.check(quarter("2018Q1"))
    row = main_loop(tested)
    assert (row.before_low, row.value_before, row.before_high) == (38.0, 40.0, 42.0)
    assert (row.value_after, row.gain_low, row.gain_high) == (24.0, 12.0, 20.0)
    assert (row.helped, row.sure) == (True, True)


def test_a_breach_of_the_new_release_ends_the_waiting(tested: Lap) -> None:
    judged(tested, 2, 45.0, 30, as_of=quarter("2017Q1"), verdict="breach")
    tested.check(quarter("2017Q2"))
    row = main_loop(tested)
    assert (row.state, row.value_after, row.helped) == ("closed", 45.0, False)
    assert (row.gain_low, row.gain_high, row.sure) == (-9.0, -1.0, True)
