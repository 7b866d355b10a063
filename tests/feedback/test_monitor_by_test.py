"""A pass over a metric with a test: verdict and memory are written together, and what cannot be judged is said."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from include.kreislauf.errors import KreislaufError, QueryError
from include.kreislauf.feedback import monitor
from include.kreislauf.handovers import Edge, Loop, Reason, Role, WorkOrder
from include.kreislauf.store import contracts, monitor_states, observations
from include.kreislauf.store.contracts import SignOff
from include.kreislauf.store.database import Store
from include.kreislauf.store.monitor_states import MonitorState, MovedOnError
from include.kreislauf.store.observations import Verdict
from include.kreislauf.store.schema import monitor_states as states
from tests.support.examples import prediction
from tests.support.fixtures import MakeLap
from tests.support.lap import Lap
from tests.support.script import Script

AS_OF = datetime(2016, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
UPLIFT = {
    "kind": "portfolio_uplift", "name": "portfolio_uplift", "top": 10, "gate_threshold": 0.01, "threshold": 0.02,
    "window_periods": 3,
}  # fmt: skip
RATE = {
    "kind": "outcomes", "name": "rate", "measure": "outcome", "threshold": 0.7,
    "test": {"bounds": [0, 1], "reference": 0.8},
}  # fmt: skip
ASKED = {
    "kind": "query", "name": "asked", "threshold": 0.7, "test": {"bounds": [0, 1]},
    "source": {"engine": "promql", "connection": "prometheus", "query": "up"},
}  # fmt: skip
GOOD, BAD = (1.0, 1.0, 0.0, 1.0, 1.0), (1.0, 0.0, 0.0, 1.0, 0.0)


@pytest.fixture
def live(make_lap: MakeLap, script: Script) -> Lap:
    """A ring whose first release is live, with a metric that has a test and one that another system knows."""
    lap = make_lap(script, business_metrics=[UPLIFT, RATE, ASKED])
    lap.manual(Role.REQUIREMENTS, as_of=AS_OF)
    return lap


def come(lap: Lap, start: int, *values: float, **fields: Any) -> datetime:
    """An outcome an hour from a time on; returns the time of the last one."""
    with lap.store.write() as db:
        for number, value in enumerate(values, start):
            at = AS_OF + number * HOUR
            row = prediction(use_case=lap.use_case, as_of=at, entity=f"e{number}", value=0.5, **fields)
            observations.save_predictions(db, [row])
            observations.save_outcome(db, row["id"], value, at, at)
    return AS_OF + (start + len(values) - 1) * HOUR


def newest(lap: Lap, metric: str = "rate") -> Verdict:
    return [one for one in lap.verdicts() if one.metric == metric][-1]


def order(lap: Lap, as_of: datetime) -> WorkOrder:
    taken = lap.receive(lap.by_hand(Role.MONITORING, as_of=as_of))
    assert isinstance(taken, WorkOrder)
    return taken


def remembered(store: Store) -> list[MonitorState]:
    with store.read() as db:
        return [MonitorState(**row._mapping) for row in db.execute(select(states))]


def test_a_verdict_carries_evidence_interval_and_number_of_observations(live: Lap) -> None:
    live.check(come(live, 1, *GOOD * 120))
    one = newest(live)
    assert (one.verdict, one.periods, one.value) == ("healthy", 600, pytest.approx(0.8))
    assert one.low is not None
    assert 0.7 <= one.low < 0.8
    assert one.evidence is not None
    assert one.evidence < 10
    assert ("rate", 1, "champion") in {(one.metric, one.release, one.arm) for one in remembered(live.store)}


def test_a_fall_raises_the_loop_once_with_its_numbers(live: Lap) -> None:
    live.check(come(live, 1, *GOOD * 120))
    as_of = come(live, 601, *BAD * 60)
    [loop, *_] = live.check(as_of)
    assert isinstance(loop, Loop)
    assert (loop.edge, loop.metric) == (Edge.MONITORING_TO_DATA_ENGINEERING, "rate")
    assert loop.reason is Reason.BUSINESS_METRIC_FELL
    assert loop.metric_before is not None
    assert loop.metric_before.value == pytest.approx(0.4, abs=0.08)
    assert "has fallen from 0.8" in loop.text


def test_a_pass_that_breaks_off_leaves_neither_verdict_nor_memory(
    live: Lap, monkeypatch: pytest.MonkeyPatch
) -> None:
    live.check(come(live, 1, *GOOD * 10))
    before, said = remembered(live.store), live.verdicts()
    as_of = come(live, 51, *GOOD * 10)
    with monkeypatch.context() as patched:
        patched.setattr(monitor, "close_ripe_loops", _break_off)
        with pytest.raises(ZeroDivisionError):
            monitor.check(order(live, as_of), store=live.store, now=live.now())
    assert (remembered(live.store), live.verdicts()) == (before, said)
    live.check(as_of)
    assert newest(live).periods == 100  # nothing lost, nothing twice


def _break_off(*_: Any) -> None:
    raise ZeroDivisionError


def test_a_pass_that_was_overtaken_judges_anew(live: Lap, monkeypatch: pytest.MonkeyPatch) -> None:
    as_of = come(live, 1, *GOOD * 10)
    late = order(live, as_of)
    save, overtaken = monitor_states.save, []

    def slow(db: Any, new: MonitorState, before: MonitorState | None) -> None:
        if not overtaken:
            overtaken.append(new)
            save(db, replace(new, body={**new.body}), before)
            raise MovedOnError(new)
        save(db, new, before)

    monkeypatch.setattr(monitor_states, "save", slow)
    monitor.check(late, store=live.store, now=live.now())
    assert len(overtaken) == 1
    assert newest(live).periods == 50

    def never(_: Any, new: MonitorState, __: Any) -> None:
        raise MovedOnError(new)

    monkeypatch.setattr(monitor_states, "save", never)
    _, faults = monitor.check_all([order(live, as_of + HOUR)], store=live.store, now=live.now())
    assert "another pass judges at the same time" in faults[0]


def test_a_system_that_cannot_be_asked_keeps_no_other_metric_from_being_judged(live: Lap) -> None:
    def down(*_: Any) -> list[tuple[datetime, float]]:
        raise QueryError("no answer", where="asked")

    as_of = come(live, 1, *GOOD * 120)
    monitor.check(order(live, as_of), store=live.store, now=live.now(), observe=down)
    assert newest(live).verdict == "healthy"
    assert (newest(live, "asked").verdict, newest(live, "asked").text) == (
        "inconclusive", "the metric cannot be had: asked: no answer",
    )  # fmt: skip


def test_a_store_that_cannot_be_reached_gives_no_verdict_at_all(live: Lap, tmp_path: Any) -> None:
    one = order(live, come(live, 1, *GOOD * 120))
    away = Store(f"sqlite:///{tmp_path / 'nowhere' / 'kreislauf.db'}")
    loops, [fault] = monitor.check_all([one], store=away, now=live.now())
    assert loops == []
    assert "unable to open database file" in fault


def test_judging_alone_writes_nothing(live: Lap) -> None:
    one = order(live, come(live, 1, *GOOD * 120))
    before = (remembered(live.store), live.verdicts())
    found = {each.metric.name: each.judgement for each in monitor.judge_live(one, live.store)}
    assert (found["rate"].verdict, found["rate"].observations) == ("healthy", 600)
    assert (remembered(live.store), live.verdicts()) == before


def test_judging_alone_says_whether_a_release_or_a_signed_contract_is_missing(live: Lap) -> None:
    one = order(live, come(live, 1, *GOOD))
    with live.store.write() as db:
        rejected = SignOff("rejected", "the owner", "person")
        contracts.record_sign_off(db, "radar", live.contract.hash, rejected, live.now())
    with pytest.raises(KreislaufError, match="radar: release 1 is live, but no contract is signed"):
        monitor.judge_live(one, live.store)
    with pytest.raises(KreislaufError, match="other: nothing is live"):
        monitor.judge_live(one.model_copy(update={"use_case": "other"}), live.store)


def test_the_control_is_judged_beside_the_release_and_informs_the_diagnosis(
    make_lap: MakeLap, script: Script
) -> None:
    lap = make_lap(script, business_metrics=[UPLIFT, RATE], monitoring={"control": {"share": 0.2}})
    lap.manual(Role.REQUIREMENTS, as_of=AS_OF)
    lap.manual(Role.REQUIREMENTS, as_of=AS_OF + timedelta(days=200))
    live = lap.live()
    assert live is not None
    assert live.version == 2
    start = 200 * 24 + 1
    come(lap, start, *GOOD * 40, release=2, arm="champion")
    come(lap, start, *GOOD * 40, release=1, arm="control")
    come(lap, start + 200, *BAD * 60, release=2, arm="champion")
    as_of = come(lap, start + 200, *BAD * 60, release=1, arm="control")
    [loop, *_] = lap.check(as_of)
    assert isinstance(loop, Loop)
    control = next(one for one in loop.evidence if one.name == "live_minus_control")
    assert control.value == pytest.approx(0.0, abs=0.03)
    assert (loop.edge, loop.reason) == (Edge.MONITORING_TO_REQUIREMENTS, Reason.METRIC_AND_MODEL_DISAGREE)
    assert {one.arm for one in remembered(lap.store) if one.release == 2} == {"champion", "control"}
