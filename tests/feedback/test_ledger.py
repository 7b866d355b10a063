"""The ledger's last column: a loop is closed with the business metric after it, once enough has matured."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from include.kreislauf.handovers import Edge, Reason, Role, Stage
from include.kreislauf.statistics.intervals import mean_interval
from include.kreislauf.store.messages import LoopRow
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
