"""The command ``release``: what there is, proof of one, and the way back in one line."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from sqlalchemy import update

from include.kreislauf.cli import main
from include.kreislauf.deployment import confirmation
from include.kreislauf.handovers import Role
from include.kreislauf.store import workers
from include.kreislauf.store.schema import handovers
from include.kreislauf.store.workers import Worker
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
    first, again, second, taken = capsys.readouterr().out.splitlines()
    assert first.startswith("*    1  live")
    assert first.endswith("  test"), "the reason of its own promotion"
    assert again.endswith("release 2 was rolled back to it: Ada: it is worse")
    assert second.split()[:3] == ["2", "taken", "back"]
    assert second.endswith("  test")
    assert taken.endswith("taken back: Ada: it is worse")
    assert main(["release", "rollback", "radar", "--by", "Ada", "--reason", "worse still"]) == 1
    assert "nothing to roll back to: there was no release before" in capsys.readouterr().err


def test_what_is_not_confirmed_is_no_success(
    two_live: Lap, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = two_live.now()
    with two_live.store.write() as db:
        workers.beat(db, Worker("w1", "host", 7, {"radar": {"champion": 2}}, {}, now, now))
    monkeypatch.setattr(confirmation, "WAIT_SECONDS", 0.0)
    assert main(["release", "rollback", "radar", "--by", "Ada", "--reason", "it is worse"]) == 1
    said = capsys.readouterr().out
    assert "rolled back to release 1" in said
    assert "not confirmed after 0 s: host:7 answers with 2" in said


def test_a_person_makes_a_release_live_by_command(two_live: Lap, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["release", "promote", "radar", "1", "--by", "Ada", "--reason", "it was better"]) == 0
    assert "release 1 is live: promoted by Ada: it was better" in capsys.readouterr().out
    assert main(["release", "list", "radar"]) == 0
    assert "live again: promoted by Ada: it was better" in capsys.readouterr().out
    assert main(["release", "promote", "radar", "1", "--by", "Ada", "--reason", "again"]) == 1
    assert "release 1 is live already" in capsys.readouterr().err


def test_the_note_can_be_read_afterwards(two_live: Lap, capsys: pytest.CaptureFixture[str]) -> None:
    with two_live.store.write() as db:
        db.execute(update(handovers).where(handovers.c.stage == "deployment").values(document="# Release"))
    assert main(["release", "note", "radar"]) == main(["release", "note", "radar", "1"]) == 0
    assert capsys.readouterr().out == "# Release\n# Release\n"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["list", "nothing"], "nothing: no release yet"),
        (["verify", "radar", "--version", "9"], "there is no release 9"),
        (["verify", "radar"], "no release can be believed"),
        (["note", "radar", "9"], "there is no release 9"),
        (["promote", "radar", "9", "--by", "Ada", "--reason", "?"], "there is no release 9"),
        (["rollback", "nothing", "--reason", "?"], "has no signed contract; allowed: radar"),
    ],
)
@pytest.mark.usefixtures("two_live")
def test_what_cannot_be_done_is_said(
    capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    assert main(["release", *arguments]) == 1
    assert said in capsys.readouterr().err
