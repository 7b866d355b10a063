"""Writes records of the prediction log: a few statements for a batch, whatever its size.

Speaks to the driver and not through SQLAlchemy's statements: those cost 30 us a row, these 5 us. Between two statements
a thread needs Python's lock, within one it does not: so there is one statement for many rows.

Everything here is idempotent: a record that is in the store already stays as it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from itertools import chain
from typing import Any, Literal

import msgspec
from sqlalchemy import Boolean, Connection, Float, Integer, Table, select

from include.kreislauf.requirements.contract import Reported
from include.kreislauf.store import contracts
from include.kreislauf.store.log_records import (
    LoggedOutcome,
    LoggedPrediction,
    LoggedReport,
    LoggedShadow,
    stamp,
)
from include.kreislauf.store.schema import (
    UtcDateTime,
    outcome_conflicts,
    outcomes,
    predictions,
    releases,
    reports,
    shadow_predictions,
)

OutcomeAnswer = Literal["stored", "duplicate", "conflict", "unknown", "accepted"]

LOG_LOCK = 0x6B726C67
"""Number of the advisory lock on PostgreSQL that writers of predictions share, and that a roll-up takes alone."""

_ROWS_OF_ONE_STATEMENT = (256, 128, 64, *range(32, 0, -1))
_encode = msgspec.json.Encoder().encode


class WrongMetricError(Exception):
    """A report is about a metric that is not a reported one of the signed contract; nothing was written.

    Parameters
    ----------
    allowed: the metrics that can be reported.
    """

    def __init__(self, allowed: Sequence[str]) -> None:
        self.allowed = tuple(allowed)
        super().__init__(f"not a reported metric of the signed contract; allowed: {', '.join(allowed)}")


def write_predictions(db: Connection, rows: Sequence[LoggedPrediction]) -> None:
    """Log predictions, and tell the roll-up of days that it had closed before they came."""
    if not rows:
        return
    if db.dialect.name == "postgresql":
        _run(db, f"SELECT pg_advisory_xact_lock_shared({LOG_LOCK})")
    _insert(db, predictions, rows, LoggedPrediction._fields)
    days = sorted({(row[1], row[7][:10]) for row in rows})
    for use_case, day in days:
        statement = "UPDATE log_days SET revision = revision + 1 WHERE use_case = ? AND day = ?"
        _run(db, statement.replace("?", _mark(db)), (use_case, day))


def write_shadows(db: Connection, rows: Sequence[LoggedShadow]) -> None:
    """Log what a release that is tried would have answered."""
    _insert(db, shadow_predictions, rows, LoggedShadow._fields)


def write_outcomes(db: Connection, rows: Sequence[LoggedOutcome]) -> list[OutcomeAnswer]:
    """Join outcomes to predictions of their use cases; the first outcome of a prediction stands."""
    use_cases = owners(db, {row.prediction_id for row in rows})
    first: dict[str, LoggedOutcome] = {}
    for row in rows:
        if use_cases.get(row.prediction_id) == row.use_case:
            first.setdefault(row.prediction_id, row)
    fields, at = (*LoggedOutcome._fields, "logged_at"), _logged_at(db, outcomes)
    values = [(*row, at) for row in first.values()]
    news = {one for (one,) in _insert(db, outcomes, values, fields, returning="prediction_id")}
    stored = {one: row.value for one, row in first.items() if one in news}
    stored |= _values(db, [one for one in first if one not in news])
    answers: list[OutcomeAnswer] = []
    for row in rows:
        if row.prediction_id not in first or use_cases[row.prediction_id] != row.use_case:
            answers.append("unknown")
        elif row.prediction_id in news and first[row.prediction_id] is row:
            answers.append("stored")
        else:
            answers.append("duplicate" if stored[row.prediction_id] == row.value else "conflict")
    _keep_conflicts(db, [row for row, answer in zip(rows, answers, strict=True) if answer == "conflict"], at)
    return answers


def _keep_conflicts(db: Connection, rows: Sequence[LoggedOutcome], at: str) -> None:
    values = [(row.prediction_id, row.value, row.observed_at, at, row.client) for row in rows]
    _insert(db, outcome_conflicts, values, ("prediction_id", "value", "observed_at", "logged_at", "client"))


def _logged_at(db: Connection, table: Table) -> str:
    """The wall clock, and never less than before: monitoring reads on from the greatest that it has seen."""
    now = stamp(datetime.now(UTC))
    ((last,),) = _run(db, f"SELECT max(logged_at) FROM {table.name}")  # noqa: S608
    return max(now, stamp(last) if isinstance(last, datetime) else last or now)


def write_reports(db: Connection, rows: Sequence[LoggedReport]) -> list[OutcomeAnswer]:
    """Log metrics of one use case that its users reported; the first report of an id stands.

    The same id about something else is a conflict: taken for a duplicate it would be lost without a word.

    Raises
    ------
    WrongMetricError: a metric is not a reported one of the signed contract; nothing was written.
    """
    if not rows:
        return []
    use_case = rows[0].use_case
    check_metrics(db, use_case, (row.metric for row in rows))
    known = set(db.scalars(select(releases.c.version).where(releases.c.use_case == use_case)))
    return [insert_report(db, row) if row.release in known else "unknown" for row in rows]


def check_metrics(db: Connection, use_case: str, metrics: Iterable[str]) -> None:
    """Refuse metrics that a use case's signed contract has no reports of.

    Raises
    ------
    WrongMetricError: there is one.
    """
    contract = contracts.signed_contract(db, use_case)
    found = contract.business_metrics if contract else ()
    names = [metric.name for metric in found if isinstance(metric, Reported)]
    if not set(metrics) <= set(names):
        raise WrongMetricError(names)


def insert_report(db: Connection, row: LoggedReport) -> OutcomeAnswer:
    """Log one report, whatever its contract and its release."""
    values, fields = (*row, _logged_at(db, reports)), (*LoggedReport._fields, "logged_at")
    if _insert(db, reports, [values], fields, returning="id"):
        return "stored"
    where = (reports.c.use_case == row.use_case, reports.c.id == row.id)
    known = db.execute(select(*reports.c["metric", "release", "value", "period"]).where(*where)).one()
    same = (known.metric, known.release, known.value, stamp(known.period)) == row[2:6]
    return "duplicate" if same else "conflict"


def owners(db: Connection, ids: set[str]) -> dict[str, str]:
    """Prediction id -> its use case; also of predictions whose raw row is in an archive."""
    found: dict[str, str] = {}
    for table in ("predictions", "log_newest"):
        if missing := ids - found.keys():
            query = f"SELECT id, use_case FROM {table} WHERE id {_among(db)}"  # noqa: S608
            found |= dict(_run(db, query, _list(db, missing)))
    return found


def _values(db: Connection, ids: Sequence[str]) -> dict[str, float]:
    if not ids:
        return {}
    query = f"SELECT prediction_id, value FROM outcomes WHERE prediction_id {_among(db)}"  # noqa: S608
    return dict(_run(db, query, _list(db, ids)))


def _insert(
    db: Connection, table: Table, rows: Sequence[Sequence[Any]], fields: tuple[str, ...], returning: str = ""
) -> list[tuple[Any, ...]]:
    """Insert what is not there yet; returns one column of the rows that were inserted, if asked for."""
    if not rows:
        return []
    if db.dialect.name == "postgresql":
        return _run(
            db, _postgresql(table, fields, returning), (_encode(rows).decode(),), fetch=bool(returning)
        )
    found = []
    for part in _parts(rows):
        values = list(chain.from_iterable(part))
        found += _run(db, _sqlite(table, fields, returning, len(part)), values, fetch=bool(returning))
    return found


def _parts(rows: Sequence[Any]) -> Iterator[Sequence[Any]]:
    """The rows in parts of few different sizes, so that their statements are prepared once."""
    start = 0
    for size in _ROWS_OF_ONE_STATEMENT:
        while len(rows) - start >= size:
            yield rows[start : start + size]
            start += size


@lru_cache(maxsize=128)
def _sqlite(table: Table, fields: tuple[str, ...], returning: str, rows: int) -> str:
    row = f"({', '.join('?' for _ in fields)})"
    return f"{_head(table, fields)} VALUES {', '.join([row] * rows)} {_tail(returning)}"


@lru_cache(maxsize=64)
def _postgresql(table: Table, fields: tuple[str, ...], returning: str) -> str:
    # One JSON text is bound ten times faster than a list per column.
    values = ", ".join(_cast(table.c[name].type, number) for number, name in enumerate(fields))
    source = "json_array_elements(%s::json) AS r"
    return f"{_head(table, fields)} SELECT {values} FROM {source} {_tail(returning)}"  # noqa: S608


def _cast(kind: Any, number: int) -> str:
    if isinstance(kind, UtcDateTime):
        return f"((r->>{number}) || '+00')::timestamptz"
    names = {Integer: "integer", Float: "double precision", Boolean: "boolean"}
    name = next((name for one, name in names.items() if isinstance(kind, one)), "")
    return f"(r->>{number})::{name}" if name else f"r->>{number}"


def _head(table: Table, fields: tuple[str, ...]) -> str:
    # quoted, because "release" is a keyword of SQLite's
    names = '", "'.join(fields)
    return f'INSERT INTO {table.name} ("{names}")'


def _tail(returning: str) -> str:
    return "ON CONFLICT DO NOTHING" + (f" RETURNING {returning}" if returning else "")


def _mark(db: Connection) -> str:
    return "%s" if db.dialect.name == "postgresql" else "?"


def _among(db: Connection) -> str:
    return "= ANY(%s)" if db.dialect.name == "postgresql" else "IN (SELECT value FROM json_each(?))"


def _list(db: Connection, ids: Iterable[str]) -> tuple[Any]:
    found = list(ids)
    return (found if db.dialect.name == "postgresql" else _encode(found).decode(),)


def _run(
    db: Connection, statement: str, values: Sequence[Any] = (), *, fetch: bool | None = None
) -> list[tuple[Any, ...]]:
    driver: Any = db.connection.driver_connection
    cursor = driver.execute(statement, values)
    if fetch or (fetch is None and cursor.description):
        rows: list[tuple[Any, ...]] = cursor.fetchall()
        return rows
    return []
