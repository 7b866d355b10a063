"""The look between two checks: it judges when something came, asks for each check once, and outlives what is away."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from include.kreislauf.embedded.airflow_api import AirflowApiError
from include.kreislauf.feedback.monitor import Finding
from include.kreislauf.feedback.tipping import REFRESH, Watch
from include.kreislauf.feedback.watcher import LONGEST_PAUSE, MOST_BUSY, Watcher
from include.kreislauf.handovers import WorkOrder
from include.kreislauf.monitoring.verdicts import Judgement
from include.kreislauf.requirements.contract import Reported
from include.kreislauf.store import schema
from include.kreislauf.store.database import Store, insert_rows

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
METRIC = Reported(kind="reported", name="hits", threshold=0.5, window_periods=1)


@dataclass
class World:
    """A store, what a judge would say of each use case, and what it was asked."""

    store: Store
    verdicts: dict[str, Any]
    asked: list[tuple[str, datetime]] = field(default_factory=list)
    sent: int = 0

    def orders(self, now: datetime) -> Sequence[WorkOrder]:
        return [
            WorkOrder(use_case=name, cycle_id="c1", contract_hash="0" * 64, as_of=now, started_by="test",
                      inputs={"deployment": "3"})
            for name in self.verdicts
        ]  # fmt: skip

    def judge(self, order: WorkOrder) -> list[Finding]:
        self.asked.append((order.use_case, order.as_of))
        verdict = self.verdicts[order.use_case]
        if isinstance(verdict, Exception):
            raise verdict
        return [Finding(METRIC, Judgement(verdict, 0.4, None, None, {}, f"it is {verdict}"))]

    def outcome(self, at: datetime) -> None:
        self.sent += 1
        row = {
            "prediction_id": str(self.sent),
            "value": 1.0,
            "observed_at": at,
            "created_at": at,
            "logged_at": at,
        }
        with self.store.write() as db:
            insert_rows(db, schema.outcomes, [row])

    def check(self, verdict: str, at: datetime, use_case: str = "radar", release: int = 3) -> None:
        row = {"use_case": use_case, "metric": "hits", "release": release, "as_of": at, "cycle_id": "c1",
               "verdict": verdict, "threshold": 0.5, "periods": 1, "text": "", "created_at": at}  # fmt: skip
        with self.store.write() as db:
            insert_rows(db, schema.verdicts, [row])

    def go_live(self, use_case: str, version: int) -> None:
        with self.store.write() as db:
            insert_rows(db, schema.live_releases, [{"use_case": use_case, "version": version, "revision": 1}])


@pytest.fixture
def world(store: Store) -> World:
    return World(store, {"radar": "healthy"})


@pytest.fixture
def watch(world: World) -> Watch:
    return Watch(world.store, world.orders, world.judge)


def test_nothing_is_judged_while_nothing_comes(world: World, watch: Watch) -> None:
    for second in range(60):
        assert watch.look(NOW + second * SECOND) == ([], [])
    assert world.asked == [("radar", NOW)]
    watch.look(NOW + REFRESH)  # outcomes may have become mature
    assert world.asked[1:] == [("radar", NOW + REFRESH)]


def test_what_comes_is_judged_at_the_next_look(world: World, watch: Watch) -> None:
    watch.look(NOW)
    world.outcome(NOW + SECOND)
    watch.look(NOW + 2 * SECOND)
    watch.look(NOW + 3 * SECOND)
    world.go_live("radar", 3)
    watch.look(NOW + 4 * SECOND)
    assert [at for _, at in world.asked] == [NOW, NOW + 2 * SECOND, NOW + 4 * SECOND]


def test_what_was_written_a_moment_after_the_look_began_is_judged_by_the_next(
    world: World, watch: Watch
) -> None:
    watch.look(NOW)
    world.outcome(NOW + 2 * SECOND)
    for second in range(1, 5):
        watch.look(NOW + second * SECOND)
    assert [at for _, at in world.asked] == [NOW, NOW + SECOND, NOW + 2 * SECOND]


def test_a_breach_is_told_until_a_check_has_written_it_down(world: World, watch: Watch) -> None:
    world.check("healthy", NOW)
    world.check("breach", NOW, use_case="other")
    world.check("breach", NOW, release=2)
    world.verdicts["radar"] = "breach"
    for second in range(2):
        tipped, _ = watch.look(NOW + second * SECOND)
        assert [(one.use_case, one.release, one.metric, one.text) for one in tipped] == [
            ("radar", 3, "hits", "it is breach")
        ]
    world.check("breach", NOW + SECOND)
    assert watch.look(NOW + 2 * SECOND) == ([], [])


@pytest.mark.parametrize("verdict", ["healthy", "inconclusive"])
def test_nothing_else_is_told(world: World, watch: Watch, verdict: str) -> None:
    world.check("breach", NOW)
    world.verdicts["radar"] = verdict
    assert watch.look(NOW) == ([], [])


def test_one_that_cannot_be_judged_does_not_stop_the_others(world: World, watch: Watch) -> None:
    world.verdicts = {"bad": ValueError("no such column"), "radar": "breach"}
    tipped, faults = watch.look(NOW)
    assert [one.use_case for one in tipped] == ["radar"]
    assert faults == ["bad: ValueError: no such column"]


# --- what follows from a look


@dataclass
class Airflow:
    """Takes what it is told; the error is raised instead while there is one."""

    error: AirflowApiError | None = None
    runs: dict[str, dict[str, str]] = field(default_factory=dict)

    def trigger(self, dag_id: str, *, run_id: str, conf: dict[str, str]) -> None:
        assert dag_id == "monitoring"
        if self.error:
            raise self.error
        if run_id in self.runs:
            raise AirflowApiError("there is such a run", status=409)
        self.runs[run_id] = conf


@dataclass
class Clock:
    now: datetime = NOW

    def __call__(self) -> datetime:
        self.now += SECOND
        return self.now


def test_the_same_check_is_asked_for_once(world: World, watch: Watch) -> None:
    world.verdicts["radar"] = "breach"
    airflow, watcher = Airflow(), Watcher(watch, Clock(), 1.0)
    again = Watcher(Watch(world.store, world.orders, world.judge), Clock(), 1.0)  # after a restart
    for one in (watcher, watcher, again):
        one.step(airflow)
    assert list(airflow.runs) == [f"watch__radar__3__hits__{int(NOW.timestamp()) // 600}"]
    (conf,) = airflow.runs.values()
    assert conf == {"use_case": "radar", "reason": "hits of release 3: it is breach", "by": "kreislauf watch"}
    assert len(world.asked) == 3


def test_airflow_that_is_away_is_asked_again_more_and_more_seldom(
    world: World, watch: Watch, caplog: pytest.LogCaptureFixture
) -> None:
    world.verdicts["radar"] = "breach"
    airflow, watcher = Airflow(AirflowApiError("no answer from Airflow")), Watcher(watch, Clock(), 1.0)
    pauses = [watcher.step(airflow) for _ in range(9)]
    assert pauses == [1, 2, 4, 8, 16, 32, LONGEST_PAUSE, LONGEST_PAUSE, LONGEST_PAUSE]
    assert "no answer from Airflow; again in 60 s" in caplog.text
    airflow.error = None
    assert watcher.step(airflow) < 2
    assert len(airflow.runs) == 1


def test_a_store_that_is_away_ends_nothing(tmp_path: Any, caplog: pytest.LogCaptureFixture) -> None:
    world = World(Store(f"sqlite:///{tmp_path / 'none' / 'kreislauf.db'}"), {})
    watcher = Watcher(Watch(world.store, world.orders, world.judge), Clock(), 1.0)
    assert [watcher.step(Airflow()) for _ in range(3)] == [1, 2, 4]
    assert "unable to open database file" in caplog.text


def test_a_slow_look_becomes_rarer(watch: Watch) -> None:
    times = iter([0.0, 2.0])
    assert Watcher(watch, Clock(), 1.0, times.__next__).step(Airflow()) == 2.0 / MOST_BUSY - 2.0
