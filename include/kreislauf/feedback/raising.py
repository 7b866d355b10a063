"""From a verdict to the loop that is raised: who is asked to act, with which evidence, in which new cycle."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection

from include.kreislauf.feedback.looking import Seen, situation_of
from include.kreislauf.feedback.recurring import Past, past_of
from include.kreislauf.handovers import MACHINE, Evidence, Loop, Reason, WorkOrder
from include.kreislauf.monitoring.diagnosis import Diagnosis, Situation, diagnose, evidence_of
from include.kreislauf.monitoring.verdicts import Judgement
from include.kreislauf.requirements.contract import BusinessMetric, Contract
from include.kreislauf.store import cycles, messages
from include.kreislauf.store.cycles import State
from include.kreislauf.store.database import Store


def raise_loop(
    store: Store, order: WorkOrder, contract: Contract, seen: Seen, metric: BusinessMetric, judged: Judgement,
    now: datetime,
) -> Loop | None:  # fmt: skip
    """Find the cause of a verdict and write down the loop that it asks for; ``None``: there is nothing to raise.

    The cause is looked for outside of a writing transaction, because a challenger takes seconds. Nothing is raised
    while another cycle is at work, nor again what was decided already, nor what the governor would hold back once more
    for the same reason.
    """
    policy = contract.governor
    with store.read() as db:
        past = _past(db, order, seen, metric, judged)
        if _is_busy(db, order) or past.decided or past.has_been_told(db, policy, order.as_of):
            return None
        found = diagnose(situation_of(db, order, contract, seen, metric, judged))
    if found is None:
        return None
    with store.write() as db:
        if _is_busy(db, order) or past.has_been_told(db, policy, order.as_of, found.edge):
            return None
        return _written(db, order, contract, seen, metric, judged, found, past.origin, now)


def raise_forced(
    store: Store, order: WorkOrder, contract: Contract, seen: Seen, metric: BusinessMetric, judged: Judgement,
    now: datetime,
) -> Loop | None:  # fmt: skip
    """Write down the loop that a person, or the governor, wants whatever the verdict says."""
    assert order.forced_loop is not None  # noqa: S101 - asked only then
    signals = {one.name: one for one in seen.signals}
    evidence = evidence_of(Situation(judged.verdict, judged.text, signals=signals))
    found = Diagnosis(
        order.forced_loop, Reason.RETRIGGERED, f"{order.by}: {order.reason}", evidence, step=order.step
    )
    with store.write() as db:
        origin = f"monitoring/{order.run_id}"
        return _written(db, order, contract, seen, metric, judged, found, origin, now)


def _is_busy(db: Connection, order: WorkOrder) -> bool:
    return bool(cycles.in_state(db, order.use_case, State.ACTIVE, State.WAITING))


def _past(db: Connection, order: WorkOrder, seen: Seen, metric: BusinessMetric, judged: Judgement) -> Past:
    """What the same breach, or the same warning of a day, has led to before."""
    of, newest = "warning", order.as_of
    if judged.verdict == "breach":
        of, newest = metric.name, max(judged.by_period, default=seen.release.as_of)
    return past_of(db, order.use_case, f"monitoring/{seen.release.version}/{of}", f"{newest:%Y-%m-%d}")


def _written(
    db: Connection, order: WorkOrder, contract: Contract, seen: Seen, metric: BusinessMetric, judged: Judgement,
    found: Diagnosis, origin: str, now: datetime,
) -> Loop | None:  # fmt: skip
    """Open the cycle that the loop proposes, and write the loop down; one that nobody took yet is raised as it was."""
    release = seen.release
    child = cycles.open_cycle(
        db, order.use_case, origin=origin, started_by=f"loop/{found.edge}", reason=found.text, as_of=order.as_of,
        now=now, parent_cycle_id=release.cycle_id,
    )  # fmt: skip
    if known := messages.loops_of(db, order.use_case, cycle_id=child.cycle_id):
        return known[0].loop if known[0].state == "raised" else None
    before = Evidence(
        name=metric.name, value=judged.value, unit=metric.unit, note=f"release {release.version}"
    )
    forced = order.forced_loop is not None
    loop = Loop(
        use_case=order.use_case, cycle_id=child.cycle_id, contract_hash=contract.hash, as_of=child.as_of,
        run_id=order.run_id, edge=found.edge, reason=found.reason, text=found.text, step=found.step,
        parent_cycle_id=release.cycle_id, metric=metric.name, metric_before=before,
        evidence=(*_evidence(metric, judged), *found.evidence), by=order.by if forced else MACHINE,
        override=order.override and forced,
    )  # fmt: skip
    messages.save_loop(db, loop, now)
    return loop


def _evidence(metric: BusinessMetric, judged: Judgement) -> tuple[Evidence, ...]:
    level = Evidence(name=metric.name, value=judged.value, unit=metric.unit, note=judged.text)
    threshold = Evidence(name="threshold", value=metric.threshold, unit=metric.unit)
    if judged.observations is None:
        periods = Evidence(name="matured_periods", value=float(len(judged.by_period)), unit="periods")
        return level, threshold, periods
    fall = Evidence(name="evidence_of_fall", value=judged.evidence, unit="times as likely as without")
    return level, threshold, fall, Evidence(name="observations", value=float(judged.observations))
