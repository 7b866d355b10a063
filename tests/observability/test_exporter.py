"""The workflow exporter: what it tells of a store after handovers, loops, questions."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import update

from include.kreislauf.exporting.metrics import ALL, Sheet
from include.kreislauf.exporting.reading import quantile
from include.kreislauf.exporting.sizes import Maturing
from include.kreislauf.handovers import Edge, Loop, Role, Stage
from include.kreislauf.store import (
    cycles,
    live,
    messages,
    observations,
    receipts,
    rollouts,
    schema,
)
from include.kreislauf.store.cycles import State
from include.kreislauf.store.database import Store
from include.kreislauf.store.schema import HEAD
from tests.support.examples import MESSAGE, NOW, USE_CASE, handover, loop, open_cycle, prediction, release
from tests.support.lap import Lap
from tests.support.outcomes import happen
from tests.support.told import told

AS_OF = datetime(2016, 1, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def test_an_empty_store_is_up_and_tells_its_schema(store: Store) -> None:
    found = told(store)
    assert found("store_up") == 1
    assert found("store_schema_info") == 1
    assert found("store_schema_info", revision=HEAD, current="yes") == 1
    assert found("exporter_errors_total") == 0
    assert found("store_bytes") > 100_000  # type: ignore[operator]
    assert found("store_rows", table="cycles") == 0
    assert found("cycles") is None
    assert found("questions_waiting", role="requirements") == 0


def test_a_store_of_another_version_says_so_and_nothing_else(bare_store: Store) -> None:
    found = told(bare_store)
    assert found("store_schema_info", revision="none", current="no") == 1
    assert found("store_bytes") is None


def test_cycles_are_counted_by_state_and_the_one_at_work_is_timed(store: Store) -> None:
    for number, state in enumerate((State.CLOSED, State.CLOSED, State.ACTIVE)):
        cycle = open_cycle(store, f"run {number}")
        with store.write() as db:
            assert cycles.set_state(db, cycle, state, NOW + MINUTE)
    found = told(store)
    assert found("cycles", use_case=USE_CASE, state="closed") == 2
    assert found("cycles", use_case=USE_CASE, state="active") == 1
    assert found("cycles", use_case=USE_CASE, state="failed") == 0
    assert found("active_cycle_opened_timestamp_seconds", use_case=USE_CASE) == NOW.timestamp()
    assert found("active_cycle_moved_timestamp_seconds", use_case=USE_CASE) == (NOW + MINUTE).timestamp()


def test_a_handover_waits_for_its_receiver_until_it_is_received(store: Store) -> None:
    open_cycle(store, "run", cycle_id=MESSAGE["cycle_id"], state=State.ACTIVE)
    message = handover(stage=Stage.COLLECTION)
    with store.write() as db:
        messages.save_handover(db, handover(stage=Stage.REQUIREMENTS), "", NOW)
        messages.save_handover(db, message, "", NOW + MINUTE)
    found = told(store)
    assert (
        found("message_waiting_timestamp_seconds", use_case=USE_CASE, role="data_science")
        == (NOW + MINUTE).timestamp()
    )
    assert found("message_waiting_timestamp_seconds", role="data_engineering") is None  # it has gone on since
    assert found("active_cycle_moved_timestamp_seconds", use_case=USE_CASE) == (NOW + MINUTE).timestamp()
    with store.write() as db:
        receipts.record_receipt(db, message, Role.DATA_SCIENCE, "run", NOW + 3 * MINUTE)
    found = told(store, NOW + 10 * MINUTE)
    assert found("message_waiting_timestamp_seconds") is None
    for share in ("0.5", "0.9", "1"):
        assert found("handover_latency_seconds", role="data_science", quantile=share) == 120
    assert found("handovers_received", role="data_science") == 1
    assert found("handovers_received", role="mlops") == 0
    assert told(store, NOW + timedelta(days=2))("handover_latency_seconds") is None


def test_a_handover_that_stays_with_its_role_waits_for_nobody(store: Store) -> None:
    open_cycle(store, "run", cycle_id=MESSAGE["cycle_id"], state=State.ACTIVE)
    with store.write() as db:
        messages.save_handover(db, handover(stage=Stage.TRAINING), "", NOW)
    assert told(store)("message_waiting_timestamp_seconds") is None


def test_a_loop_waits_until_it_is_decided_and_its_latency_counts(store: Store) -> None:
    open_cycle(store, "run", cycle_id=MESSAGE["cycle_id"], state=State.ACTIVE)
    raised = loop(edge=Edge.DATA_SCIENCE_TO_DATA_ENGINEERING, attempt=2)
    with store.write() as db:
        messages.save_handover(db, handover(stage=Stage.EVALUATION), "", NOW)  # of the attempt before
        messages.save_loop(db, raised, NOW)
    assert told(store)("message_waiting_timestamp_seconds", role="data_engineering") == NOW.timestamp()
    with store.write() as db:
        receipts.record_receipt(db, raised, Role.DATA_ENGINEERING, "run", NOW + MINUTE)
        messages.decide_loop(db, raised.id, "accepted", "hop 1 of 2", "run")
    found = told(store, NOW + 2 * MINUTE)
    assert found("message_waiting_timestamp_seconds") is None
    assert found("handover_latency_seconds", role="data_engineering", quantile="1") == 60
    accepted = {"use_case": USE_CASE, "decision": "accepted"}
    assert found("loops_decided_total", **accepted, edge=raised.edge) == 1
    assert found("loops_decided_total", **accepted, edge=Edge.MONITORING_TO_MLOPS) == 0
    assert found("loops_reasons_total", **accepted, reason=raised.reason) == 1


def test_loops_are_told_by_what_became_of_them(scripted: Lap) -> None:
    """A real lap: a breach opens a second cycle whose effect is measured, and a third is refused."""
    scripted.manual(Role.REQUIREMENTS, as_of=AS_OF)
    as_of = [happen(scripted, f"2016Q{number}", -0.05) for number in (1, 2, 3)][-1]
    scripted.check(as_of)
    found = told(scripted.store, scripted.now())
    name = scripted.use_case
    edge = Edge.MONITORING_TO_DATA_ENGINEERING
    assert found("loops_decided_total", use_case=name, edge=edge, decision="accepted") == 1
    assert found("loops_closed_total", use_case=name, helped="yes") == 0
    assert found("live_release_info", use_case=name, version="2") == 1
    assert found("cycles", use_case=name, state="live") >= 1  # type: ignore[operator]
    assert found("verdicts_total", use_case=name, verdict="breach") >= 1  # type: ignore[operator]
    assert found("newest_verdict_timestamp_seconds", use_case=name) is not None
    assert found("handover_latency_seconds", role="mlops", quantile="1") is not None
    with scripted.store.write() as db:
        db.execute(update(schema.loops).values(state="closed", helped=True))
    found = told(scripted.store, scripted.now())
    assert found("loops_closed_total", use_case=name, helped="yes") == 1
    assert found("loops_decided_total", use_case=name, edge=edge, decision="accepted") == 1, (
        "closed was accepted"
    )


def test_a_refused_loop_is_counted_and_waits_for_nobody(scripted: Lap) -> None:
    scripted.manual(Role.REQUIREMENTS, as_of=AS_OF)
    raised = scripted.run(
        scripted.by_hand(Role.MONITORING, loop=Edge.MONITORING_TO_DATA_ENGINEERING, by="Ada")
    )
    assert isinstance(raised, Loop)
    scripted.receive(scripted.by_hand(Role.REQUIREMENTS, as_of=AS_OF))
    assert scripted.event(raised) == []
    found = told(scripted.store, scripted.now())
    assert found("loops_decided_total", edge=raised.edge, decision="refused") == 1


@pytest.mark.parametrize(("stage", "role"), [
    (None, Role.REQUIREMENTS), (Stage.TRAINING, Role.DATA_SCIENCE), (Stage.EVALUATION, Role.MLOPS),
])  # fmt: skip
def test_a_question_is_the_role_s_that_has_the_work(store: Store, stage: Stage | None, role: Role) -> None:
    cycle = open_cycle(store, "run", cycle_id=MESSAGE["cycle_id"], state=State.ACTIVE)
    with store.write() as db:
        if stage:
            messages.save_handover(db, handover(stage=stage), "", NOW)
        cycles.set_state(db, cycle, State.WAITING, NOW + MINUTE)
    found = told(store)
    assert found("questions_waiting", role=role) == 1
    assert sum(found("questions_waiting", role=one) or 0 for one in Role) == 1
    assert (
        found("question_waiting_timestamp_seconds", use_case=USE_CASE, role=role)
        == (NOW + MINUTE).timestamp()
    )
    assert found("active_cycle_opened_timestamp_seconds") is None
    assert found("message_waiting_timestamp_seconds") is None


def test_what_is_live_and_what_is_tried(store: Store) -> None:
    with store.write() as db:
        for version in (1, 2):
            assert live.save_release(db, release(version, manifest={"family": "ridge"}))
        assert live.promote(db, USE_CASE, 1, expected=None, cycle_id="c0001", reason="x", as_of=NOW, now=NOW)
    found = told(store)
    assert found("live_release_info", use_case=USE_CASE, version="1", cycle_id="c0001", family="ridge") == 1
    assert found("live_release_since_timestamp_seconds", use_case=USE_CASE) == NOW.timestamp()
    assert found("challenger") is None
    with store.write() as db:
        row = {"use_case": USE_CASE, "version": 2, "cycle_id": "c0002", "attempt": 1, "state": "shadow", "champion": 1,
               "share": 0.1, "note": "", "evidence": {}, "created_at": NOW, "state_at": NOW + MINUTE}  # fmt: skip
        db.execute(schema.rollouts.insert().values(row))
    found = told(store)
    assert {one: found("challenger", use_case=USE_CASE, state=one) for one in rollouts.TRIED} == {
        "candidate": 0, "shadow": 1, "canary": 0,
    }  # fmt: skip
    assert found("challenger_since_timestamp_seconds", use_case=USE_CASE) == (NOW + MINUTE).timestamp()


def test_predictions_too_young_to_count(store: Store) -> None:
    with store.write() as db:
        body = {"business_metrics": [{"maturity_days": 2.0}, {"maturity_days": 5}, {"name": "uplift"}]}
        for name, values in ((USE_CASE, body), ("other", {"business_metrics": [{"name": "uplift"}]})):
            row = {
                "use_case": name,
                "hash": "a",
                "body": values,
                "first_seen": NOW,
                "decision": "signed",
                "decided_at": NOW,
            }
            db.execute(schema.contracts.insert().values(row))
        ages = [timedelta(days=days) for days in (0, 3, 4.9, 5.1, 30)]
        observations.save_predictions(db, [prediction(as_of=NOW - age) for age in ages])
        observations.save_predictions(db, [prediction(use_case="other")])
    found = told(store)
    assert found("outcomes_maturing", use_case=USE_CASE) == 3
    assert found("outcomes_maturing", use_case="other") is None
    assert found("store_rows", table="predictions") is not None


def test_predictions_are_counted_every_five_minutes(store: Store) -> None:
    counting = Maturing()

    def counted(now: datetime) -> list[float]:
        sheet = Sheet()
        with store.read() as db:
            counting.read(db, sheet, now)
        return [sample.value for family in sheet.families() for sample in family.samples]

    with store.write() as db:
        values = {"use_case": USE_CASE, "hash": "a", "body": {"business_metrics": [{"maturity_days": 2}]}}
        signed = {**values, "first_seen": NOW, "decision": "signed", "decided_at": NOW}
        db.execute(schema.contracts.insert().values(signed))
    assert counted(NOW) == [0]
    with store.write() as db:
        observations.save_predictions(db, [prediction()])
    assert counted(NOW + timedelta(seconds=299)) == [0]
    assert counted(NOW + timedelta(seconds=300)) == [1]
    assert counted(NOW) == [1], "a clock that goes back is no reason to wait"


def test_only_declared_metrics_are_told_and_nothing_twice(scripted: Lap) -> None:
    scripted.manual(Role.REQUIREMENTS, as_of=AS_OF)
    found = told(scripted.store, scripted.now())
    assert found.names <= {one.exported for one in ALL}
    seen = [(one.name, tuple(sorted(one.labels.items()))) for one in found.samples]
    assert len(seen) == len(set(seen))


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=50), st.floats(0.01, 1))
def test_at_least_a_share_of_all_values_is_no_larger_than_the_quantile(
    values: list[float], share: float
) -> None:
    found = quantile(values, share)
    assert found in values
    assert sum(value <= found for value in values) >= share * len(values)
    assert sum(value < found for value in values) < share * len(values)
