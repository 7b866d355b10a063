"""Outcomes and reports in the order in which they became known; reading on costs what is new, and not the history.

What came late is found by the time at which it was written down, and what was early by the time at which it matures.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple, Protocol

from sqlalchemy import ColumnElement, Connection, Row, Select, func, select

from include.kreislauf.store.schema import log_newest, outcome_conflicts, outcomes, predictions, reports

FIRST = datetime(1, 1, 2, tzinfo=UTC)
IDS_OF_ONE_STATEMENT = 5_000


class Arrival(NamedTuple):
    """One outcome or report.

    Parameters
    ----------
    predicted: what the release had said, if it said anything, and the thing has a prediction.
    due: when it counts at the earliest: it was observed, and its prediction is mature.
    dated: until then only this record leads to it; afterwards the maturity of its prediction does, too.
    logged_at: when it was written down; ``None``: by a version that did not note it.
    client: id of the API key that sent it; ``None``: there was none.
    """

    id: str
    value: float
    predicted: float | None
    due: datetime
    dated: datetime
    logged_at: datetime | None
    client: str | None


class Arrivals(Protocol):
    """Where a metric's observations come from."""

    def newest(self, db: Connection) -> datetime | None:
        """When the latest of the use case was written down, whichever release it is about."""

    def all_of(self, db: Connection) -> list[Arrival]:
        """Everything, in any order."""

    def logged_after(self, db: Connection, at: datetime) -> list[Arrival]:
        """What was written down after a time."""

    def maturing(self, db: Connection, since: datetime, until: datetime) -> list[Arrival]:
        """What may be due in ``(since, until]`` by the maturity of its prediction."""

    def of_ids(self, db: Connection, ids: Sequence[str]) -> list[Arrival]:
        """These."""


@dataclass(frozen=True)
class OutcomesOf:
    """Outcomes of a release's predictions.

    Parameters
    ----------
    arms: only what was answered on them counts.
    maturity: time after a prediction before its outcome counts.
    since: predictions before it take no part.
    """

    use_case: str
    release: int
    arms: tuple[str, ...]
    maturity: timedelta
    since: datetime = FIRST

    def newest(self, db: Connection) -> datetime | None:
        """See :class:`Arrivals`."""
        newest = select(func.max(outcomes.c.logged_at)).where(self._sent)
        found: datetime | None = db.scalar(newest)
        return found

    @property
    def _sent(self) -> ColumnElement[bool]:
        return outcomes.c.use_case == self.use_case

    def all_of(self, db: Connection) -> list[Arrival]:
        """See :class:`Arrivals`; costs what the release has predicted, or the use case's outcomes if those are fewer."""
        found = {one.id: one for one in self._joined(db, log_newest, *self._own(log_newest))}
        found |= {one.id: one for one in self._of_predictions(db)}
        return list(found.values())

    def _own(self, table: Any) -> tuple[Any, Any]:
        return table.c.use_case == self.use_case, table.c.release == self.release

    def _of_predictions(self, db: Connection) -> Iterator[Arrival]:
        number = db.scalar(select(func.count()).select_from(outcomes).where(self._sent))
        more = select(predictions.c.release).where(*self._own(predictions)).offset(number).limit(1)
        if db.scalar(more) is None:
            return self._joined(db, predictions, *self._own(predictions))
        joined = outcomes.outerjoin(predictions, outcomes.c.prediction_id == predictions.c.id)
        query = select(*_OUTCOME, *predictions.c[_PREDICTION]).select_from(joined)
        # an outer join, and no index on what is compared: so SQLite begins with the outcomes
        own = func.coalesce(predictions.c.release, 0) == self.release
        return self._arrivals(db, query.where(self._sent, own))

    def logged_after(self, db: Connection, at: datetime) -> list[Arrival]:
        """See :class:`Arrivals`."""
        query = select(*_OUTCOME).where(self._sent, outcomes.c.logged_at > at)
        return self._predicted(db, db.execute(query).all())

    def maturing(self, db: Connection, since: datetime, until: datetime) -> list[Arrival]:
        """See :class:`Arrivals`; of predictions that are still in the store."""
        if self.maturity == timedelta():  # then it is due when it is observed
            return []
        as_of = predictions.c.as_of
        period = (as_of > _earlier(since, self.maturity), as_of <= _earlier(until, self.maturity))
        # release and arm are compared in _arrival: with them in the statement, SQLite reads all of the release
        return list(self._joined(db, predictions, predictions.c.use_case == self.use_case, *period))

    def of_ids(self, db: Connection, ids: Sequence[str]) -> list[Arrival]:
        """See :class:`Arrivals`."""
        found = [
            row
            for some in _batches(ids)
            for row in db.execute(select(*_OUTCOME).where(outcomes.c.prediction_id.in_(some)))
        ]
        return self._predicted(db, found)

    def _joined(self, db: Connection, table: Any, *where: Any) -> Iterator[Arrival]:
        joined = table.join(outcomes, outcomes.c.prediction_id == table.c.id)
        return self._arrivals(db, select(*_OUTCOME, *table.c[_PREDICTION]).select_from(joined).where(*where))

    def _arrivals(self, db: Connection, query: Select[Any]) -> Iterator[Arrival]:
        return (one for row in db.execute(query) if (one := self._arrival(row, row)))

    def _predicted(self, db: Connection, found: Sequence[Row[Any]]) -> list[Arrival]:
        """Outcomes with their predictions; the raw row of one may be in an archive."""
        missing = {row.prediction_id: row for row in found}
        arrivals: list[Arrival | None] = []
        for table in (predictions, log_newest):
            rows = list(_rows(db, table, missing))
            arrivals += [self._arrival(missing.pop(row.id), row) for row in rows]
        return [one for one in arrivals if one]

    def _arrival(self, outcome: Row[Any], row: Row[Any]) -> Arrival | None:
        if row.use_case != self.use_case or row.arm not in self.arms or row.as_of < self.since:
            return None
        if row.release != self.release:
            return None
        due = max(row.as_of + self.maturity, outcome.observed_at)
        dated = outcome.observed_at if self.maturity else due
        return Arrival(row.id, outcome.outcome, row.value, due, dated, outcome.logged_at, outcome.client)


