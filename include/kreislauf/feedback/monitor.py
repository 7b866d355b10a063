"""A monitoring pass over one use case: verdicts, the ledger's closing, and at most one loop."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from include.kreislauf.errors import KreislaufError
from include.kreislauf.feedback.ledger import close_ripe_loops
from include.kreislauf.feedback.past_loops import why_ask
from include.kreislauf.feedback.work import contract_of, give_up_stale
from include.kreislauf.handovers import MACHINE, Edge, Evidence, Loop, Reason, Stage, WorkOrder
from include.kreislauf.monitoring.verdicts import Judgement, judge_reported, judge_uplift, novelty
from include.kreislauf.requirements.contract import BusinessMetric, Contract, PortfolioUplift
from include.kreislauf.requirements.loading import load_all
from include.kreislauf.store import contracts, cycles, live, messages, observations
from include.kreislauf.store.cycles import State
from include.kreislauf.store.database import Store
from include.kreislauf.store.live import ReleaseRow


@dataclass(frozen=True)
class Finding:
    """One metric with its judgement."""

    metric: BusinessMetric
    judgement: Judgement


def due_orders(store: Store, use_cases: Path, run_id: str, now: datetime) -> list[WorkOrder]:
    """One order per use case with a live release and a usable contract: a pass that the clock started."""
    known, _ = load_all(use_cases)
    with store.read() as db:
        found = [
            (live.find_release(db, one.use_case, one.version), one.use_case)
            for one in live.live_use_cases(db)
        ]
        signed = {name: contracts.signed_contract(db, name) for name in known}
    return [
        WorkOrder(
            use_case=name, cycle_id=release.cycle_id, contract_hash=contract.hash, as_of=now, run_id=run_id,
            started_by="schedule", reason="a check is due", inputs={Stage.DEPLOYMENT: str(release.version)},
        )
        for release, name in found
        if release and (contract := signed.get(name))
    ]  # fmt: skip


def check_all(orders: Iterable[WorkOrder], *, store: Store, now: datetime) -> tuple[list[Loop], list[str]]:
    """Check several use cases; a fault in one does not keep the others from being judged.

    Returns
    -------
    The loops to raise, and a line for each use case that could not be judged.
    """
    loops, faults = [], []
    for order in orders:
        try:
            if loop := check(order, store=store, now=now):
                loops.append(loop)
        except Exception as error:  # noqa: BLE001 - told by the caller, who must still emit the others' loops
            faults.append(f"{order.use_case}: {type(error).__name__}: {error}")
    return loops, faults


def judge_live(order: WorkOrder, store: Store) -> list[Finding]:
    """The live release's verdicts as of the order's time; nothing is recorded, and no loop is raised.

    Raises
    ------
    KreislaufError: nothing is live, or its contract is not signed.
    """
    with store.read() as db:
        pointer = live.live(db, order.use_case)
        release = live.find_release(db, order.use_case, pointer.version) if pointer else None
        contract = contracts.signed_contract(db, order.use_case)
        if release is None or contract is None:
            raise KreislaufError(
                "nothing is live",
                where=order.use_case,
                next_step="let the ring run, or trigger the requirements DAG",
            )
        rows = observations.observed(db, order.use_case, order.as_of, release=release.version)
        return [_judge(db, one, release, rows, order) for one in contract.business_metrics]


def check(order: WorkOrder, *, store: Store, now: datetime) -> Loop | None:
    """Judge the live release as of the order's time; returns the loop to raise, if any."""
    contract = contract_of(store, order)
    with store.write() as db:
        pointer = live.live(db, order.use_case)
        release = live.find_release(db, order.use_case, pointer.version) if pointer else None
        if release is None:
            return None
        rows = observations.observed(db, order.use_case, order.as_of, release=release.version)
        findings = [_judge(db, metric, release, rows, order) for metric in contract.business_metrics]
        observations.save_verdicts(db, [_verdict(one, order, release) for one in findings], now)
        close_ripe_loops(db, contract, findings[0].metric.name, order.as_of)
        _mark_live(db, order, release, now)
        give_up_stale(db, order.use_case, contract.governor.cycle_timeout_hours, now)
        if order.forced_loop:
            return _raise(db, order, contract, release, findings[0], rows, now, forced=order.forced_loop)
        fallen = next((one for one in findings if one.judgement.verdict == "breach"), None)
        return _raise(db, order, contract, release, fallen, rows, now) if fallen else None


def _judge(
    db: Connection, metric: BusinessMetric, release: ReleaseRow, rows: list[Any], order: WorkOrder
) -> Finding:
    if isinstance(metric, PortfolioUplift):
        return Finding(metric, judge_uplift(metric, rows))
    reported = observations.reported(db, order.use_case, metric.name, order.as_of)
    return Finding(
        metric, judge_reported(metric, [row for row in reported if row.release == release.version])
    )


def _verdict(finding: Finding, order: WorkOrder, release: ReleaseRow) -> observations.Verdict:
    judged = finding.judgement
    return observations.Verdict(
        use_case=order.use_case, metric=finding.metric.name, release=release.version, as_of=order.as_of,
        cycle_id=release.cycle_id, verdict=judged.verdict, value=judged.value, low=judged.low, high=judged.high,
        threshold=finding.metric.threshold, periods=len(judged.by_period), text=judged.text,
    )  # fmt: skip


