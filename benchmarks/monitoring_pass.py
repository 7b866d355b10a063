"""A monitoring pass over a large log in SQLite: the first one, and one after a thousand new outcomes.

The log grows in three steps, and each pass is the whole of it: signals, verdicts, memory and ledger. A hundredth of the
log, a tenth and all of it: what a steady pass costs must not grow with what lies behind it.
"""

from __future__ import annotations

import sqlite3
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any, Protocol

from sqlalchemy import delete

from benchmarks.parts import WORK
from include.kreislauf.feedback.monitor import check
from include.kreislauf.handovers import Role, WorkOrder
from include.kreislauf.settings import Settings
from include.kreislauf.store.database import Store
from include.kreislauf.store.log_records import stamp
from include.kreislauf.store.rollup import roll_up
from include.kreislauf.store.schema import monitor_states
from tests.support.lap import STEPS, Lap
from tests.support.script import Script
from tests.support.use_cases import write_use_case

START = datetime(2026, 1, 1, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
DAYS, ENTITIES = 250, 200
NEW, TURNS = 1_000, 3
PARTS = {"1%": 0.01, "10%": 0.1, "100%": 1.0}
METRICS: list[dict[str, Any]] = [
    {"kind": "portfolio_uplift", "name": "portfolio_uplift", "top": 10, "gate_threshold": 0.0, "threshold": -9.0,
     "window_periods": 1},
    {"kind": "outcomes", "name": "rate", "measure": "outcome", "threshold": 0.7, "maturity_days": 1,
     "test": {"bounds": [0, 1], "reference": 0.8}},
]  # fmt: skip


class Size(Protocol):
    """How much is measured."""

    @property
    def predictions(self) -> int:
        """In the log; one outcome for each ten."""


def passes(size: Size) -> dict[str, Any]:
    """Seconds of passes over a hundredth of a log, a tenth, and all of it."""
    WORK.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=WORK, prefix="pass-") as folder:
        log = Log(_ring(Path(folder)), size.predictions)
        found = {name: log.grown(share) for name, share in PARTS.items()}
        log.lap.store.engine.dispose()
    whole = found["100%"]
    return {
        "passes": {
            "predictions": size.predictions, "outcomes": size.predictions // 10, "new_outcomes": NEW,
            "by_part_of_the_log": found, "steady_100_vs_1": round(whole["steady"] / found["1%"]["steady"], 2),
        },
        "pass_seconds_10m": whole["steady"],
    }  # fmt: skip


@dataclass
class Log:
    """A growing log of one live release.

    Parameters
    ----------
    number: predictions in the end, spread evenly over :data:`DAYS`.
    filled: predictions so far.
    """

    lap: Lap
    number: int
    filled: int = 0

    def grown(self, share: float) -> dict[str, Any]:
        """Grow to a share of the whole, and time passes."""
        began = time.perf_counter()
        until = int(self.number * share)
        _fill(self._path, self.filled, until, self._step)
        now = START + until * self._step
        roll_up(self.lap.store, self.lap.use_case, now, now)
        since, self.filled, filling = self.filled, until, time.perf_counter() - began
        with self.lap.store.write() as db:
            db.execute(delete(monitor_states))
        first, counted = self._pass(now)
        new, steady = min(NEW, until // 20), []
        for turn in range(1, TURNS + 1):
            _more_outcomes(self._path, turn, since, until - until // 10, new, now + turn * HOUR)
            seconds, after = self._pass(now + turn * HOUR)
            assert after >= counted + new, f"of {new} new outcomes {after - counted} were taken"
            steady.append(seconds)
            counted = after
        return {
            "predictions": until, "observations": counted, "first": round(first, 3),
            "steady": round(median(steady), 3), "filled_in": round(filling, 1),
        }  # fmt: skip

    @property
    def _step(self) -> timedelta:
        return DAYS * DAY / self.number

    @property
    def _path(self) -> Path:
        return Path(str(self.lap.store.engine.url.database))

    def _pass(self, as_of: datetime) -> tuple[float, int]:
        """Its seconds, and the number of observations that the test has seen."""
        order = self.lap.receive(self.lap.by_hand(Role.MONITORING, as_of=as_of))
        assert isinstance(order, WorkOrder)
        began = time.perf_counter()
        check(order, store=self.lap.store, now=self.lap.now(), settings=self.lap.settings)
        seconds = time.perf_counter() - began
        verdict = [one for one in self.lap.verdicts() if one.metric == "rate"][-1]
        assert verdict.verdict != "breach", verdict.text
        return seconds, verdict.periods


def _ring(home: Path) -> Lap:
    """A ring whose first release is live."""
    contract = write_use_case(home / "use_cases", business_metrics=METRICS)
    settings = Settings(
        home=home, data=str(home / "data"), use_cases=home / "use_cases", clock="given", store_url="", tables_url="",
        tracking_url="none",
    )  # fmt: skip
    store = Store(settings.store)
    store.upgrade()
    lap = Lap(settings, store, contract.name, {**STEPS, **Script().steps()})
    lap.manual(Role.REQUIREMENTS, as_of=START)
    return lap


_COUNT = "WITH RECURSIVE n(i) AS (SELECT :since UNION ALL SELECT i + 1 FROM n WHERE i + 1 < :until)"
_PREDICTIONS = f"""
{_COUNT}, t(i, at) AS (
  SELECT i, strftime('%Y-%m-%d %H:%M:%f000', :start + i * :step, 'unixepoch') FROM n)
INSERT INTO predictions (id, use_case, "release", entity, known, value, period, as_of, created_at, arm)
SELECT printf('%036d', i), 'radar', 1, printf('e%03d', i % {ENTITIES}), 1, (i % 97) / 97.0,
  substr(at, 1, 7) || '-01 00:00:00.000000', at, at, 'champion' FROM t
"""
_OUTCOMES = """
INSERT INTO outcomes (prediction_id, use_case, value, observed_at, created_at, logged_at)
SELECT id, use_case, (rowid / 10) % 5 > 0, as_of, as_of, as_of FROM predictions
WHERE rowid > :since AND rowid <= :until AND rowid % 10 = 0
"""
_MORE = """
INSERT INTO outcomes (prediction_id, use_case, value, observed_at, created_at, logged_at)
SELECT id, use_case, (rowid / 10) % 5 > 0, :at, :at, :at FROM predictions
WHERE rowid % 10 = :turn AND rowid > :since AND rowid <= :until LIMIT :new
"""


def _fill(path: Path, since: int, until: int, step: timedelta) -> None:
    """Predictions in the order of their time, and one outcome for each ten, four of five of them good."""
    given = {"since": since, "until": until, "start": START.timestamp(), "step": step.total_seconds()}
    _execute(path, (_PREDICTIONS, given), (_OUTCOMES, given))


def _more_outcomes(path: Path, turn: int, since: int, until: int, number: int, at: datetime) -> None:
    """Outcomes that came late, of predictions within a part of the log that have none."""
    given = {"turn": turn, "since": since, "until": until, "new": number, "at": stamp(at)}
    _execute(path, (_MORE, given))


def _execute(path: Path, *statements: tuple[str, dict[str, Any]]) -> None:
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("PRAGMA synchronous=OFF")
    db.execute("BEGIN")
    for statement, values in statements:
        db.execute(statement, values)
    db.execute("COMMIT")
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    db.close()
