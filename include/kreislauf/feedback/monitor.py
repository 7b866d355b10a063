"""A monitoring pass over one use case: verdicts, the ledger's closing, and at most one loop."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sqlalchemy import Connection

from include.kreislauf.errors import KreislaufError
from include.kreislauf.feedback.ledger import close_ripe_loops
from include.kreislauf.feedback.looking import Seen, look
from include.kreislauf.feedback.raising import raise_forced, raise_loop
from include.kreislauf.feedback.work import contract_of, give_up_stale
from include.kreislauf.handovers import Loop, Stage, WorkOrder
from include.kreislauf.monitoring.judging import Judged, Pass, judge
from include.kreislauf.monitoring.queries import Observe, observer
from include.kreislauf.monitoring.verdicts import Judgement
from include.kreislauf.requirements.contract import BusinessMetric, Contract
from include.kreislauf.requirements.loading import contract_files, folder_of
from include.kreislauf.settings import Settings
from include.kreislauf.store import contracts, cycles, live, monitor_states, observations, signals
from include.kreislauf.store.cycles import State
from include.kreislauf.store.database import Store
from include.kreislauf.store.live import ReleaseRow
from include.kreislauf.store.monitor_states import MovedOnError

ATTEMPTS = 3
"""So often a pass judges anew because another one, at the same time, was faster."""


@dataclass(frozen=True)
class Finding:
    """One metric with its judgement."""

    metric: BusinessMetric
    judgement: Judgement


def due_orders(store: Store, use_cases: Path, run_id: str, now: datetime) -> list[WorkOrder]:
    """One order per use case with a live release, a folder and a signed contract: a pass that the clock started.

    Judged is by what was signed: a file that is broken now stops no check, and none is read.
    """
    there = {path.parent.name for path in contract_files(use_cases)}
    with store.read() as db:
        found = [
            (live.find_release(db, one.use_case, one.version), one.use_case)
            for one in live.live_use_cases(db)
        ]
        signed = contracts.signed_hashes(db)
    return [
        WorkOrder(
            use_case=name, cycle_id=release.cycle_id, contract_hash=signed[name], as_of=now, run_id=run_id,
            started_by="schedule", reason="a check is due", inputs={Stage.DEPLOYMENT: str(release.version)},
        )
        for release, name in found
        if release and name in there and name in signed
    ]  # fmt: skip


def check_all(
    orders: Iterable[WorkOrder], *, store: Store, now: datetime, settings: Settings | None = None,
    observe: Observe | None = None,
) -> tuple[list[Loop], list[str]]:  # fmt: skip
    """Check several use cases; a fault in one does not keep the others from being judged.

    Parameters
    ----------
    settings, observe: see :func:`check`.

    Returns
    -------
    The loops to raise, and a line for each use case that could not be judged.
    """
    loops, faults = [], []
    for order in orders:
        try:
            if loop := check(order, store=store, now=now, settings=settings, observe=observe):
                loops.append(loop)
        except Exception as error:  # noqa: BLE001 - told by the caller, who must still emit the others' loops
            faults.append(f"{order.use_case}: {type(error).__name__}: {error}")
    return loops, faults


def judge_live(
    order: WorkOrder, store: Store, observe: Observe | None = None, use_cases: Path | None = None
) -> list[Finding]:
    """The live release's verdicts as of the order's time; nothing is recorded, and no loop is raised.

    Parameters
    ----------
    observe: see :func:`check`.
    use_cases: where the use cases' own metrics are; without, those are inconclusive.

    Raises
    ------
    KreislaufError: see :func:`what_is_live`.
    """
    with store.read() as db:
        return judge_release(db, order, *what_is_live(db, order.use_case), observe, use_cases)


def judge_release(
    db: Connection, order: WorkOrder, release: ReleaseRow, contract: Contract, observe: Observe | None,
    use_cases: Path | None = None,
) -> list[Finding]:  # fmt: skip
    """A release's verdicts as of the order's time, by a contract; reads only. See :func:`judge_live`."""
    judged = _judge(db, order, contract, release, observe, use_cases)
    return _findings(contract, judged)


def what_is_live(db: Connection, use_case: str) -> tuple[ReleaseRow, Contract]:
    """The live release, and the contract that was signed last.

    Raises
    ------
    KreislaufError: nothing is live, or no contract is signed; says which of them.
    """
    release = live.live_release(db, use_case)
    if release is None:
        raise KreislaufError(
            "nothing is live", where=use_case, next_step="let the ring run, or trigger the requirements DAG"
        )
    contract = contracts.signed_contract(db, use_case)
    if contract is None:
        raise KreislaufError(
            f"release {release.version} is live, but no contract is signed", where=use_case,
            next_step="sign one: trigger the requirements DAG",
        )  # fmt: skip
    return release, contract


def check(
    order: WorkOrder, *, store: Store, now: datetime, settings: Settings | None = None,
    observe: Observe | None = None,
) -> Loop | None:  # fmt: skip
    """Judge the live release as of the order's time; returns the loop to raise, if any.

    Parameters
    ----------
    settings: where the release's files and the use case's own metrics are; without, no features are compared, no
        challenger is fitted, and own metrics are inconclusive.
    observe: how other systems are asked for metrics; without, by the connections that the settings' environment names.
    """
    if observe is None and settings is not None:
        observe = observer(settings)
    contract = contract_of(store, order)
    with store.read() as db:
        seen = look(db, order, contract, settings, now)
    if seen is None:
        return None
    use_cases = settings.use_cases if settings else None
    findings = _judge_all(store, order, contract, seen, observe, use_cases, now)
    if order.forced_loop:
        first = findings[0]
        return raise_forced(store, order, contract, seen, first.metric, first.judgement, now)
    fallen = next((one for one in findings if one.judgement.verdict == "breach"), None)
    suspect = fallen or (findings[0] if contract.monitoring.retrain_on_warning else None)
    if suspect is None:
        return None
    return raise_loop(store, order, contract, seen, suspect.metric, suspect.judgement, now)


def _judge_all(
    store: Store, order: WorkOrder, contract: Contract, seen: Seen, observe: Observe | None,
    use_cases: Path | None, now: datetime,
) -> list[Finding]:  # fmt: skip
    """Every metric judged, and all that follows from it but a loop written down in one transaction.

    Judged is outside of it: many observations, or another system's answer, must not keep others from writing.
    """
    for attempt in range(ATTEMPTS):
        with store.read() as db:
            judged = _judge(db, order, contract, seen.release, observe, use_cases)
        findings = _findings(contract, judged)
        try:
            with store.write() as db:
                _write_down(db, order, contract, seen, findings, judged, now)
        except MovedOnError:
            if attempt == ATTEMPTS - 1:
                raise
        else:
            break
    return findings


def _judge(
    db: Connection, order: WorkOrder, contract: Contract, release: ReleaseRow, observe: Observe | None,
    use_cases: Path | None,
) -> list[Judged]:  # fmt: skip
    changes = live.promotions_of(db, order.use_case)
    since = next((one.as_of for one in changes if one.version == release.version), release.as_of)
    look_at = Pass(
        order.use_case, release.version, since, order.as_of, contract.problem, contract.monitoring, observe,
        before=live.version_before(changes), folder=folder_of(use_cases, contract.name) if use_cases else None,
    )  # fmt: skip
    return [judge(db, metric, look_at) for metric in contract.business_metrics]


def _findings(contract: Contract, judged: list[Judged]) -> list[Finding]:
    found = zip(contract.business_metrics, judged, strict=True)
    return [Finding(metric, one.judgement) for metric, one in found]


def _write_down(
    db: Connection, order: WorkOrder, contract: Contract, seen: Seen, findings: list[Finding],
    judged: list[Judged], now: datetime,
) -> None:  # fmt: skip
    release = seen.release
    for one in judged:
        for memory, before in one.memories:
            monitor_states.save(db, memory, before)
    observations.save_verdicts(db, [_verdict(one, order, release) for one in findings], now)
    signals.save_signals(db, order.use_case, release.version, order.as_of, seen.signals, now)
    close_ripe_loops(db, contract, findings[0].metric.name, order.as_of)
    _mark_live(db, order, release, now)
    give_up_stale(db, order.use_case, contract.governor.cycle_timeout_hours, now)


def _verdict(finding: Finding, order: WorkOrder, release: ReleaseRow) -> observations.Verdict:
    judged = finding.judgement
    count = len(judged.by_period) if judged.observations is None else judged.observations
    return observations.Verdict(
        use_case=order.use_case, metric=finding.metric.name, release=release.version, as_of=order.as_of,
        cycle_id=release.cycle_id, verdict=judged.verdict, value=judged.value, low=judged.low, high=judged.high,
        threshold=finding.metric.threshold, periods=count, text=judged.text, evidence=judged.evidence,
    )  # fmt: skip


def _mark_live(db: Connection, order: WorkOrder, release: ReleaseRow, now: datetime) -> None:
    """The cycle of the live release has reached its end; unless it was taken up again since, and works on."""
    cycle = cycles.find(db, release.use_case, release.cycle_id)
    if cycle is None or cycle.state not in (State.ACTIVE, State.FAILED):
        return
    handed_over = order.started_by == f"handover/{Stage.DEPLOYMENT}"
    if handed_over or live.promotions_of(db, release.use_case)[-1].at >= cycle.changed_at:
        cycles.set_state(db, cycle, State.LIVE, now, f"release {release.version}")
