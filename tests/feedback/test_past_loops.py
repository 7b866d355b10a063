"""What counts as a loop that did not help, and as a cycle that monitoring opened by itself."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest
from sqlalchemy import Connection, update

from include.kreislauf.feedback.past_loops import loops_without_help, opened_by_machine, why_ask
from include.kreislauf.handovers import MACHINE, OPENING, Edge, Reason
from include.kreislauf.requirements.contract import Governor
from include.kreislauf.store import cycles, messages
from include.kreislauf.store.cycles import State
from include.kreislauf.store.database import Store
from include.kreislauf.store.schema import loops
from tests.support.examples import NOW, USE_CASE, loop

MAIN, BACK, ASK = (
    Edge.MONITORING_TO_DATA_ENGINEERING,
    Edge.MONITORING_TO_MLOPS,
    Edge.MONITORING_TO_REQUIREMENTS,
)
POLICY = Governor(cool_down_days=0, max_hops=3)
NUMBERS = itertools.count()


@pytest.fixture
def db(store: Store) -> Iterator[Connection]:
    with store.write() as db:
        yield db


def past(
    db: Connection, edge: Edge = MAIN, *, helped: bool | None = None, state: State = State.LIVE,
    ledger: str = "accepted", as_of: datetime = NOW, reason: Reason = Reason.BUSINESS_METRIC_FELL, by: str = MACHINE,
) -> None:  # fmt: skip
    """A loop of the past, newer than those before, and where its cycle stands."""
    number = next(NUMBERS)
    later = NOW + timedelta(minutes=number)
    made = cycles.open_cycle(
        db,
        USE_CASE,
        origin=str(number),
        started_by="test",
        reason="test",
        as_of=as_of,
        now=later,
        state=state,
    )
    one = loop(edge=edge, cycle_id=made.cycle_id, as_of=as_of, reason=reason, by=by)
    messages.save_loop(db, one, later)
    values = {"state": "closed" if helped is not None else ledger, "helped": helped}
    db.execute(update(loops).where(loops.c.id == one.id).values(**values))


def test_loops_that_did_not_help_are_counted_back_to_the_last_that_did(db: Connection) -> None:
    for helped in (False, True, False, False):
        past(db, helped=helped)
    past(db, ledger="refused")
    past(db, state=State.LIVE)  # not known yet
    assert loops_without_help(db, USE_CASE) == 2
    past(db, helped=True)
    assert loops_without_help(db, USE_CASE) == 0


def test_a_cycle_that_failed_for_good_did_not_help(db: Connection) -> None:
    past(db, state=State.FAILED)
    past(db, state=State.FAILED)
    assert loops_without_help(db, USE_CASE) == 2
    assert why_ask(db, USE_CASE, POLICY, NOW + timedelta(days=30)) == (
        Reason.LOOPS_DID_NOT_HELP, "2 loops did not help",
    )  # fmt: skip


def test_a_person_who_decided_begins_a_new_count(db: Connection) -> None:
    past(db, helped=False)
    past(db, ASK, state=State.CLOSED)
    past(db, helped=False)
    assert loops_without_help(db, USE_CASE) == 1
    past(db, state=State.CLOSED)  # by a person, whom data engineering asked
    assert loops_without_help(db, USE_CASE) == 0


def test_a_rollback_whose_cycle_is_over_changes_no_count(db: Connection) -> None:
    past(db, helped=False)
    past(db, BACK, state=State.CLOSED)
    assert loops_without_help(db, USE_CASE) == 1


@pytest.mark.parametrize("edge", OPENING)
def test_cycles_of_the_last_seven_days_are_used_up(db: Connection, edge: Edge) -> None:
    for days in (8, 7, 6, 0, -1):
        past(db, edge, as_of=NOW - timedelta(days=days))
    past(db, edge, ledger="refused")
    counted = [] if edge is BACK else [NOW - timedelta(days=days) for days in (6, 0, -1)]
    assert list(opened_by_machine(db, USE_CASE, NOW)) == counted


def test_the_work_after_a_rollback_is_used_up_and_a_persons_is_not(db: Connection) -> None:
    past(db, Edge.MLOPS_TO_DATA_SCIENCE, reason=Reason.ROLLED_BACK)
    past(db, Edge.MLOPS_TO_DATA_SCIENCE, reason=Reason.ROLLED_BACK, by="Ada")
    past(db, Edge.MLOPS_TO_DATA_SCIENCE, reason=Reason.RELEASE_FAILED)
    past(db, MAIN, reason=Reason.RETRIGGERED, by="Ada")
    past(db, MAIN, by="alertmanager")
    assert len(opened_by_machine(db, USE_CASE, NOW)) == 2


def test_a_person_is_asked_when_only_the_last_place_of_the_week_is_left(db: Connection) -> None:
    past(db)
    assert why_ask(db, USE_CASE, POLICY, NOW) is None
    past(db)
    assert why_ask(db, USE_CASE, POLICY, NOW) == (
        Reason.BUDGET_SPENT, "2 of 3 cycles within seven days are used up, and the breaches go on",
    )  # fmt: skip
    assert why_ask(db, USE_CASE, POLICY, NOW + timedelta(days=7)) is None
