"""What a person sees of a use case at a glance: where the ring stands, what is live, the business metric, the cycles.

Read for the workflow page; every number of rows is bounded, however long the use case has been running.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from math import isfinite
from typing import Any

from sqlalchemy import Connection, Row, select
from sqlalchemy.exc import SQLAlchemyError

from include.kreislauf.errors import ContractError, StoreError
from include.kreislauf.feedback.documents import Attempts, documents_of, handed_over
from include.kreislauf.feedback.in_words import predicted
from include.kreislauf.feedback.loop_summary import loop_summary
from include.kreislauf.feedback.overview_models import (
    Change,
    CycleLine,
    Fired,
    LiveRelease,
    MetricHistory,
    Overview,
    Point,
    Promotion,
    SignOff,
    UseCase,
)
from include.kreislauf.feedback.standing import current_cycle, standing
from include.kreislauf.feedback.stranded import unreceived
from include.kreislauf.handovers import Edge
from include.kreislauf.requirements.contract import Contract
from include.kreislauf.requirements.loading import contract_path, load_all, load_contract
from include.kreislauf.settings import CANARY, Settings
from include.kreislauf.store import contracts, cycles, live, observations
from include.kreislauf.store.cycles import Cycle
from include.kreislauf.store.database import Store
from include.kreislauf.store.schema import contracts as contracts_table
from include.kreislauf.store.schema import loops, promotions, releases

MAX_CYCLES = 50
MAX_VERDICTS = 200
MAX_LOOPS = 500
MAX_PROMOTIONS = 50
GAIN = "_gain"
"""Ends the name of a manifest's number that says by how much a metric of the baseline is undercut."""
FIRED_CYCLES = 10
"""The loops of so many of the newest cycles are shown on the ring."""


def list_use_cases(store: Store, settings: Settings) -> list[UseCase]:
    """Every use case that has a folder or a past, by name, the broken ones among them.

    Raises
    ------
    StoreError: the store cannot be read; says what to do.
    """
    usable, broken = load_all(settings.use_cases)
    found = {name: UseCase(name=name, title=contract.title) for name, contract in usable.items()}
    found |= {one.name: UseCase(name=one.name, problem=one.error.text) for one in broken}
    with _reading(store) as db:
        known = set(db.scalars(select(contracts_table.c.use_case).distinct()))
    hidden = set() if settings.canary else {CANARY}
    for name in known - set(found) - hidden:
        found[name] = UseCase(name=name, problem=_read_contract(settings, name)[1])
    return [found[name] for name in sorted(found)]


def overview(store: Store, settings: Settings, name: str) -> Overview:
    """The overview of one use case.

    Raises
    ------
    ContractError: no use case has this name.
    StoreError: the store cannot be read; says what to do.
    """
    contract, problem = _read_contract(settings, name)
    with _reading(store) as db:
        signed = None if contract else contracts.signed_contract(db, name)
        shown = cycles.all_cycles(db, name, MAX_CYCLES)[::-1]
        if not (contract or signed or shown):
            contract_path(settings.use_cases, name)
        return _assemble(db, settings, name, contract or signed, problem, shown)


def _assemble(
    db: Connection, settings: Settings, name: str, known: Contract | None, problem: str, shown: list[Cycle]
) -> Overview:
    release = live.live_release(db, name)
    current = current_cycle(db, name, shown, release.cycle_id if release else None)
    ids = [cycle.cycle_id for cycle in shown] + ([current.cycle_id] if current else [])
    raised = _loops(db, name, ids)
    attempts = handed_over(db, name, [*ids, release.cycle_id] if release else ids)
    lines = {
        cycle_id: line.model_copy(update={"documents": documents_of(settings, name, cycle_id, attempts)})
        for cycle_id, line in _lines(db, name, shown + ([current] if current else []), raised).items()
    }
    changes = _promotions(db, name)
    return Overview(
        use_case=UseCase(name=name, title=known.title if known else "", problem=problem),
        purpose=known.purpose if known else "", owner=known.owner if known else "",
        predicted=predicted(known.problem) if known else None,
        sign_off=_sign_off(db, known) if known else None,
        current=lines[current.cycle_id] if current else None,
        standing=standing(db, current, raised), fired=_fired(raised, shown[:FIRED_CYCLES], current),
        fired_cycles=FIRED_CYCLES,
        loop_kinds=loop_summary(db, name), stranded=tuple(one.text for one in unreceived(db, name)),
        live=_live(settings, release, changes, attempts), promotions=tuple(_promotion(row) for row in changes),
        metrics=_metrics(db, name, known), cycles=tuple(lines[cycle.cycle_id] for cycle in shown),
    )  # fmt: skip


@contextmanager
def _reading(store: Store) -> Iterator[Connection]:
    """A read transaction on a store of the right schema; what the database says against it becomes a StoreError."""
    try:
        with store.require().read() as db:
            yield db
    except SQLAlchemyError as error:
        cause = getattr(error, "orig", None) or error
        raise StoreError(
            f"the workflow store cannot be read: {cause}", where=store.engine.url.render_as_string(),
            next_step="start the database, or correct KREISLAUF_STORE_URL",
        ) from error  # fmt: skip


def _read_contract(settings: Settings, name: str) -> tuple[Contract | None, str]:
    try:
        return load_contract(contract_path(settings.use_cases, name)), ""
    except ContractError as error:
        return None, error.text


