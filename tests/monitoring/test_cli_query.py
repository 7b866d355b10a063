"""The command ``query``: what a contract's query gives, before it is signed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from sqlalchemy import create_engine, text

from include.kreislauf.cli import main
from include.kreislauf.settings import ROOT

SHIPPED = ROOT / "include" / "use_cases" / "technology_radar"
SQL = "SELECT at AS observed_at, kept AS value FROM orders WHERE at > :since AND at <= :until"


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a use case, and a database with orders of the last five days: one each day."""
    folder = tmp_path / "use_cases" / "technology_radar"
    folder.mkdir(parents=True)
    (folder / "technologies.yaml").write_text((SHIPPED / "technologies.yaml").read_text())
    monkeypatch.setenv("KREISLAUF_USE_CASES", str(folder.parent))
    monkeypatch.setenv("KREISLAUF_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("KREISLAUF_CONNECTION_SHOP", f"sqlite:///{tmp_path / 'shop.db'}")
    engine = create_engine(f"sqlite:///{tmp_path / 'shop.db'}")
    with engine.begin() as db:
        db.execute(text("CREATE TABLE orders (at TEXT, kept REAL)"))
        for day in range(5):
            at = datetime.now(UTC) - timedelta(days=day, hours=1)
            db.execute(
                text("INSERT INTO orders VALUES (:at, :kept)"), {"at": at.isoformat(), "kept": day / 2}
            )
    engine.dispose()
    return folder


def write(folder: Path, *queries: str) -> None:
    """A contract with a metric for each query: kept_0, kept_1, …"""
    contract: dict[str, Any] = yaml.safe_load((SHIPPED / "contract.yaml").read_text())
    contract["business_metrics"] += [
        {
            "kind": "query", "name": f"kept_{number}", "threshold": 0.5, "test": {"bounds": [0, 1], "reference": 0.8},
            "source": {"engine": "sql", "connection": "shop", "query": query},
        }
        for number, query in enumerate(queries)
    ]  # fmt: skip
    (folder / "contract.yaml").write_text(yaml.safe_dump(contract, allow_unicode=True, sort_keys=False))


def test_it_says_how_many_when_and_how_large(
    shop: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(shop, SQL)
    assert main(["query", "technology_radar"]) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("kept_0: 5 observations, first ")
    assert first.endswith("least 0, greatest 2")
    assert second == "  2 outside of the test's bounds, 0 to 1: these are not plausible"
    assert main(["query", "technology_radar", "kept_0", "--days", "1.5"]) == 0
    assert capsys.readouterr().out.startswith("kept_0: 2 observations, first ")
    assert not (tmp_path / "home").exists()


def test_what_cannot_be_had_is_told_and_does_not_hide_the_others(
    shop: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(shop, "SELECT at FROM orders", SQL, f"{SQL} AND kept > 7")
    assert main(["query", "technology_radar"]) == 1
    told = capsys.readouterr()
    assert "kept_0 (connection shop): the query gives no column observed_at and no value" in told.err
    assert "kept_1: 5 observations" in told.out
    assert "kept_2: no observation from " in told.out


def test_what_there_is_to_try_is_told(shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(shop)
    assert main(["query", "technology_radar"]) == 1
    assert "technology_radar: has no metric of kind query" in capsys.readouterr().err
    write(shop, SQL)
    assert main(["query", "technology_radar", "lost"]) == 1
    assert "no metric of kind query is named 'lost'; allowed: kept_0" in capsys.readouterr().err
    assert main(["query", "radar"]) == 1
    assert "no use case is named 'radar'; allowed: technology_radar" in capsys.readouterr().err


@pytest.mark.parametrize("days", ["0", "-1", "nan", "soon", "99999"])
def test_days_that_are_none_are_refused(days: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["query", "technology_radar", f"--days={days}"])
    assert f"{days!r} is no number of days; allowed: above 0, up to 3650" in capsys.readouterr().err


@pytest.mark.parametrize(("query", "said"), [
    ("DELETE FROM orders", "kept_0: the query does not begin with SELECT or WITH; allowed: one SELECT"),
    (f"{SQL} AND shop = :shop", "kept_0: the query names :shop; allowed: as parameters only :since, :until"),
])  # fmt: skip
def test_contract_check_sees_what_no_database_need_be_asked(
    shop: Path, capsys: pytest.CaptureFixture[str], query: str, said: str
) -> None:
    write(shop, query)
    assert main(["contract", "check"]) == 1
    assert said in capsys.readouterr().err
    write(shop, SQL.replace("at >", "'1:x' <> '' AND at::text IS NOT NULL AND at >"))
    assert main(["contract", "check"]) == 0
