"""The command, over a piece of the simulated world's panel, with the practice example made light."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pandas as pd
import pytest

from include.kreislauf.cli import main
from include.kreislauf.errors import KreislaufError
from include.kreislauf.replay.command import ReplayOptions, replay, require_time
from include.kreislauf.replay.policies import Policy
from include.kreislauf.requirements import variants
from include.kreislauf.requirements.loading import contract_path, load_contract
from include.kreislauf.settings import get_settings
from include.kreislauf.simulation.panel import PANEL_PATH
from tests.support.plant import plant_contract
from tests.support.use_cases import EXAMPLE, write_use_case

COMMAND = ("replay", "radar")


@pytest.fixture
def recorded(
    simulated_panel: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> str:
    """The folder of a panel; the use case that is replayed over it learns by one quick family only."""
    root = tmp_path_factory.mktemp("root")
    write_use_case(root)
    shutil.copy(EXAMPLE / "recorded.yaml", root / "radar")
    monkeypatch.setenv("KREISLAUF_USE_CASES", str(root))
    return str(simulated_panel.parents[1])


def _first_quarter(recorded: str) -> str:
    """The quarter after the panel's first."""
    first = pd.read_csv(Path(recorded) / PANEL_PATH)["quarter_start"].min()
    return f"{pd.Timestamp(first) + pd.DateOffset(months=3):%Y-%m-%d}"


def test_two_policies_start_from_one_first_cycle(
    recorded: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = (
        "--data",
        recorded,
        "--from",
        "2016-01",
        "--to",
        "2016-07-01",
        "--every",
        "2",
        "--out",
        str(tmp_path),
    )
    assert main([*COMMAND, *arguments, "--policy", "never", "--policy", "scheduled"]) == 0
    told = json.loads((tmp_path / "replay.json").read_text())
    never, scheduled = told["policies"]
    assert (never["retrained"], scheduled["retrained"]) == ([], ["2016-07-01"])
    periods = [one["metrics"][0]["periods"] for one in (never, scheduled)]
    assert periods[0] == periods[1]
    assert [one["period"] for one in periods[0]] == ["2015-10-01", "2016-01-01"]
    out = capsys.readouterr().out
    path = contract_path(get_settings().use_cases, "radar")
    assert out.startswith(f"{path}, hash {load_contract(path).hash}\n")
    assert (told["contract"], told["contract_hash"]) == (str(path), load_contract(path).hash)
    assert out.count("the first cycle, in ") == 1
    assert "every 2 steps" in out
    assert re.search(r"^scheduled: \d+ s$", out, re.MULTILINE)
    assert "retrainings" in out


def test_an_oracle_over_recorded_years_is_refused(
    recorded: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*COMMAND, "--data", recorded, "--policy", "oracle", "--out", str(tmp_path)]) == 1
    assert "does not say when the world changed" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "texts"),
    [
        (("--from", "2035-01"), ("the data end at 20", "allowed: later than 20", "earlier than 20")),
        (("--from", "1990-01"), ("the data begin at 20", "allowed: later than 20", "and earlier than 20")),
        (("--from", "2016-01-01", "--to", "2016-01-02"), ("no whole quarter", "--to")),
    ],
)
def test_days_for_which_there_are_no_data_are_refused_before_anything_is_carried_out(
    arguments: tuple[str, ...],
    texts: tuple[str, ...],
    recorded: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main([*COMMAND, "--data", recorded, *arguments, "--out", str(tmp_path)]) == 1
    told = capsys.readouterr()
    assert all(text in told.err for text in texts), told.err
    assert "the first cycle" not in told.out


def test_a_first_cycle_that_fails_tells_what_its_last_loop_says(
    recorded: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # so early that there is no training data yet
    begins = _first_quarter(recorded)
    arguments = ("--data", recorded, "--from", begins, "--policy", "never", "--out", str(tmp_path))
    assert main([*COMMAND, *arguments]) == 1
    told = capsys.readouterr().err
    assert "the first cycle did not go live" in told
    assert "the last loop says: " in told
    assert "allowed: a later --from" in told
    assert "rejected by the replay: nobody is there to decide" in told
    assert "ledger" not in told


@pytest.mark.parametrize("below", [False, True])
def test_a_folder_of_the_report_that_cannot_be_is_refused_before_anything_is_carried_out(
    below: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "file"
    file.write_text("kept")
    assert main([*COMMAND, "--out", str(file / "below" if below else file)]) == 1
    told = capsys.readouterr()
    assert "allowed: a folder that this user may write to" in told.err
    assert told.out == ""
    assert file.read_text() == "kept"


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("--from", "soon"), "allowed: YYYY-MM or YYYY-MM-DD"),
        (("--policy", "sometimes"), "invalid choice"),
        (("--data", "x", "--seed", "1"), "not allowed with"),
    ],
)
def test_arguments_that_cannot_be_are_told(
    arguments: tuple[str, ...], text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main([*COMMAND, *arguments, "--out", str(tmp_path)])
    assert text in capsys.readouterr().err


def test_what_is_meant_where_nothing_is_said_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["replay", "--help"])
    told = " ".join(capsys.readouterr().out.split())
    assert "first cycle: YYYY-MM[-DD]; default: 2016-01-01" in told
    assert "last day, likewise; default: the end of the newest period in the data" in told
    assert "one scheduled loop to the next; default: 3" in told


def test_an_end_before_the_start_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*COMMAND, "--from", "2016-04", "--to", "2016-01", "--out", str(tmp_path)]) == 1
    assert "--to 2016-01-01 is not after --from 2016-04-01" in capsys.readouterr().err


def test_a_release_that_waits_for_live_traffic_is_refused_at_once(
    recorded: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    canary = "  approval: none\n  canary: {share: 0.1, min_requests: 100, max_hours: 24}"
    pattern = next(one for one in variants._WITHOUT_PERSONS if "approval" in one.pattern)
    monkeypatch.setitem(variants._WITHOUT_PERSONS, pattern, canary)
    options = ReplayOptions("radar", recorded, 0, "2016-01-01", "", (Policy.NEVER,), 3, False, tmp_path)
    with pytest.raises(KreislaufError, match="canary needs live traffic"):
        replay(options, print)


def test_rows_without_time_cannot_be_lived_through() -> None:
    with pytest.raises(
        KreislaufError, match=r"plant: its rows have no time: .*; allowed: use cases whose problem has time"
    ):
        require_time(plant_contract())
