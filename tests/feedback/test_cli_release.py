"""The command ``release``: what there is, proof of one, and the way back in one line."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from include.kreislauf.cli import main
from include.kreislauf.handovers import Role
from tests.support.lap import Lap

AS_OF = datetime(2016, 1, 1, tzinfo=UTC)


@pytest.fixture
def two_live(scripted: Lap, monkeypatch: pytest.MonkeyPatch) -> Lap:
    """Release 2 is live, after release 1; commands find their store."""
    for reason in ("the first", "a better one"):
        scripted.manual(Role.REQUIREMENTS, as_of=AS_OF, reason=reason)
    monkeypatch.setenv("KREISLAUF_HOME", str(scripted.settings.home))
    return scripted


def test_releases_are_listed_with_the_champion_marked(
    two_live: Lap, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["release", "list", "radar"]) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first.split()[:2] == ["1", "promoted"]
    assert second.split()[:3] == ["*", "2", "live"]
    assert two_live.cycles()[-1].cycle_id in second


def test_a_rollback_by_command_says_what_it_did(two_live: Lap, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["release", "rollback", "radar", "--by", "Ada", "--reason", "it is worse"]) == 0
    said = capsys.readouterr().out
    assert "rolled back to release 1: Ada: it is worse" in said
    assert "no worker of the service is alive" in said
    assert main(["release", "list", "radar"]) == 0
    first = capsys.readouterr().out.splitlines()[0]
    assert first.startswith("*    1  live")
    assert "rolled back: Ada: it is worse" in first
    assert main(["release", "rollback", "radar", "--by", "Ada", "--reason", "worse still"]) == 1, (
        "nothing before it"
    )


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["list", "nothing"], "nothing: no release yet"),
        (["verify", "radar", "--version", "9"], "there is no release 9"),
        (["verify", "radar"], "no release can be believed"),
        (["rollback", "nothing", "--reason", "?"], "has no signed contract; allowed: radar"),
    ],
)
@pytest.mark.usefixtures("two_live")
def test_what_cannot_be_done_is_said(
    capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    assert main(["release", *arguments]) == 1
    assert said in capsys.readouterr().err