@dataclass(frozen=True)
class ReportsOf:
    """Reports of a metric about a release."""

    use_case: str
    metric: str
    release: int

    def newest(self, db: Connection) -> datetime | None:
        """See :class:`Arrivals`."""
        newest = select(func.max(reports.c.logged_at)).where(reports.c.use_case == self.use_case)
        found: datetime | None = db.scalar(newest)
        return found

    def all_of(self, db: Connection) -> list[Arrival]:
        """See :class:`Arrivals`."""
        return self._where(db)

    def logged_after(self, db: Connection, at: datetime) -> list[Arrival]:
        """See :class:`Arrivals`."""
        return self._where(db, reports.c.logged_at > at)

    def maturing(self, db: Connection, since: datetime, until: datetime) -> list[Arrival]:  # noqa: ARG002
        """None: a report is mature when it is observed."""
        return []

    def of_ids(self, db: Connection, ids: Sequence[str]) -> list[Arrival]:
        """See :class:`Arrivals`."""
        return [one for some in _batches(ids) for one in self._where(db, reports.c.id.in_(some))]

    def _where(self, db: Connection, *where: Any) -> list[Arrival]:
        own = (reports.c.use_case == self.use_case, reports.c.metric == self.metric)
        query = select(reports).where(*own, reports.c.release == self.release, *where)
        return [
            Arrival(row.id, row.value, None, row.observed_at, row.observed_at, row.logged_at, row.client)
            for row in db.execute(query)
        ]


def contradicted(db: Connection, ids: Iterable[str], until: datetime) -> int:
    """How many of these predictions have an outcome that another one contradicted by a time."""
    where = (outcome_conflicts.c.prediction_id.in_(list(ids)), outcome_conflicts.c.observed_at <= until)
    return db.scalar(select(func.count()).select_from(outcome_conflicts).where(*where)) or 0


_OUTCOME = (
    outcomes.c.prediction_id,
    outcomes.c.value.label("outcome"),
    *outcomes.c["observed_at", "logged_at", "client"],
)
_PREDICTION = ("id", "use_case", "release", "arm", "value", "as_of")


def _rows(db: Connection, table: Any, ids: Iterable[str]) -> Iterator[Row[Any]]:
    columns = table.c[_PREDICTION]
    for some in _batches(list(ids)):
        yield from db.execute(select(*columns).where(table.c.id.in_(some)))


def _batches(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(ids), IDS_OF_ONE_STATEMENT):
        yield ids[start : start + IDS_OF_ONE_STATEMENT]


def _earlier(moment: datetime, by: timedelta) -> datetime:
    return moment - by if moment - FIRST > by else FIRST