def _mark_live(db: Connection, order: WorkOrder, release: ReleaseRow, now: datetime) -> None:
    """The cycle of the live release has reached its end; unless it was taken up again since, and works on."""
    cycle = cycles.find(db, release.use_case, release.cycle_id)
    if cycle is None or cycle.state not in (State.ACTIVE, State.FAILED):
        return
    handed_over = order.started_by == f"handover/{Stage.DEPLOYMENT}"
    if handed_over or live.promotions_of(db, release.use_case)[-1].at >= cycle.changed_at:
        cycles.set_state(db, cycle, State.LIVE, now, f"release {release.version}")


def _raise(
    db: Connection, order: WorkOrder, contract: Contract, release: ReleaseRow, finding: Finding, rows: list[Any],
    now: datetime, *, forced: Edge | None = None,
) -> Loop | None:  # fmt: skip
    """Open the cycle that the loop proposes, and write the loop down; nothing while another cycle is at work."""
    busy = cycles.in_state(db, order.use_case, State.ACTIVE, State.WAITING)
    if busy and not forced:
        return None
    better = None if forced else _better_before(db, order, finding)
    edge, reason, text = _diagnose(db, order, contract, finding, forced, better)
    newest = max(finding.judgement.by_period, default=release.as_of)
    origin = (
        f"monitoring/{order.run_id}"
        if forced
        else f"monitoring/{release.version}/{finding.metric.name}/{newest:%Y-%m-%d}"
    )
    child = cycles.open_cycle(
        db, order.use_case, origin=origin, started_by=f"loop/{edge}", reason=text, as_of=order.as_of, now=now,
        parent_cycle_id=release.cycle_id,
    )  # fmt: skip
    before = Evidence(
        name=finding.metric.name,
        value=finding.judgement.value,
        unit=finding.metric.unit,
        note=f"release {release.version}",
    )
    loop = Loop(
        use_case=order.use_case, cycle_id=child.cycle_id, contract_hash=contract.hash, as_of=child.as_of,
        run_id=order.run_id, edge=edge, reason=reason, text=text, parent_cycle_id=release.cycle_id,
        metric=finding.metric.name, metric_before=before, evidence=(*_evidence(finding, rows), *_as_evidence(finding, better)),
        by=order.by if forced else MACHINE, override=order.override and forced is not None,
    )  # fmt: skip
    known = messages.find_loop(db, loop.id)
    if known is None:
        messages.save_loop(db, loop, now)
        return loop
    return known.loop if known.state == "raised" else None


def _diagnose(
    db: Connection,
    order: WorkOrder,
    contract: Contract,
    finding: Finding,
    forced: Edge | None,
    better: observations.Verdict | None,
) -> tuple[Edge, Reason, str]:
    """Where the work goes: back to a release that was better, to a person when loops did not help, else to new data."""
    if forced:
        return forced, Reason.RETRIGGERED, f"{order.by}: {order.reason}"
    text = f"{finding.metric.name}: {finding.judgement.text}"
    if better:
        before = f"release {better.release} was healthy with {better.value:.4g}"
        return Edge.MONITORING_TO_MLOPS, Reason.WORSE_THAN_BEFORE, f"{text}; {before}"
    if ask := why_ask(db, order.use_case, contract.governor, order.as_of):
        return Edge.MONITORING_TO_REQUIREMENTS, ask[0], f"{ask[1]}; {text}"
    return Edge.MONITORING_TO_DATA_ENGINEERING, Reason.BUSINESS_METRIC_FELL, text


def _better_before(db: Connection, order: WorkOrder, finding: Finding) -> observations.Verdict | None:
    """The last verdict on the release that a rollback would go back to, if it was healthy and better than the live one.

    Of every business metric more is better: a breach is a mean below the threshold.
    """
    version, now = live.version_before(live.promotions_of(db, order.use_case)), finding.judgement.value
    found = [
        one for one in observations.verdicts_of(db, order.use_case)
        if (one.release, one.metric) == (version, finding.metric.name) and one.as_of <= order.as_of
    ]  # fmt: skip
    last = found[-1] if found else None
    if last is None or last.verdict != "healthy" or last.value is None or now is None:
        return None
    return last if last.value > now else None


def _as_evidence(finding: Finding, better: observations.Verdict | None) -> tuple[Evidence, ...]:
    if better is None:
        return ()
    name, unit = f"{better.metric}_before", finding.metric.unit
    return (Evidence(name=name, value=better.value, unit=unit, note=f"release {better.release}"),)


def _evidence(finding: Finding, rows: list[Any]) -> tuple[Evidence, ...]:
    metric, judged = finding.metric, finding.judgement
    return (
        Evidence(name=metric.name, value=judged.value, unit=metric.unit, note=judged.text),
        Evidence(name="threshold", value=metric.threshold, unit=metric.unit),
        Evidence(name="matured_periods", value=float(len(judged.by_period)), unit="periods"),
        Evidence(name="novelty", value=novelty(rows), unit="share of requested entities"),
    )
