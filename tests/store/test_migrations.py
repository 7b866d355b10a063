"""The schema: migrations lead to what the code declares, whoever runs them; what cannot be used is said."""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import inspect, select, text

from include.kreislauf.errors import StoreError
from include.kreislauf.store.database import MIGRATIONS, Store
from include.kreislauf.store.schema import HEAD, metadata, outcomes
from tests.support import racers
from tests.support.racing import ProcessRace


def test_migrations_lead_to_the_schema_that_the_code_declares(store: Store):
    with store.read() as db:
        assert compare_metadata(MigrationContext.configure(db, opts={"compare_type": True}), metadata) == []


def test_migrations_make_the_same_as_the_declaration(store: Store):
    migrated = _described(store)
    metadata.drop_all(store.engine)
    metadata.create_all(store.engine)
    assert migrated == _described(store)


def _described(store: Store) -> dict[str, object]:
    found = inspect(store.engine)
    return {
        name: (
            {(c["name"], str(c["type"]), c["nullable"]) for c in found.get_columns(name)},
            found.get_pk_constraint(name)["constrained_columns"],
            sorted(c["column_names"] for c in found.get_unique_constraints(name)),
            sorted(
                (i["name"], i["unique"], *i["column_names"], *map(str, i["dialect_options"].values()))
                for i in found.get_indexes(name)
            ),
            sorted(f["constrained_columns"] for f in found.get_foreign_keys(name)),
        )
        for name in metadata.tables
    }


def test_the_code_needs_the_newest_revision():
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    assert ScriptDirectory.from_config(config).get_current_head() == HEAD


def test_outcomes_learn_whose_they_are(bare_store: Store):
    """Also where the prediction itself is in an archive, and only what was rolled up is left."""
    _migrate(bare_store, "0004")
    at = "2026-01-01 00:00:00.000000"
    with bare_store.write() as db:
        db.execute(
            text(
                "INSERT INTO predictions (id, use_case, release, known, period, as_of, created_at) VALUES "
                f"('p', 'radar', 1, true, '{at}', '{at}', '{at}')"
            )
        )
        db.execute(
            text(
                "INSERT INTO log_newest (id, use_case, day, release, arm, known, period, as_of, created_at) VALUES "
                f"('n', 'other', '2026-01-01', 1, 'champion', true, '{at}', '{at}', '{at}')"
            )
        )
        for one in ("p", "n"):
            db.execute(
                text(
                    f"INSERT INTO outcomes (prediction_id, value, observed_at, created_at) VALUES ('{one}', 1, '{at}', '{at}')"
                )
            )
    bare_store.upgrade()
    with bare_store.read() as db:
        found = dict(db.execute(select(outcomes.c.prediction_id, outcomes.c.use_case)).all())
    assert found == {"p": "radar", "n": "other"}


def _migrate(store: Store, revision: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    if store.url.startswith("sqlite"):
        Path(str(store.engine.url.database)).parent.mkdir(parents=True, exist_ok=True)
    with store.write() as db:
        config.attributes["connection"] = db
        command.upgrade(config, revision)


def test_an_empty_store_has_no_revision_and_looking_makes_none(bare_store: Store, tmp_path: Path):
    assert bare_store.revision() is None
    assert list(tmp_path.iterdir()) == []


def test_upgrading_twice_changes_nothing(bare_store: Store):
    bare_store.upgrade()
    bare_store.upgrade()
    assert bare_store.require().revision() == HEAD


def test_processes_that_upgrade_at_once_all_find_the_schema(bare_store: Store, process_race: ProcessRace):
    assert process_race(racers.upgrade, bare_store.url) == [HEAD] * process_race.size


def test_the_first_connection_waits_for_a_process_that_makes_the_file(tmp_path: Path):
    writer = sqlite3.connect(tmp_path / "new.db", isolation_level=None, check_same_thread=False)
    writer.execute("CREATE TABLE early (row INTEGER)")
    writer.execute("BEGIN IMMEDIATE")
    ends = threading.Timer(0.3, lambda: writer.execute("COMMIT"))
    ends.start()
    with Store(f"sqlite:///{tmp_path}/new.db").read() as db:
        assert db.scalar(text("PRAGMA journal_mode")) == "wal"
    ends.join()
    writer.close()


def test_a_missing_schema_is_told_with_the_command_that_makes_it(bare_store: Store):
    with pytest.raises(StoreError) as caught:
        bare_store.require()
    assert "(none)" in caught.value.what
    assert caught.value.allowed == HEAD
    assert "store upgrade" in caught.value.next_step


def test_a_schema_newer_than_the_code_is_left_alone(store: Store):
    with store.write() as db:
        db.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(StoreError, match="9999"):
        store.require()
    with pytest.raises(StoreError, match="cannot be upgraded"):
        store.upgrade()
    assert store.revision() == "9999"


AWAY = [
    "postgresql://somebody:secret@127.0.0.1:1/kreislauf?connect_timeout=2",
    "postgresql://somebody:secret@/kreislauf?host=/nowhere",
]


@pytest.mark.parametrize("url", AWAY)
def test_a_server_that_is_away_is_a_store_error_without_the_password(url: str):
    store = Store(url)
    for ask in (store.revision, store.require, store.upgrade):
        with pytest.raises(StoreError, match="cannot be reached") as caught:
            ask()
        assert "somebody" in caught.value.where
        assert "secret" not in caught.value.text
        assert "KREISLAUF_STORE_URL" in caught.value.next_step


def test_a_file_that_is_no_database_is_a_store_error(tmp_path: Path):
    path = tmp_path / "kreislauf.db"
    path.write_text("This is a letter, not a database. " * 100)
    with pytest.raises(StoreError, match="not a database"):
        Store(f"sqlite:///{path}").require()


def test_a_folder_in_place_of_the_database_is_a_store_error(tmp_path: Path):
    with pytest.raises(StoreError, match="unable to open"):
        Store(f"sqlite:///{tmp_path}").require()


@pytest.mark.parametrize(
    "url", ["postgres://me:s3cret@host/db", "mysql+nodriver://me:s3cret@host/db", "s3cret"]
)
def test_an_address_that_no_store_can_have_says_what_to_write(url: str) -> None:
    with pytest.raises(StoreError) as found:
        Store(url)
    assert found.value.where == "KREISLAUF_STORE_URL"
    assert "postgresql+psycopg://user:password@host/database" in found.value.allowed
    assert "s3cret" not in found.value.text
