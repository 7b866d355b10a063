"""Live metrics from a real database and a real Prometheus server: each observation once, or an error that says why."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import create_engine, text

from include.kreislauf.errors import QueryError
from include.kreislauf.monitoring.judging import Pass, judge
from include.kreislauf.monitoring.promql import SETTLE
from include.kreislauf.monitoring.queries import Observe, observer
from include.kreislauf.monitoring.verdicts import Judgement
from include.kreislauf.requirements.monitoring import Monitoring, Queried
from include.kreislauf.settings import Settings
from include.kreislauf.store.database import Store
from tests.conftest import BOTH
from tests.support.problems import NUMBERS
from tests.support.prometheus import running_prometheus

BEGIN = datetime(2026, 3, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
TABLE = """
CREATE TABLE orders (at TIMESTAMP {zone}, kept NUMERIC(6, 3));
INSERT INTO orders VALUES ('2026-03-01 00:00:00{utc}', 1);
INSERT INTO orders VALUES ('2026-03-01 01:00:00{utc}', 0.25);
INSERT INTO orders VALUES ('2026-03-01 02:00:00{utc}', NULL);
INSERT INTO orders VALUES ('2026-03-01 03:00:00{utc}', 0)
"""
SQL = "SELECT at AS observed_at, kept AS value FROM orders"


def metric(engine: str, query: str, **source: Any) -> Queried:
    return Queried.model_validate({
        "kind": "query", "name": "kept", "threshold": 0.5, "test": {"bounds": [0, 1], "reference": 0.8},
        "source": {"engine": engine, "connection": "plant", "query": query, **source},
    })  # fmt: skip


def asking(address: str, **options: Any) -> Observe:
    return observer(Settings(), {"plant": address}.get, **options)


@pytest.fixture(params=BOTH)
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A database with four orders."""
    if request.param == "postgres":
        with request.getfixturevalue("postgres").database(migrated=False) as url:
            fill(url, zone="WITH TIME ZONE", utc="+00")
            yield url
    else:
        url = f"sqlite:///{tmp_path / 'orders.db'}"
        fill(url, zone="", utc="")
        yield url


def fill(url: str, **words: str) -> None:
    engine = create_engine(url)
    with engine.begin() as db:
        for statement in TABLE.format(**words).split(";"):
            db.execute(text(statement))
    engine.dispose()


@pytest.mark.parametrize("where", ["", " WHERE at > :since AND at <= :until"])
def test_rows_are_observations_each_once(database: str, where: str) -> None:
    ask, kept = asking(database), metric("sql", SQL + where)
    whole = ask(kept, BEGIN - HOUR, BEGIN + 3 * HOUR)
    assert whole == [(BEGIN, 1.0), (BEGIN + HOUR, 0.25), (BEGIN + 3 * HOUR, 0.0)]
    parts = [ask(kept, BEGIN + n * HOUR, BEGIN + (n + 1) * HOUR) for n in range(-1, 3)]
    assert [one for part in parts for one in part] == whole


@pytest.mark.parametrize(("query", "said"), [
    ("SELECT at, kept FROM orders", "gives no column observed_at and no value; it gives at, kept"),
    ("SELECT 'soon' AS observed_at, 1 AS value", "observed_at is 'soon'"),
    ("SELECT at AS observed_at, 'much' AS value FROM orders", "value is 'much'"),
    ("SELECT 7 AS observed_at, 1 AS value", "observed_at is '7'"),
    ("SELECT at AS observed_at, kept AS value FROM other", "refuses the query"),
    ("DELETE FROM orders", "does not begin with SELECT"),
    (f"{SQL} WHERE at > :begin", "cannot be run"),
])  # fmt: skip
def test_a_query_that_gives_no_observations_says_why(database: str, query: str, said: str) -> None:
    with pytest.raises(QueryError, match=said) as found:
        asking(database)(metric("sql", query), BEGIN, BEGIN + HOUR)
    assert found.value.where == "kept (connection plant)"
    assert found.value.next_step


