"""The prediction service's own role of PostgreSQL: its whole path works, and nothing else does."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError

from include.kreislauf.cli import main
from include.kreislauf.errors import StoreError
from include.kreislauf.store import rollouts, schema
from include.kreislauf.store.api_keys import Scope
from include.kreislauf.store.database import Store
from include.kreislauf.store.roles import GRANTS, grant_service
from include.kreislauf.store.rollouts import Rollout, RolloutState
from tests.service.conftest import Running, World, serving
from tests.service.keys import NOW, make_key
from tests.support.postgres import USER, PostgresServer

pytestmark = pytest.mark.postgres
ROLE = "prediction-service"
THEN = "2016-04-01T00:00:00Z"


@dataclass
class Two:
    """The same database, as its owner and as the service's role."""

    owner: Store
    service: Store

    def allowed(self, statement: str) -> bool:
        """Whether the service's role may do it; what it does is undone."""
        with self.service.engine.connect() as db:
            try:
                db.execute(text(statement))
            except ProgrammingError as error:
                assert "permission denied" in str(error.orig)
                return False
        return True


@pytest.fixture
def two(postgres: PostgresServer) -> Iterator[Two]:
    with postgres.database() as url:
        found = Two(Store(url), Store(url.replace(f"{USER}@", f"{ROLE}@")))
        with found.owner.write() as db:
            if not db.scalar(text("SELECT 1 FROM pg_roles WHERE rolname = :role"), {"role": ROLE}):
                db.execute(text(f'CREATE ROLE "{ROLE}" LOGIN'))
        yield found
        found.service.engine.dispose()
        with found.owner.write() as db:
            db.execute(text(f'DROP OWNED BY "{ROLE}"'))
        found.owner.engine.dispose()


@pytest.fixture
def world(two: Two, tmp_path: Path) -> World:
    """A live release, and one that is tried unseen."""
    found = World(tmp_path, two.owner)
    found.sign(control=0.1)
    found.release(1)
    found.promote(1)
    found.release(2)
    tried = Rollout("radar", 2, "c0002-2016-01", 1, RolloutState.SHADOW, 1, 1.0, "", {}, NOW, NOW)
    with two.owner.write() as db:
        assert rollouts.begin(db, tried)
    grant_service(two.owner, ROLE)
    return found


def send(service: Running, kind: str, **item: Any) -> str:
    answer = service.client.post(f"/v1/radar/{kind}", json={kind: [{"observed_at": THEN, **item}]})
    result: str = answer.json()["results"][0]["result"]
    return result


def test_the_service_does_all_its_work_under_its_role(two: Two, world: World) -> None:
    _, key = make_key(two.owner, *Scope)
    spool = world.folder / "spool"
    with serving(World(world.folder, two.service), key=key, keys_required=True, spool=str(spool)) as service:
        service.wait(
            lambda _: any("candidate" in row.serving.get("radar", {}) for row in world.rows("workers"))
        )
        answer = service.predict({"entity": "python"})
        assert answer.status_code == 200, answer.text
        ((prediction,)) = answer.json()["predictions"]
        known = {"prediction_id": prediction["prediction_id"], "value": 1.5}
        assert [send(service, "outcomes", **known) for _ in range(2)] == ["stored", "duplicate"]
        assert send(service, "outcomes", **{**known, "value": 2.5}) == "conflict"
        report = {"id": "r1", "metric": "productivity", "release": 1, "value": 97.0, "period": "2016-01-01"}
        assert send(service, "reports", **report) == "stored"
        assert "kreislauf_store_failures_total 0.0" in service.client.get("/metrics").text
        service.wait(lambda _: bool(world.rows("shadow_predictions") and world.rows("arm_counts")))
        world.promote(2)
        service.wait_for(2)
    assert [
        len(world.rows(name)) for name in ("predictions", "outcomes", "outcome_conflicts", "reports")
    ] == [1] * 4
    assert world.rows("workers") == []


def test_a_spool_is_drained_under_the_role(two: Two, world: World) -> None:
    with serving(World(world.folder, two.service)) as service:
        with two.owner.write() as db:
            db.execute(text(f'REVOKE INSERT ON predictions FROM "{ROLE}"'))
        assert service.predict({"entity": "python"}).status_code == 200
        assert world.rows("predictions") == []
        grant_service(two.owner, ROLE)
        service.wait(lambda found: len(world.rows("predictions")) == 1)


