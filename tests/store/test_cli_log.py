"""``python -m include.kreislauf log``: what it does and what it says."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from include.kreislauf.cli import main
from include.kreislauf.store import observations
from include.kreislauf.store.database import Store
from tests.support.examples import NOW, USE_CASE, prediction

DAY = timedelta(days=1)


@pytest.fixture
def filled(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """Four days of two use cases."""
    monkeypatch.setenv("KREISLAUF_STORE_URL", store.engine.url.render_as_string(hide_password=False))
    monkeypatch.setenv("KREISLAUF_HOME", str(tmp_path))
    monkeypatch.setenv("KREISLAUF_LOG_DAYS", "1")
    with store.write() as db:
        for use_case in (USE_CASE, "churn"):
            rows = [prediction(use_case=use_case, as_of=NOW + number * DAY) for number in range(4)]
            observations.save_predictions(db, rows)
    return store


def say(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[str]:
    assert main(["log", *arguments]) == 0
    return capsys.readouterr().out.splitlines()


def test_rolled_up_archived_and_counted(filled: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert say(capsys, "rollup", USE_CASE, "--until", "2016-01-04") == [
        "radar: 3 days rolled up, 2016-01-01 to 2016-01-03"
    ]
    found = say(capsys, "archive", USE_CASE, "--until", "2016-01-04")
    assert found[0] == "radar: 0 days rolled up"
    assert found[1].startswith("radar: 2 days before 2016-01-03 archived, 2 rows")
    assert len(list((tmp_path / "artefacts" / "log" / "use_case=radar").glob("day=*/*.parquet"))) == 2
    assert say(capsys, "stats") == [
        "churn: 4 rows in the store from 2016-01-01 to 2016-01-04, 0 days rolled up to 0 rows, "
        "0 days have late rows, 0 rows in 0 archives",
        "radar: 2 rows in the store from 2016-01-03 to 2016-01-04, 3 days rolled up to 3 rows, "
        "0 days have late rows, 2 rows in 2 archives",
    ]


@pytest.mark.parametrize(("clock", "days"), [("wall", 4), ("given", 3)])
def test_without_until_every_day_that_has_ended(
    filled: Store, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, clock: str, days: int
):
    monkeypatch.setenv("KREISLAUF_CLOCK", clock)
    assert [line.split(",")[0] for line in say(capsys, "rollup")] == [
        f"churn: {days} days rolled up", f"radar: {days} days rolled up",
    ]  # fmt: skip


def test_a_day_that_is_none_is_told(filled: Store, capsys: pytest.CaptureFixture[str]):
    assert main(["log", "rollup", "--until", "soon"]) == 1
    assert "YYYY-MM-DD" in capsys.readouterr().err