@pytest.mark.parametrize("form", [
    "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S.000+00:00",
])  # fmt: skip
def test_however_sqlite_writes_its_times_hourly_passes_lose_no_row(tmp_path: Path, form: str) -> None:
    url = f"sqlite:///{tmp_path / 'text.db'}"
    engine = create_engine(url)
    times = [BEGIN + n * HOUR / 2 for n in range(1, 97)]
    with engine.begin() as db:
        db.execute(text("CREATE TABLE orders (at TEXT, kept REAL)"))
        for at in times:
            db.execute(text("INSERT INTO orders VALUES (:at, 1)"), {"at": at.strftime(form)})
    engine.dispose()
    ask, kept = asking(url), metric("sql", SQL + " WHERE at > :since AND at <= :until")
    parts = [ask(kept, BEGIN + n * HOUR, BEGIN + (n + 1) * HOUR) for n in range(48)]
    assert [at for part in parts for at, _ in part] == times


def test_a_number_is_no_time(database: str) -> None:
    with pytest.raises(QueryError, match="observed_at is '1772323200'") as found:
        asking(database)(metric("sql", "SELECT 1772323200 AS observed_at, 1 AS value"), BEGIN, BEGIN + HOUR)
    assert "not a number" in found.value.allowed


@pytest.mark.parametrize("address", [
    "sqlite:////nowhere/orders.db", "postgresql+psycopg://me:s3cret@127.0.0.1:1/db", "nonsense s3cret",
])  # fmt: skip
def test_a_database_that_is_away_is_an_error(address: str) -> None:
    with pytest.raises(QueryError) as found:
        asking(address)(metric("sql", SQL), BEGIN, BEGIN + HOUR)
    assert "s3cret" not in found.value.text


def test_a_missing_connection_names_the_variable() -> None:
    for engine in ("sql", "promql"):
        with pytest.raises(QueryError, match="KREISLAUF_CONNECTION_PLANT"):
            observer(Settings())(metric(engine, SQL), BEGIN, BEGIN + HOUR)