def test_a_late_prediction_reopens_its_day_under_the_role(two: Two, world: World) -> None:
    with two.owner.write() as db:
        db.execute(text("INSERT INTO log_days VALUES ('radar', '2016-01-01', 4, 4, now())"))
    with serving(World(world.folder, two.service)) as service:
        assert service.predict({"entity": "python"}).status_code == 200
    assert [row.revision for row in world.rows("log_days")] == [5]


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE live_releases SET version = 7",
        "INSERT INTO live_releases VALUES ('other', 1, 1)",
        "UPDATE releases SET digest = 'x'",
        "UPDATE contracts SET decision = 'signed'",
        "UPDATE rollouts SET state = 'promoted'",
        "UPDATE promotions SET reason = 'x'",
        "UPDATE api_keys SET scopes = 'admin'",
        "INSERT INTO api_keys (id, name, hash, scopes, created_at, created_by) VALUES ('a', 'a', 'a', 'admin', now(), 'a')",
        "UPDATE outcomes SET value = 0",
        "DELETE FROM predictions",
        "UPDATE log_days SET rolled = 1",
        "SELECT * FROM handovers",
        "SELECT * FROM cycles",
        "CREATE TABLE mine (id integer)",
        "TRUNCATE workers",
    ],
)
def test_what_is_live_signed_or_logged_cannot_be_changed(two: Two, world: World, statement: str) -> None:
    assert world.rows("live_releases")
    assert not two.allowed(statement)


@pytest.mark.parametrize("table", schema.metadata.sorted_tables, ids=lambda table: table.name)
def test_every_table_is_as_declared(two: Two, table: Any) -> None:
    grant_service(two.owner, ROLE)
    declared = GRANTS.get(table.name, ())
    statements = {
        "SELECT": f"SELECT * FROM {table.name}",
        "INSERT": f"INSERT INTO {table.name} SELECT * FROM {table.name} WHERE false",
        "DELETE": f"DELETE FROM {table.name}",
    }  # fmt: skip
    if not declared:
        statements = {"SELECT": statements["SELECT"]}
    assert {verb for verb, one in statements.items() if two.allowed(one)} == set(declared) & set(statements)


def test_repeated_and_with_less_than_before(two: Two) -> None:
    grant_service(two.owner, ROLE)
    with two.owner.write() as db:
        db.execute(text(f'GRANT ALL ON live_releases, cycles TO "{ROLE}"'))
    assert two.allowed("UPDATE live_releases SET version = 7")
    grant_service(two.owner, ROLE)
    assert not two.allowed("UPDATE live_releases SET version = 7")
    assert not two.allowed("SELECT * FROM cycles")
    assert two.service.require().revision() == schema.HEAD


@pytest.mark.parametrize(
    ("role", "told"), [(USER, "has all rights"), ("nobody-there", "CREATE ROLE"), ('x"; DROP', "no name of a role")]
)  # fmt: skip
def test_a_role_that_cannot_be_is_refused(two: Two, role: str, told: str) -> None:
    with pytest.raises(StoreError, match=told):
        grant_service(two.owner, role)


def test_by_command(two: Two, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("KREISLAUF_STORE_URL", two.owner.url)
    assert main(["store", "grant-service", ROLE]) == 0
    assert "may do what the prediction service does" in capsys.readouterr().out
    monkeypatch.setenv("KREISLAUF_STORE_URL", "sqlite:///nothing.db")
    assert main(["store", "grant-service", ROLE]) == 1
    assert "sqlite has no roles" in capsys.readouterr().err


def test_a_worker_takes_the_rows_of_the_dead_away(two: Two, world: World) -> None:
    with two.owner.write() as db:
        values = {"id": "dead", "host": "h", "pid": 1, "serving": {}, "problems": {}}
        at = NOW - timedelta(days=1)
        db.execute(schema.workers.insert().values(**values, started_at=at, seen_at=at))
    with serving(World(world.folder, two.service)):
        pass
    assert world.rows("workers") == []
