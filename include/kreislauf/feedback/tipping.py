"""Whether a live metric has fallen since monitoring last said so: a cheap look, many times a minute, that writes nothing.

The schedule of the monitoring DAG is the guarantee; this look only makes it sooner.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, func, select

from include.kreislauf.feedback.monitor import Finding
from include.kreislauf.handovers import Stage, WorkOrder
from include.kreislauf.store import live
from include.kreislauf.store.database import Store
from include.kreislauf.store.monitoring_view import newest_verdicts
from include.kreislauf.store.schema import outcomes, reports

REFRESH = timedelta(minutes=1)
"""So often everything is judged, whether anything came or not: outcomes mature, other systems are asked."""

Judge = Callable[[WorkOrder], Iterable[Finding]]
Orders = Callable[[datetime], Sequence[WorkOrder]]


@dataclass(frozen=True)
class Tipped:
    """A metric of a live release that is a breach now, and was none when it was last judged."""

    use_case: str
    release: int
    metric: str
    text: str


class Watch:
    """Looks at a store again and again, and remembers how far it has looked.

    Parameters
    ----------
    orders: what a check of each live use case as of a time would be, see
        :func:`~include.kreislauf.feedback.monitor.due_orders`.
    judge: the verdicts of an order, see :func:`~include.kreislauf.feedback.monitor.judge_live`.
    """

    def __init__(self, store: Store, orders: Orders, judge: Judge) -> None:
        self._store, self._orders, self._judge = store, orders, judge
        self._known: Sequence[WorkOrder] = ()
        self._seen: _Marks | None = None
        self._live: tuple[live.Live, ...] = ()
        self._all_at: datetime | None = None

    def look(self, now: datetime) -> tuple[list[Tipped], list[str]]:
        """What has tipped by now, and a line for each use case that could not be judged.

        Nothing is judged while nothing has come, until :data:`REFRESH` is over. What has tipped is told by every look
        that judges, until a check has written it down.
        """
        with self._store.read() as db:
            marks = _marks(db)
        due = self._all_at is None or now - self._all_at >= REFRESH
        if marks == self._seen and not due:
            return [], []
        if due or marks.live != self._live:
            self._known, self._live = self._orders(now), marks.live
            self._all_at = now
        tipped: list[Tipped] = []
        faults: list[str] = []
        for order in self._known:
            try:
                tipped += self._look_at(order.model_copy(update={"as_of": now}))
            except Exception as error:  # noqa: BLE001 - told by the caller; the others are looked at all the same
                faults.append(f"{order.use_case}: {type(error).__name__}: {error}")
        # what waits for its check, or was dated after the time that was judged, is judged again
        self._seen = None if tipped or marks.after(now) else marks
        return tipped, faults

    def _look_at(self, order: WorkOrder) -> list[Tipped]:
        release = int(order.inputs[Stage.DEPLOYMENT])
        fallen = [one for one in self._judge(order) if one.judgement.verdict == "breach"]
        if not fallen:
            return []
        with self._store.read() as db:
            said = {row.metric: row.verdict for row in newest_verdicts(db, order.use_case, release)}
        return [
            Tipped(order.use_case, release, one.metric.name, one.judgement.text)
            for one in fallen
            if said.get(one.metric.name) != "breach"
        ]


@dataclass(frozen=True)
class _Marks:
    """How far the log goes, and what is live."""

    outcome: datetime | None
    report: datetime | None
    live: tuple[live.Live, ...]

    def after(self, now: datetime) -> bool:
        """Whether something is newer than a time."""
        return any(at is not None and at > now for at in (self.outcome, self.report))


def _marks(db: Connection) -> _Marks:
    outcome, report = (db.scalar(select(func.max(table.c.logged_at))) for table in (outcomes, reports))
    return _Marks(outcome, report, tuple(live.live_use_cases(db)))