def _sign_off(db: Connection, contract: Contract) -> SignOff:
    table = contracts_table.c
    query = select(table.decision, table.decided_by, table.decided_how)
    row = db.execute(query.where(table.use_case == contract.name, table.hash == contract.hash)).first()
    decision, by, how = (value or "" for value in row) if row else ("", "", "")
    return SignOff(contract=contract.hash, decision=decision, by=by, how=how)


def _loops(db: Connection, name: str, cycle_ids: list[str]) -> list[Row[Any]]:
    """Loops of some cycles, newest first."""
    query = select(loops).where(loops.c.use_case == name, loops.c.cycle_id.in_(cycle_ids))
    return list(db.execute(query.order_by(loops.c.created_at.desc()).limit(MAX_LOOPS)))


def _lines(db: Connection, name: str, shown: list[Cycle], raised: list[Row[Any]]) -> dict[str, CycleLine]:
    ids = [cycle.cycle_id for cycle in shown]
    query = select(releases.c.cycle_id, releases.c.version)
    made = db.execute(
        query.where(releases.c.use_case == name, releases.c.cycle_id.in_(ids)).order_by(releases.c.version)
    )
    versions = {row.cycle_id: row.version for row in made}
    opening = {row.cycle_id: row for row in raised if Edge(row.edge).opens_cycle}
    return {
        cycle.cycle_id: CycleLine(
            cycle_id=cycle.cycle_id, started_by=cycle.started_by, reason=cycle.reason, state=cycle.state,
            note=cycle.note or "", as_of=cycle.as_of, opened_at=cycle.opened_at, release=versions.get(cycle.cycle_id),
            change=_change(opening.get(cycle.cycle_id)),
        )
        for cycle in shown
    }  # fmt: skip


def _change(loop: Row[Any] | None) -> Change | None:
    if loop is None or loop.value_before is None:
        return None
    unit = (loop.body.get("metric_before") or {}).get("unit", "")
    return Change(
        metric=loop.body.get("metric", ""), unit=unit, before=_finite(loop.value_before), helped=loop.helped,
        after=_finite(loop.value_after), low=_finite(loop.after_low), high=_finite(loop.after_high),
        gain_low=_finite(loop.gain_low), gain_high=_finite(loop.gain_high),
    )  # fmt: skip


def _fired(raised: list[Row[Any]], newest: list[Cycle], current: Cycle | None) -> tuple[Fired, ...]:
    ids = {cycle.cycle_id for cycle in newest}
    own = current.cycle_id if current else None
    by_edge: dict[Edge, list[Row[Any]]] = {}
    for row in raised:
        if row.cycle_id in ids:
            by_edge.setdefault(Edge(row.edge), []).append(row)
    return tuple(
        Fired(
            edge=edge, raised_by=edge.raised_by, received_by=edge.received_by, times=len(rows),
            refused=sum(row.state == "refused" for row in rows), cycle_id=rows[0].cycle_id, reason=rows[0].reason,
            text=rows[0].body.get("text", ""), in_current=any(row.cycle_id == own for row in rows),
        )
        for edge, rows in by_edge.items()
    )  # fmt: skip


def _live(
    settings: Settings, release: live.ReleaseRow | None, changes: list[Row[Any]], attempts: Attempts
) -> LiveRelease | None:
    if release is None or not changes:
        return None
    metrics = release.manifest.get("metrics") or {}
    gained = next((name for name in metrics if name.endswith(GAIN)), "")
    last = changes[-1]
    return LiveRelease(
        version=release.version, cycle_id=release.cycle_id, since=last.as_of, promoted_at=last.at, reason=last.reason,
        family=str(release.manifest.get("family", "")), metric=gained.removesuffix(GAIN), gain=_finite(metrics.get(gained)),
        documents=documents_of(settings, release.use_case, release.cycle_id, attempts, until=release.attempt),
    )  # fmt: skip


def _promotions(db: Connection, name: str) -> list[Row[Any]]:
    query = select(promotions).where(promotions.c.use_case == name).order_by(promotions.c.revision.desc())
    return list(db.execute(query.limit(MAX_PROMOTIONS)))[::-1]


def _promotion(row: Row[Any]) -> Promotion:
    return Promotion(version=row.version, previous=row.previous, as_of=row.as_of, reason=row.reason)


def _metrics(db: Connection, name: str, contract: Contract | None) -> tuple[MetricHistory, ...]:
    """The contract's metrics in its order, then those that only the past knows."""
    points: dict[str, list[Point]] = {}
    for one in observations.verdicts_of(db, name, MAX_VERDICTS):
        point = Point(
            as_of=one.as_of, release=one.release, verdict=one.verdict, value=_finite(one.value), low=_finite(one.low),
            high=_finite(one.high), threshold=one.threshold, text=one.text,
        )  # fmt: skip
        points.setdefault(one.metric, []).append(point)
    declared = {metric.name: metric for metric in contract.business_metrics} if contract else {}
    return tuple(
        MetricHistory(
            name=metric, points=tuple(points.get(metric, ())),
            unit=declared[metric].unit if metric in declared else "",
            threshold=declared[metric].threshold if metric in declared else None,
            direction=declared[metric].direction if metric in declared else "",
        )
        for metric in dict.fromkeys([*declared, *points])
    )  # fmt: skip


def _finite(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and isfinite(value) else None
