"""The canary's use case in one process: comes through again and again, leaves little behind, and starts nothing by itself."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Table, func, select

from include.kreislauf.canary.asking import KEY_NAME
from include.kreislauf.canary.tidying import KEPT, tidy
from include.kreislauf.errors import ContractError
from include.kreislauf.feedback.monitor import due_orders
from include.kreislauf.feedback.overview import list_use_cases
from include.kreislauf.feedback.sign_off import changed_contract
from include.kreislauf.handovers import Role
from include.kreislauf.requirements.loading import contract_path
from include.kreislauf.settings import CANARY, Settings
from include.kreislauf.store import api_keys, cycles, live, observations, release_files, schema
from include.kreislauf.store.api_keys import Scope
from include.kreislauf.store.cycles import State
from include.kreislauf.store.database import Store, insert_rows
from tests.support.examples import prediction
from tests.support.lap import Lap

AS_OF = datetime(2026, 1, 1, tzinfo=UTC)
PASSES = KEPT + 2


@pytest.fixture(scope="module")
def passed(tmp_path_factory: pytest.TempPathFactory, migrated_file: Path) -> Iterator[Lap]:
    """The ring after some passes of the canary, each with a prediction, an outcome and a key."""
    home = tmp_path_factory.mktemp("canary")
    (home / "use_cases").mkdir()
    shutil.copy(migrated_file, home / "kreislauf.db")
    settings = Settings(
        home=home, use_cases=home / "use_cases", clock="given", store_url="", tables_url="", tracking_url="none",
        canary=True,
    )  # fmt: skip
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("KREISLAUF_CANARY", "true")
        ring = Lap(settings, Store(settings.store), CANARY)
        for number in range(1, PASSES + 1):
            go_through(ring, number)
        yield ring
        ring.store.engine.dispose()


def go_through(ring: Lap, number: int) -> None:
    now = AS_OF + timedelta(hours=number)
    ring.manual(Role.REQUIREMENTS, as_of=now)
    row = prediction(id=f"p{number}", use_case=CANARY, release=number)
    with ring.store.write() as db:
        insert_rows(db, schema.predictions, [row])
        observations.save_outcome(db, row["id"], 1.0, now, now)
        key, _ = api_keys.create_key(db, KEY_NAME, [Scope.PREDICT], "a test", now, use_case=CANARY)
        api_keys.revoke(db, key.id, now)


def count(ring: Lap, table: Table) -> int:
    with ring.store.read() as db:
        return db.scalar(select(func.count()).select_from(table)) or 0


def test_each_pass_makes_a_release_of_its_own(passed: Lap) -> None:
    assert passed.refused == []
    with passed.store.read() as db:
        found = cycles.all_cycles(db, CANARY)
        versions = [row.version for row in live.releases_of(db, CANARY)]
    assert [(one.state, one.number) for one in found] == [(State.LIVE, n) for n in range(1, PASSES + 1)]
    assert versions == list(range(1, PASSES + 1))
    assert count(passed, schema.verdicts) == PASSES


def test_the_clock_starts_nothing_of_it(passed: Lap, monkeypatch: pytest.MonkeyPatch) -> None:
    use_cases = passed.settings.use_cases
    assert due_orders(passed.store, use_cases, "due", passed.now()) == []
    assert changed_contract(passed.store, use_cases) is None


def test_is_shown_only_where_it_is_on(passed: Lap, monkeypatch: pytest.MonkeyPatch) -> None:
    use_cases = passed.settings.use_cases
    assert [one.name for one in list_use_cases(passed.store, passed.settings)] == [CANARY]
    monkeypatch.delenv("KREISLAUF_CANARY")
    assert list_use_cases(passed.store, passed.settings.model_copy(update={"canary": False})) == []
    with pytest.raises(ContractError, match="no use case is named 'kreislauf_canary'"):
        contract_path(use_cases, CANARY)


def test_old_passes_leave_their_cycles_and_nothing_else(passed: Lap) -> None:
    folders = [
        passed.settings.artefacts / path
        for path in (f"releases/{CANARY}", f"candidates/{CANARY}", f"{CANARY}/model_cards", f"{CANARY}/data_sheets")
    ]  # fmt: skip
    assert [len(list(one.iterdir())) for one in folders] == [PASSES] * len(folders)
    for _ in range(2):  # the second time there is nothing to do
        tidy(passed.store, passed.settings)
    assert [len(list(one.iterdir())) for one in folders] == [KEPT] * len(folders)
    assert count(passed, schema.cycles) == PASSES
    tables = (
        schema.releases,
        schema.promotions,
        schema.verdicts,
        schema.predictions,
        schema.outcomes,
        schema.api_keys,
    )
    assert [count(passed, table) for table in tables] == [KEPT] * len(tables)
    assert count(passed, schema.handovers) == 6 * KEPT
    assert count(passed, schema.receipts) == 4 * KEPT
    with passed.store.read() as db:
        row = live.live_release(db, CANARY)
    assert row
    assert row.version == PASSES
    assert release_files.load_row(passed.settings, row).manifest["version"] == PASSES
    go_through(passed, PASSES + 1)
    assert count(passed, schema.releases) == KEPT + 1
    assert count(passed, schema.cycles) == PASSES + 1
