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
from include.kreislauf.feedback.looking import Seen, look
from include.kreislauf.feedback.raising import raise_forced, raise_loop
from include.kreislauf.feedback.work import contract_of, give_up_stale
from include.kreislauf.handovers import Loop, Stage, WorkOrder
from include.kreislauf.monitoring.verdicts import Judgement, judge_reported, judge_uplift
from include.kreislauf.requirements.contract import BusinessMetric, Contract, PortfolioUplift
from include.kreislauf.requirements.loading import load_all
from include.kreislauf.settings import Settings
from include.kreislauf.store import contracts, cycles, live, observations, signals
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


def check_all(
    orders: Iterable[WorkOrder], *, store: Store, now: datetime, settings: Settings | None = None
) -> tuple[list[Loop], list[str]]:
    """Check several use cases; a fault in one does not keep the others from being judged.

    Returns
    -------
    The loops to raise, and a line for each use case that could not be judged.
    """
    loops, faults = [], []
    for order in orders:
        try:
            if loop := check(order, store=store, now=now, settings=settings):
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


def check(order: WorkOrder, *, store: Store, now: datetime, settings: Settings | None = None) -> Loop | None:
    """Judge the live release as of the order's time; returns the loop to raise, if any.

    Parameters
    ----------
    settings: where the release's files are; without, no features are compared and no challenger is fitted.
    """
    contract = contract_of(store, order)
    with store.read() as db:
        seen = look(db, order, contract, settings, now)
    if seen is None:
        return None
    findings = _judge_all(store, order, contract, seen, now)
    if order.forced_loop:
        first = findings[0]
        return raise_forced(store, order, contract, seen, first.metric, first.judgement, now)
    fallen = next((one for one in findings if one.judgement.verdict == "breach"), None)
    suspect = fallen or (findings[0] if contract.monitoring.retrain_on_warning else None)
    if suspect is None:
        return None
    return raise_loop(store, order, contract, seen, suspect.metric, suspect.judgement, now)


def _judge_all(
    store: Store, order: WorkOrder, contract: Contract, seen: Seen, now: datetime
) -> list[Finding]:
    """Every metric judged, and all that follows from it but a loop, in one transaction."""
    release = seen.release
    with store.write() as db:
        rows = observations.observed(db, order.use_case, order.as_of, release=release.version)
        findings = [_judge(db, metric, release, rows, order) for metric in contract.business_metrics]
        observations.save_verdicts(db, [_verdict(one, order, release) for one in findings], now)
        signals.save_signals(db, order.use_case, release.version, order.as_of, seen.signals, now)
        close_ripe_loops(db, contract, findings[0].metric.name, order.as_of)
        _mark_live(db, order, release, now)
        give_up_stale(db, order.use_case, contract.governor.cycle_timeout_hours, now)
    return findings


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
