"""A monitoring pass: verdicts on what matured, at most one loop, and to whom it goes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import update

from include.kreislauf.feedback.monitor import check, check_all, due_orders
from include.kreislauf.handovers import Edge, Loop, Reason, Role, Stage
from include.kreislauf.store import contracts
from include.kreislauf.store import live as pointer
from include.kreislauf.store.contracts import SignOff
from include.kreislauf.store.cycles import State
from include.kreislauf.store.observations import Verdict
from include.kreislauf.store.schema import contracts as contracts_table
from tests.support.fixtures import MakeLap
from tests.support.lap import Lap
from tests.support.outcomes import happen, quarter
from tests.support.script import Script
from tests.support.use_cases import write_use_case

AS_OF = datetime(2016, 1, 1, tzinfo=UTC)
FIRST = "c0001-2016-01-01"
UPLIFT, PRODUCTIVITY = "portfolio_uplift", "development_productivity"


@pytest.fixture
def live(scripted: Lap) -> Lap:
    """A ring whose first release is live."""
    scripted.manual(Role.REQUIREMENTS, as_of=AS_OF)
    return scripted


def year(lap: Lap, number: int, uplift: float) -> datetime:
    """Three quarters of one uplift; returns when the last is known, the start of the next year."""
    return [happen(lap, f"{number}Q{quarter}", uplift) for quarter in (1, 2, 3)][-1]


def raised(lap: Lap, as_of: datetime) -> Loop | None:
    """The loop of a check that nobody has taken yet."""
    message = lap.run(lap.by_hand(Role.MONITORING, as_of=as_of))
    assert message is None or isinstance(message, Loop)
    return message


def newest(lap: Lap, metric: str = UPLIFT, release: int = 1) -> Verdict:
    """The newest verdict on a release."""
    return [one for one in lap.verdicts() if (one.metric, one.release) == (metric, release)][-1]


# Verdicts


def test_before_enough_periods_have_matured_nothing_is_said(live: Lap) -> None:
    happen(live, "2016Q1", -0.05)
    assert live.check(happen(live, "2016Q2", -0.05)) == []
    uplift, productivity = newest(live, UPLIFT), newest(live, PRODUCTIVITY)
    assert (uplift.verdict, uplift.text) == ("inconclusive", "2 matured periods, 3 needed")
    assert (productivity.verdict, productivity.text) == ("inconclusive", "0 reports, 10 needed")


def test_an_outcome_that_is_not_known_yet_does_not_count(live: Lap) -> None:
    known_at = year(live, 2016, -0.05)
    live.check(known_at - timedelta(days=1))
    assert newest(live).periods == 2


def test_a_good_release_is_healthy(live: Lap) -> None:
    assert live.check(year(live, 2016, 0.05)) == []
    assert newest(live).verdict == "healthy"
    assert live.loops() == []


def test_a_verdict_keeps_its_numbers(live: Lap) -> None:
    for period, uplift in [("2016Q1", 0.01), ("2016Q2", -0.02), ("2016Q3", -0.05)]:
        as_of = happen(live, period, uplift)
    live.check(as_of)
    one = newest(live)
    assert (one.verdict, one.release, one.cycle_id, one.periods) == ("breach", 1, FIRST, 3)
    assert one.value == pytest.approx(-0.02)
    assert one.low is not None
    assert one.high is not None
    assert one.low < -0.02 < one.high
    assert one.text == "mean of 3 periods -0.02 is below the threshold 0.02 (log points per period)"


def test_only_the_window_counts(live: Lap) -> None:
    year(live, 2016, -0.05)
    assert live.check(year(live, 2017, 0.05)) == []
    assert newest(live).verdict == "healthy"


def test_the_first_verdict_of_a_time_stands(live: Lap) -> None:
    as_of = year(live, 2016, 0.05)
    live.check(as_of)
    before = live.verdicts()
    live.check(as_of)
    assert live.verdicts() == before


# The main loop


def test_a_breach_opens_one_cycle_that_goes_round(live: Lap) -> None:
    as_of = year(live, 2016, -0.05)
    loop, *rest = live.check(as_of)
    assert isinstance(loop, Loop)
    assert (loop.edge, loop.reason) == (Edge.MONITORING_TO_DATA_ENGINEERING, Reason.BUSINESS_METRIC_FELL)
    assert (loop.as_of, loop.parent_cycle_id, loop.metric, loop.by) == (as_of, FIRST, UPLIFT, "kreislauf")
    cycle = live.cycles()[-1]
    assert (cycle.cycle_id, cycle.parent_cycle_id, cycle.state) == ("c0002-2017-01-01", FIRST, State.LIVE)
    assert (cycle.started_by, cycle.reason, cycle.as_of) == (f"loop/{loop.edge}", loop.text, as_of)
    assert {message.cycle_id for message in rest} == {cycle.cycle_id}


def test_a_loop_carries_its_evidence_with_units(live: Lap) -> None:
    happen(live, "2016Q1", -0.05)
    happen(live, "2016Q2", -0.05)
    loop = raised(live, happen(live, "2016Q3", -0.05, novel=5))
    assert loop is not None
    evidence = {one.name: (one.value, one.unit) for one in loop.evidence if one.value is not None}
    assert evidence == {
        UPLIFT: (pytest.approx(-0.05), "log points per period"),
        "threshold": (0.02, "log points per period"),
        "matured_periods": (3.0, "periods"),
        "novelty": (0.1, "share of requests"),  # 5 of the newest 50
        "data_freshness": (366.0, "days"),
        "feedback_starved": (0.0, "days"),
    }
    assert loop.metric_before is not None
    assert (loop.metric_before.value, loop.metric_before.note) == (pytest.approx(-0.05), "release 1")
    assert live.loops()[0].value_before == pytest.approx(-0.05)


def test_a_metric_that_users_report_raises_the_loop_too(live: Lap) -> None:
    happen(live, "2016Q1", 0.05, productivity=95.0)
    loop = raised(live, happen(live, "2016Q2", 0.05, productivity=94.0))
    assert loop is not None
    assert (loop.metric, loop.metric_before and loop.metric_before.value) == (PRODUCTIVITY, 94.5)
    assert "mean of 2 periods 94.5 is below the threshold 96 (index points)" in loop.text


def test_a_loop_that_nobody_took_is_raised_again_not_twice(live: Lap) -> None:
    as_of = year(live, 2016, -0.05)
    first = raised(live, as_of)
    again = raised(live, as_of + timedelta(days=30))
    assert first == again
    assert len(live.loops()) == len(live.cycles(State.PROPOSED)) == 1


def test_a_loop_that_was_refused_is_not_raised_again_for_the_same_reason(
    make_lap: MakeLap, script: Script
) -> None:
    lap = make_lap(script, governor={"cool_down_days": 1000})
    lap.manual(Role.REQUIREMENTS, as_of=AS_OF)
    lap.check(year(lap, 2016, -0.05))
    as_of = year(lap, 2017, -0.05)
    assert len(lap.check(as_of)) == 1  # refused: the cool-down
    assert lap.check(as_of) == lap.check(as_of + timedelta(days=30)) == []
    assert lap.check(happen(lap, "2017Q4", -0.05)) == []  # another period, and still the cool-down
    assert [cycle.state for cycle in lap.cycles()] == [State.LIVE] * 2 + [State.REFUSED]


def test_nothing_is_raised_while_a_cycle_is_at_work(live: Lap) -> None:
    live.run(live.by_hand(Role.REQUIREMENTS))
    assert live.check(year(live, 2016, -0.05)) == []
    assert newest(live).verdict == "breach"
    assert live.loops() == []


def test_nothing_is_raised_while_a_cycle_waits_for_a_person(live: Lap, script: Script) -> None:
    script.sends_back(Stage.COLLECTION, Edge.DATA_ENGINEERING_TO_REQUIREMENTS, Reason.SOURCE_FAILED)
    as_of = year(live, 2016, -0.05)
    live.check(as_of)
    assert live.cycles()[-1].state is State.WAITING
    assert live.check(happen(live, "2016Q4", -0.05)) == []
    assert len(live.loops()) == 2  # the one from monitoring, and the one that came back


def test_a_new_release_is_judged_by_its_own_outcomes(live: Lap) -> None:
    live.check(year(live, 2016, -0.05))
    assert live.check(quarter("2017Q2")) == []
    assert [one.verdict for one in live.verdicts() if one.release == 2] == ["inconclusive"] * 4


# Loops that do not help


def test_after_two_loops_that_did_not_help_a_person_is_asked_and_the_count_begins_anew(live: Lap) -> None:
    edges = []
    for number, uplift in enumerate([-0.05, -0.06, -0.07, -0.08, -0.09]):
        edges.append(live.check(year(live, 2016 + number, uplift))[0].edge)  # type: ignore[union-attr]
        if live.questions:
            live.answer(approved=True)
    engineering, people = Edge.MONITORING_TO_DATA_ENGINEERING, Edge.MONITORING_TO_REQUIREMENTS
    assert edges == [engineering, engineering, people, engineering, engineering]
    asked = next(row for row in live.loops() if row.loop.edge is people)
    assert asked.loop.reason is Reason.LOOPS_DID_NOT_HELP
    assert asked.loop.text.startswith("portfolio_uplift: mean of 3 periods -0.07")
    assert asked.loop.text.endswith("; 2 loops did not help")


def test_a_rejection_by_the_person_who_was_asked_begins_the_count_anew_too(live: Lap) -> None:
    for number, uplift in enumerate([-0.05, -0.06, -0.07]):
        live.check(year(live, 2016 + number, uplift))
    live.answer(approved=False, note="we live with it")
    loop = live.check(happen(live, "2019Q1", -0.08))[0]
    assert isinstance(loop, Loop)
    assert loop.edge is Edge.MONITORING_TO_DATA_ENGINEERING


def test_a_loop_that_helped_begins_the_count_anew(live: Lap) -> None:
    edges = []
    for number, uplift in enumerate([-0.05, -0.06, -0.03, -0.04, -0.05]):
        edges.append(live.check(year(live, 2016 + number, uplift))[0].edge)  # type: ignore[union-attr]
    assert edges[:4] == [Edge.MONITORING_TO_DATA_ENGINEERING] * 4
    assert edges[4] is Edge.MONITORING_TO_REQUIREMENTS
    assert [row.helped for row in live.loops()] == [False, True, False, False, None]


# Back to the release before


def replaced(lap: Lap, before: float, after: float) -> Loop:
    """What a check says of a release in breach that replaced, by hand, one with another uplift."""
    lap.check(year(lap, 2016, before))
    lap.manual(Role.MLOPS, override=True, by="Ada")
    loop = raised(lap, year(lap, 2017, after))
    assert loop is not None
    return loop


def test_a_release_that_is_worse_than_a_healthy_one_before_goes_back(live: Lap) -> None:
    loop = replaced(live, 0.05, -0.05)
    assert (loop.edge, loop.reason) == (Edge.MONITORING_TO_MLOPS, Reason.WORSE_THAN_BEFORE)
    values = {one.name: (one.value, one.note) for one in loop.evidence}
    assert values[UPLIFT][0] == pytest.approx(-0.05)
    assert values["release_before"] == (pytest.approx(0.05), "release 1")
    assert loop.text.endswith("; release 1 was healthy with 0.05")
    live.event(loop)
    with live.store.read() as db:
        assert [one.version for one in pointer.promotions_of(db, "radar")][:3] == [1, 2, 1]


def test_a_release_before_that_was_not_healthy_is_not_gone_back_to(live: Lap) -> None:
    live.run(live.by_hand(Role.MONITORING, as_of=year(live, 2016, -0.01)))
    live.manual(Role.MLOPS, override=True, by="Ada")
    loop = raised(live, year(live, 2017, -0.05))
    assert loop is not None
    assert loop.edge is Edge.MONITORING_TO_DATA_ENGINEERING


def test_a_release_before_that_nobody_has_judged_is_not_gone_back_to(live: Lap) -> None:
    live.manual(Role.MLOPS, override=True, by="Ada")
    loop = raised(live, year(live, 2016, -0.05))
    assert loop is not None
    assert loop.edge is Edge.MONITORING_TO_DATA_ENGINEERING


# A person's loop


def test_a_person_raises_a_loop_whatever_the_verdict_says(live: Lap) -> None:
    as_of = year(live, 2016, 0.05)
    loop = live.manual(
        Role.MONITORING, as_of=as_of, loop=Edge.MONITORING_TO_DATA_SCIENCE, by="Ada", reason="why not"
    )[0]
    assert isinstance(loop, Loop)
    assert (loop.reason, loop.text, loop.by) == (Reason.RETRIGGERED, "Ada: why not", "Ada")
    assert loop.metric_before is not None
    assert loop.metric_before.value == pytest.approx(0.05)
    assert newest(live).verdict == "healthy"


def test_a_person_raises_a_loop_before_anything_has_matured(live: Lap) -> None:
    loop = live.manual(Role.MONITORING, loop=Edge.MONITORING_TO_DATA_ENGINEERING, by="Ada")[0]
    assert isinstance(loop, Loop)
    assert (loop.metric, live.loops()[0].value_before) == (UPLIFT, None)
    assert live.cycles()[-1].state is State.LIVE


def test_a_persons_loop_asked_for_again_by_the_same_run_is_the_same(live: Lap) -> None:
    incoming = live.by_hand(Role.MONITORING, loop=Edge.MONITORING_TO_MLOPS, by="Ada")
    assert live.run(incoming) == live.run(incoming) is not None
    assert len(live.cycles(State.PROPOSED)) == 1


def test_a_rollback_brings_the_release_before_back_and_asks_for_a_better_one(live: Lap) -> None:
    live.manual(Role.MLOPS, override=True, by="Ada")
    sent = live.manual(Role.MONITORING, loop=Edge.MONITORING_TO_MLOPS, by="Ada", reason="it is worse")
    rolled_back = sent[1]
    assert isinstance(rolled_back, Loop)
    assert (rolled_back.edge, rolled_back.reason) == (Edge.MLOPS_TO_DATA_SCIENCE, Reason.ROLLED_BACK)
    assert rolled_back.text == "rolled back to release 1: Ada: it is worse"
    row = live.live()
    assert row is not None
    assert (row.version, row.cycle_id) == (3, live.cycles()[-1].cycle_id)


# What is due


@pytest.fixture
def two_live(live: Lap) -> Lap:
    """Two use cases with a live release each, and one without."""
    for name in ("second", "third"):
        write_use_case(live.settings.use_cases, name)
    live.manual(Role.REQUIREMENTS, use_case="second", as_of=AS_OF)
    return live


def due(lap: Lap) -> dict[str, str]:
    now = quarter("2017Q1")
    orders = due_orders(lap.store, lap.settings.use_cases, "scheduled-1", now)
    assert {(one.as_of, one.started_by, one.reason) for one in orders} <= {
        (now, "schedule", "a check is due")
    }
    return {one.use_case: one.cycle_id for one in orders}


def test_every_use_case_with_a_live_release_is_due(two_live: Lap) -> None:
    assert due(two_live) == {"radar": FIRST, "second": FIRST}


def test_a_due_check_needs_nothing_but_its_order(two_live: Lap) -> None:
    year(two_live, 2016, -0.05)
    orders = due_orders(two_live.store, two_live.settings.use_cases, "scheduled-1", quarter("2017Q1"))
    loops = {one.use_case: check(one, store=two_live.store, now=two_live.now()) for one in orders}
    assert loops["radar"] is not None
    assert loops["second"] is None


def test_a_broken_contract_file_keeps_no_live_release_from_being_checked(two_live: Lap) -> None:
    for name in ("radar", "third"):
        (two_live.settings.use_cases / name / "contract.yaml").write_text("not: a contract\n")
    assert due(two_live) == {"radar": FIRST, "second": FIRST}


def test_a_broken_contract_file_is_judged_by_what_was_signed(two_live: Lap) -> None:
    year(two_live, 2016, -0.05)
    signed = two_live.contract.hash
    (two_live.settings.use_cases / "radar" / "contract.yaml").write_text("not: a contract\n")
    orders = due_orders(two_live.store, two_live.settings.use_cases, "scheduled-1", quarter("2017Q1"))
    assert {one.contract_hash for one in orders if one.use_case == "radar"} == {signed}
    loops, faults = check_all(orders, store=two_live.store, now=two_live.now())
    assert ([one.use_case for one in loops], faults) == (["radar"], [])


def test_a_signed_contract_that_is_valid_no_more_costs_only_its_own_check(two_live: Lap) -> None:
    year(two_live, 2016, -0.05)
    with two_live.store.write() as db:
        db.execute(update(contracts_table).where(contracts_table.c.use_case == "second").values(body={"of": "before"}))  # fmt: skip
    orders = due_orders(two_live.store, two_live.settings.use_cases, "scheduled-1", quarter("2017Q1"))
    loops, faults = check_all(orders, store=two_live.store, now=two_live.now())
    assert [one.use_case for one in loops] == ["radar"]
    assert len(faults) == 1
    assert faults[0].startswith("second: ValidationError")


def test_a_use_case_whose_contract_is_no_longer_signed_is_not_checked(two_live: Lap) -> None:
    with two_live.store.write() as db:
        rejected = SignOff("rejected", "the owner", "person")
        contracts.record_sign_off(db, "radar", two_live.contract.hash, rejected, two_live.now())
    assert due(two_live) == {"second": FIRST}


def test_a_use_case_that_was_removed_is_not_checked(two_live: Lap) -> None:
    (two_live.settings.use_cases / "radar" / "contract.yaml").unlink()
    assert due(two_live) == {"second": FIRST}


def test_a_fault_in_one_use_case_does_not_keep_the_others_from_being_judged(two_live: Lap) -> None:
    year(two_live, 2016, -0.05)
    orders = due_orders(two_live.store, two_live.settings.use_cases, "scheduled-1", quarter("2017Q1"))
    unsigned = [
        one.model_copy(update={"contract_hash": "0" * 64}) for one in orders if one.use_case == "second"
    ]
    loops, faults = check_all([*unsigned, *orders], store=two_live.store, now=two_live.now())
    assert [one.use_case for one in loops] == ["radar"]
    assert len(faults) == 1
    assert faults[0].startswith("second: ContractError")