# --- Prometheus


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A rate every minute for ten hours, with a gap in the fifth; two series of errors; what falls after ten hours."""
    minutes = [BEGIN + timedelta(minutes=n) for n in range(601)]
    there = [at for at in minutes if not 240 < (at - BEGIN).total_seconds() / 60 < 300]
    rate = [(at, (at - BEGIN) / HOUR) for at in there]
    errors = {f'errors{{service="{name}"}}': [(at, 1.0) for at in minutes] for name in ("a", "b")}
    day = [BEGIN + timedelta(minutes=n) for n in range(24 * 60)]
    kept = [(at, (0.8 if at < BEGIN + 10 * HOUR else 0.2) + at.minute / 500) for at in day]
    history = {"rate": rate, **errors, "kept": kept}
    with running_prometheus(tmp_path_factory.mktemp("prometheus"), history) as address:
        yield address


def test_each_step_is_an_observation_and_a_gap_is_none(prometheus: str) -> None:
    found = asking(prometheus)(metric("promql", "rate", every_hours=0.5), BEGIN, BEGIN + 10 * HOUR)
    steps = [n / 2 for n in range(20) if n != 9]  # 04:30 lies in the gap
    assert found == [(BEGIN + step * HOUR + SETTLE, step) for step in steps]


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 36_000), min_size=1, max_size=4), st.sampled_from([0.25, 1.0, 1 / 7]))
def test_however_the_time_is_cut_the_same_steps_come(prometheus: str, cuts: list[int], every: float) -> None:
    ask, rate = asking(prometheus), metric("promql", "rate", every_hours=every)
    whole = ask(rate, BEGIN, BEGIN + 10 * HOUR)
    ends = [BEGIN, *(BEGIN + timedelta(seconds=cut) for cut in sorted(cuts)), BEGIN + 10 * HOUR]
    parts = [ask(rate, since, until) for since, until in pairwise(ends)]
    assert [one for part in parts for one in part] == whole


@pytest.mark.parametrize("query", ["absent_metric", "rate / 0", "0 * rate / 0", "-rate / 0"])
def test_no_series_and_no_number_are_unknown(prometheus: str, query: str) -> None:
    since = BEGIN + HOUR
    assert asking(prometheus)(metric("promql", query), since, BEGIN + 3 * HOUR) == []


def test_a_long_time_is_asked_for_in_pieces(prometheus: str) -> None:
    ask = asking(prometheus)
    year = ask(metric("promql", "vector(1)", every_hours=0.5), BEGIN, BEGIN + timedelta(days=365))
    assert len(year) == len({at for at, _ in year}) == 365 * 48
    with pytest.raises(QueryError, match="raise every_hours"):
        ask(metric("promql", "vector(1)", every_hours=0.001), BEGIN, BEGIN + timedelta(days=365))


@pytest.mark.parametrize(("query", "said"), [
    ("errors", r"gives 2 series: .*\"service\": \"a\""), ("sum(", "Prometheus: bad_data: .*parse error"),
    ('"text"', "Prometheus: bad_data"),
])  # fmt: skip
def test_what_is_no_single_series_says_so(prometheus: str, query: str, said: str) -> None:
    with pytest.raises(QueryError, match=said) as found:
        asking(prometheus)(metric("promql", query), BEGIN, BEGIN + 2 * HOUR)
    assert found.value.where == "kept (connection plant)"


def test_a_fall_is_a_breach_and_a_server_that_is_away_neither_good_nor_bad(
    prometheus: str, migrated_file: Path
) -> None:
    def judged(hours: int, address: str) -> Judgement:
        look = Pass("shop", 1, BEGIN, BEGIN + hours * HOUR, NUMBERS, Monitoring(), asking(address))
        with Store(f"sqlite:///{migrated_file}").read() as db:
            return judge(db, metric("promql", "kept", every_hours=0.1), look).judgement

    assert judged(10, prometheus).verdict == "healthy"
    assert judged(23, prometheus).verdict == "breach"
    away = judged(23, "http://127.0.0.1:1")
    assert away.verdict == "inconclusive"
    assert "cannot be had: kept (connection plant): Prometheus: no answer" in away.text


@pytest.mark.parametrize(("address", "said"), [
    ("http://:s3cret@127.0.0.1:1", "no answer"), ("prometheus:9090", "not a Prometheus server's address"),
    ("http://me:s3cret@", "not a Prometheus server's address"), ("s3cret nonsense", "not a Prometheus server's address"),
])  # fmt: skip
def test_a_server_that_is_away_is_an_error(address: str, said: str) -> None:
    with pytest.raises(QueryError, match=said) as found:
        asking(address)(metric("promql", "rate"), BEGIN, BEGIN + 2 * HOUR)
    assert "s3cret" not in found.value.text


@pytest.mark.parametrize(("answer", "said"), [
    (b"", "no answer"), (b"HTTP/1.0 200 OK\r\n\r\nhello", "HTTP 200, and no answer in Prometheus' form"),
    (b"HTTP/1.0 302 Found\r\nLocation: http://127.0.0.1:1/\r\n\r\n", "HTTP 302, and no answer"),
    (b'HTTP/1.0 503 Gone\r\n\r\n{"status": "error", "errorType": "timeout", "error": "late"}', "timeout: late"),
])  # fmt: skip
def test_an_answer_that_is_none_is_an_error(answer: bytes, said: str) -> None:
    with one_answer(answer) as address, pytest.raises(QueryError, match=said):
        asking(address)(metric("promql", "rate"), BEGIN, BEGIN + 2 * HOUR)


def test_a_server_that_trickles_is_cut_off() -> None:
    with (
        one_answer(b"HTTP/1.0 200 OK\r\n\r\n", trickle=True) as address,
        pytest.raises(QueryError, match="in time"),
    ):
        asking(address, seconds=0.5)(metric("promql", "rate"), BEGIN, BEGIN + 2 * HOUR)


class one_answer:
    """A server that gives one answer to one request, then, if asked to, a byte every tenth of a second."""

    def __init__(self, answer: bytes, *, trickle: bool = False) -> None:
        self._answer, self._trickle, self._done = answer, trickle, threading.Event()

    def __enter__(self) -> str:
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()
        return f"http://127.0.0.1:{self._listening.getsockname()[1]}"

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()
        self._listening.close()

    def _serve(self) -> None:
        connection, _ = self._listening.accept()
        with connection:
            connection.recv(65_536)
            connection.sendall(self._answer)
            if not self._trickle:
                connection.shutdown(socket.SHUT_WR)
                connection.recv(65_536)  # closed with something unread, the answer would be lost
            while self._trickle and not self._done.wait(0.1):
                try:
                    connection.sendall(b" ")
                except OSError:
                    return
