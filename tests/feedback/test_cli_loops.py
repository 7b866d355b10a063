"""The command ``loops``: the ledger, which loops pay, and what is wrong with a call. (Raising: see tests/ring.)"""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from include.kreislauf.cli import main
from include.kreislauf.handovers import Edge, Role
from tests.support.lap import Lap
from tests.support.outcomes import happen

AS_OF = datetime(2016, 1, 1, tzinfo=UTC)
RAISE = [
    "loops",
    "raise",
    "radar",
    "monitoring->data_engineering",
    "--reason",
    "x",
    "--airflow",
    "http://127.0.0.1:1",
]


@pytest.fixture
def looped(scripted: Lap, monkeypatch: pytest.MonkeyPatch) -> Lap:
    """One loop that helped, and one of a person that was refused."""
    scripted.manual(Role.REQUIREMENTS, as_of=AS_OF)
    for year, uplift in ((2016, -0.06), (2017, 0.05)):
        as_of = [happen(scripted, f"{year}Q{number}", uplift) for number in (1, 2, 3)][-1]
        scripted.check(as_of)
    cycle = scripted.cycles()[0].cycle_id
    scripted.manual(
        Role.MLOPS,
        as_of=as_of,
        loop=Edge.MLOPS_TO_DATA_SCIENCE,
        cycle=cycle,
        by="Ada",
        reason="not like this",
    )
    monkeypatch.setenv("KREISLAUF_HOME", str(scripted.settings.home))
    return scripted


def test_the_ledger_is_listed_oldest_first(looped: Lap, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["loops", "list", "radar"]) == 0
    helped, refused = capsys.readouterr().out.splitlines()
    assert helped.startswith(
        "2017-01-01  c0002-2017-01-01/1  monitoring→data_engineering  business_metric_fell  closed  "
        "portfolio_uplift -0.06 [-0.06, -0.06] -> 0.05 [0.05, 0.05]  helped, surely  "
    )
    assert "mlops→data_science  retriggered  refused  (cycle c0001-2016-01-01 is live: release 1)" in refused
    assert refused.endswith("Ada: not like this")
    assert main(["loops", "list", "radar", "--limit", "1"]) == 0
    assert capsys.readouterr().out.splitlines() == [refused]


@pytest.mark.parametrize("which", [["radar"], []])
def test_the_summary_says_which_loops_pay(
    looped: Lap, capsys: pytest.CaptureFixture[str], which: list[str]
) -> None:
    assert main(["loops", "summary", *which]) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith(
        "radar  mlops→data_science  retriggered  raised 1, refused 1, closed 0  machine time "
    )
    assert second.startswith(
        "radar  monitoring→data_engineering  business_metric_fell  raised 1, refused 0, closed 1  "
        "helped 1 (surely 1), surely harmed 0  "
        "mean gain of portfolio_uplift 0.11 [0.11, 0.11] log points per period  machine time "
    )


def test_without_a_loop_both_say_so(
    scripted: Lap, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    scripted.manual(Role.REQUIREMENTS, as_of=AS_OF)
    monkeypatch.setenv("KREISLAUF_HOME", str(scripted.settings.home))
    for arguments in (["list", "radar"], ["summary"], ["summary", "radar"]):
        assert main(["loops", *arguments]) == 0
        assert capsys.readouterr().out == "no loop yet\n"


def test_a_use_case_that_is_none_is_told_with_those_there_are(
    looped: Lap, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("KREISLAUF_AIRFLOW_PASSWORD", "secret")
    for arguments in (["list", "nope"], ["summary", "nope"], ["raise", "nope", *RAISE[3:]]):
        assert main(["loops", *arguments]) == 1
        assert "no use case is named 'nope' in the store; allowed: radar" in capsys.readouterr().err


def test_a_loop_inside_a_cycle_needs_one(
    looped: Lap, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("KREISLAUF_AIRFLOW_PASSWORD", "secret")
    assert main(["loops", "raise", "radar", "mlops->data_science", *RAISE[4:]]) == 1
    told = capsys.readouterr().err
    assert "radar: loop mlops→data_science needs a cycle; allowed: " in told
    assert "next: name one of them with --cycle" in told


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["radar", "up->down"], "no loop is called 'up->down'; allowed: data_engineering→requirements, "),
        (["radar", "monitoring->mlops", "--as-of", "soon"], "'soon' is no time; allowed: 2026-01-31"),
        (["radar", "monitoring->mlops", "--by", ""], "--by: it is empty; allowed: some words"),
        (["radar", "monitoring->mlops", "--wait", "0"], "'0' is no number of seconds; allowed: above 0"),
    ],
)
def test_a_call_that_cannot_be_understood_says_what_is_allowed(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(["loops", "raise", *arguments, "--reason", "x", "--airflow", "http://127.0.0.1:1"])
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [("--reason", " ", "it is empty; allowed: some words"), ("--airflow", "foo", "'foo' is no address")],
)
def test_what_airflow_need_not_be_asked_is_refused_at_once(
    option: str, value: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main([*RAISE, option, value])
    assert f"{option}: {said}" in capsys.readouterr().err


def test_raising_needs_a_password_and_an_airflow_that_answers(
    looped: Lap, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("KREISLAUF_AIRFLOW_PASSWORD", raising=False)
    assert main(RAISE) == 1
    assert "KREISLAUF_AIRFLOW_PASSWORD: no password for Airflow; next: set it" in capsys.readouterr().err
    monkeypatch.setenv("KREISLAUF_AIRFLOW_PASSWORD", "secret")
    assert main([*RAISE, "--wait", "1"]) == 1
    assert "no answer from Airflow" in capsys.readouterr().err
