"""A pass looks for the cause of what it has found, keeps its signals, and raises the loop that the evidence asks for."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from sqlalchemy import insert

from include.kreislauf.feedback import monitor
from include.kreislauf.handovers import Edge, Loop, Reason, Role
from include.kreislauf.store import signals
from include.kreislauf.store.schema import predictions
from include.kreislauf.store.signals import Signal
from tests.support.examples import prediction
from tests.support.fixtures import MakeLap
from tests.support.lap import Lap
from tests.support.outcomes import happen
from tests.support.script import Script

AS_OF = datetime(2016, 1, 1, tzinfo=UTC)


def live(make_lap: MakeLap, script: Script, **changes: object) -> Lap:
    lap = make_lap(script, **changes)
    lap.manual(Role.REQUIREMENTS, as_of=AS_OF)
    return lap


@pytest.fixture
def eager(make_lap: MakeLap, script: Script) -> Lap:
    """A ring whose contract lets a warning alone send the work back."""
    return live(make_lap, script, monitoring={"retrain_on_warning": True})


def year(lap: Lap, uplift: float) -> datetime:
    return [happen(lap, f"2016Q{number}", uplift) for number in (1, 2, 3)][-1]


def ask_for_new(lap: Lap, as_of: datetime, number: int = 200) -> None:
    """As many requests within the days before, each about an entity that the release does not know."""
    times = [as_of - timedelta(hours=one) for one in range(number)]
    with lap.store.write() as db:
        db.execute(insert(predictions), [
            prediction(id=str(uuid4()), use_case=lap.use_case, release=1, entity=f"new{at:%d%H}", known=False, value=None,
                       as_of=at, period=at, created_at=at)
            for at in times
        ])  # fmt: skip


def raised(lap: Lap, as_of: datetime) -> Loop | None:
    """The loop of a pass that nobody has taken yet."""
    message = lap.run(lap.by_hand(Role.MONITORING, as_of=as_of))
    assert message is None or isinstance(message, Loop)
    return message


def kept(lap: Lap) -> dict[str, Signal]:
    with lap.store.read() as db:
        return {one.name: one for one in signals.newest_signals(db, lap.use_case, 1)}


def test_a_breach_with_new_entities_goes_to_the_data_engineer_for_that_reason(
    make_lap: MakeLap, script: Script
) -> None:
    lap = live(make_lap, script)
    as_of = year(lap, -0.05)
    ask_for_new(lap, as_of)
    loop = raised(lap, as_of)
    assert loop is not None
    assert (loop.edge, loop.reason) == (Edge.MONITORING_TO_DATA_ENGINEERING, Reason.NEW_ENTITIES)
    assert "outside of what the model knows" in loop.text
    assert {one.name: one.value for one in loop.evidence}["novelty"] == 1.0


def test_a_breach_whose_cause_nobody_sees_says_so(make_lap: MakeLap, script: Script) -> None:
    loop = raised(lap := live(make_lap, script), year(lap, -0.05))
    assert loop is not None
    assert loop.reason is Reason.BUSINESS_METRIC_FELL
    assert loop.text.endswith("; no cause is visible; the default way back")


def test_a_pass_keeps_its_signals(make_lap: MakeLap, script: Script) -> None:
    lap = live(make_lap, script)
    as_of = year(lap, 0.05)
    ask_for_new(lap, as_of)
    assert raised(lap, as_of) is None
    assert kept(lap)["novelty"].warning
    assert kept(lap)["feature_shift"].text.startswith("not known: the release's files ")


def test_a_warning_alone_sends_the_work_back_only_where_the_contract_says_so(eager: Lap) -> None:
    as_of = year(eager, 0.05)
    assert raised(eager, as_of) is None
    ask_for_new(eager, as_of)
    loop = raised(eager, as_of + timedelta(hours=1))
    assert loop is not None
    assert (loop.edge, loop.reason) == (Edge.MONITORING_TO_DATA_ENGINEERING, Reason.NEW_ENTITIES)
    assert loop.text.startswith("a warning without a breach: ")
    assert raised(eager, as_of + timedelta(hours=2)) == loop  # nobody took it: the same again


def test_a_loop_that_nobody_took_is_raised_as_it_was_although_the_evidence_has_changed(
    make_lap: MakeLap, script: Script
) -> None:
    lap = live(make_lap, script)
    as_of = year(lap, -0.05)
    first = raised(lap, as_of)
    assert first is not None
    ask_for_new(lap, as_of)
    assert raised(lap, as_of + timedelta(hours=1)) == first
    assert len(lap.loops()) == 1


def test_what_was_decided_is_not_looked_into_again(
    make_lap: MakeLap, script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    lap = live(make_lap, script, governor={"cool_down_days": 1000})
    lap.check(year(lap, -0.05))
    as_of = [happen(lap, f"2017Q{number}", -0.05) for number in (1, 2, 3)][-1]
    assert len(lap.check(as_of)) == 1  # refused: the cool-down
    monkeypatch.setattr("include.kreislauf.feedback.raising.situation_of", _fails)
    assert raised(lap, as_of + timedelta(hours=1)) is None


def _fails(*_: object) -> None:
    raise AssertionError("the cause was looked for")


def test_files_of_a_release_that_cannot_be_believed_do_not_stop_a_pass(lap: Lap) -> None:
    order = lap.order(AS_OF)
    lap.work(order, *lap.steps)
    row = lap.live()
    assert row is not None
    (lap.settings.artefacts / row.path / "snapshot.json").write_text("{}")
    later = order.model_copy(update={"as_of": AS_OF + timedelta(days=1)})
    assert monitor.check(later, store=lap.store, now=lap.now(), settings=lap.settings) is None
    assert "cannot be believed" in kept(lap)["feature_shift"].text
