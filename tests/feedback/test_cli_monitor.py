"""The command ``monitor``: says what it looked at, and changes nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from include.kreislauf.cli import main
from include.kreislauf.handovers import Role
from include.kreislauf.settings import ROOT
from include.kreislauf.store.database import Store
from tests.support.lap import Lap
from tests.support.outcomes import happen

AS_OF = datetime(2016, 1, 1, tzinfo=UTC)


@pytest.fixture
def live(scripted: Lap, monkeypatch: pytest.MonkeyPatch) -> Lap:
    """Release 1 is live; commands find its store and its use cases."""
    scripted.manual(Role.REQUIREMENTS, as_of=AS_OF)
    monkeypatch.setenv("KREISLAUF_HOME", str(scripted.settings.home))
    monkeypatch.setenv("KREISLAUF_USE_CASES", str(scripted.settings.use_cases))
    monkeypatch.setenv("KREISLAUF_STORE_URL", scripted.settings.store)
    return scripted


def test_what_was_looked_at_is_said(live: Lap, capsys: pytest.CaptureFixture[str]) -> None:
    for quarter in (1, 2, 3):
        happen(live, f"2016Q{quarter}", 0.05)
    signed, before = live.contract.hash[:12], live.verdicts()
    assert main(["monitor", "radar", "--as-of", "2017-01-01"]) == 0
    first, second, *_ = capsys.readouterr().out.splitlines()
    assert first == f"radar: release 1, contract {signed}, as of 2017-01-01 00:00 UTC"
    assert second.startswith("portfolio_uplift: healthy: mean of 3 periods 0.05")
    assert live.verdicts() == before


def test_a_broken_file_is_judged_by_what_was_signed(live: Lap, capsys: pytest.CaptureFixture[str]) -> None:
    signed = live.contract.hash[:12]
    (live.settings.use_cases / "radar" / "contract.yaml").write_text("not: a contract\n")
    assert main(["monitor", "radar"]) == 0
    assert f"radar: release 1, contract {signed}, as of " in capsys.readouterr().out


def test_the_future_is_refused(live: Lap, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["monitor", "radar", "--as-of", "2999-01-01"]) == 1
    assert "--as-of: 2999-01-01 is in the future; allowed: up to " in capsys.readouterr().err


def test_an_unknown_use_case_names_the_known_ones(live: Lap, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["monitor", "nope"]) == 1
    assert "no use case is named 'nope'; allowed: radar" in capsys.readouterr().err


def test_a_store_that_needs_an_upgrade_is_left_as_it_is(
    live: Lap, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    url = f"sqlite:///{tmp_path / 'empty.db'}"
    monkeypatch.setenv("KREISLAUF_STORE_URL", url)
    assert main(["monitor", "radar"]) == 1
    assert "next: run: python -m include.kreislauf store upgrade" in capsys.readouterr().err
    assert Store(url).revision() is None


def test_a_reader_that_has_seen_enough_gets_no_traceback() -> None:
    reads, writes = os.pipe()
    os.close(reads)
    command = [sys.executable, "-m", "include.kreislauf", "contract", "schema"]
    ran = subprocess.run(command, cwd=ROOT, stdout=writes, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writes)
    assert (ran.returncode, ran.stderr) == (1, "")
