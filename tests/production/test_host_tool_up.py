"""Starting, waiting, the canary, stopping and upgrading: in which order, and what is said when it does not work."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from deploy.stack import __main__ as tool
from deploy.stack import upgrade as upgrading
from deploy.stack import waiting
from deploy.stack.errors import CanaryFailed, Failed, Refused
from deploy.stack.up import addresses, down, prove, start, up
from deploy.stack.waiting import wait_until_healthy
from tests.production.host import PROJECT, Host, container, make_host

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
FLOOR = 0.001


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    monkeypatch.setattr(waiting, "LOOK_SECONDS", 0.01)
    made = make_host(tmp_path)
    # every port is the stack's own: nothing on this computer takes part
    made.world["ports"] = "".join(f"127.0.0.1:{number}->1/tcp\n" for number in (8080, 8000, 3000, 9090))
    made.world["containers"] = [
        container("api-server", health="healthy"),
        container("migrate", Status="exited"),
    ]
    return made


def compose_words(host: Host) -> list[list[str]]:
    """What Compose was told to do, without its options before."""
    return [call[call.index("--env-file") + 2 :] for call in host.changes if call[0] == "compose"]


def test_up_builds_starts_and_ends_with_the_canary(host: Host, capsys: pytest.CaptureFixture[str]) -> None:
    up(host.stack, workers=3, floor_gib=FLOOR)
    build, started, tried = compose_words(host)
    assert build == ["build"]
    assert started == ["up", "-d", "--scale", "worker=3"]
    assert tried[:3] == ["exec", "-T", "watcher"]
    assert "canary --airflow http://api-server:8080" in " ".join(tried)
    assert (host.root / "var/data").is_dir()
    assert "http://127.0.0.1:8000" in capsys.readouterr().out


def test_neither_build_nor_canary_when_they_are_not_wanted(host: Host) -> None:
    up(host.stack, build=False, canary=False, floor_gib=FLOOR)
    assert compose_words(host) == [["up", "-d"]]


def test_a_build_that_fails_starts_nothing(host: Host) -> None:
    host.world["results"] = {"build": 1}
    with pytest.raises(Failed, match="an image cannot be built"):
        up(host.stack, floor_gib=FLOOR)
    assert compose_words(host) == [["build"]]


def test_a_canary_that_fails_has_an_exit_code_of_its_own(host: Host) -> None:
    host.world["results"] = {"exec": 1}
    with pytest.raises(CanaryFailed, match="the canary did not come through") as failed:
        up(host.stack, floor_gib=FLOOR)
    assert failed.value.code == 3


def test_the_guilty_container_is_named_with_its_last_lines_and_without_secrets(host: Host) -> None:
    secret = host.stack.values["POSTGRES_PASSWORD"]
    host.world["containers"] = [
        container("api-server", health="healthy"),
        container("migrate", Status="exited", ExitCode=1),
    ]
    host.world["logs"] = f"cannot log in with {secret}"
    with pytest.raises(Failed) as failed:
        wait_until_healthy(host.stack, 60)
    assert "migrate (exited, exit code 1" in failed.value.what
    assert "cannot log in with <POSTGRES_PASSWORD>" in failed.value.what
    assert "logs migrate" in failed.value.next_step


def test_compose_that_cannot_start_everything_tells_why(host: Host) -> None:
    host.world["results"] = {"up": 1}
    host.world["containers"] = [container("migrate", Status="exited", ExitCode=1)]
    host.world["logs"] = "no such revision"
    with pytest.raises(Failed, match="no such revision"):
        start(host.stack)


@pytest.mark.parametrize(
    ("state", "told"),
    [
        ({"health": "unhealthy"}, "api-server (unhealthy)"),
        ({"health": "starting"}, "api-server (starting)"),
        ({"Status": "created"}, "api-server (created"),
    ],
)
def test_whoever_is_not_healthy_in_time_is_named(state: dict[str, Any], told: str, host: Host) -> None:
    host.world["containers"] = [container("postgres", health="healthy"), container("api-server", **state)]
    with pytest.raises(Failed) as failed:
        wait_until_healthy(host.stack, 0)
    assert told in failed.value.what
    assert "postgres (" not in failed.value.what


def test_what_is_started_anew_again_and_again_is_not_waited_for(host: Host) -> None:
    host.world["containers"] = [container("worker", Status="restarting", ExitCode=1, restarts=3)]
    with pytest.raises(Failed, match="worker \\(restarting, exit code 1, restarted 3 times\\)"):
        wait_until_healthy(host.stack, 3600)


def test_restarts_of_long_ago_do_not_count(host: Host) -> None:
    host.world["containers"] = [container("worker", health="healthy", restarts=30)]
    assert wait_until_healthy(host.stack, 0) >= 0


def test_progress_names_what_is_awaited(
    host: Host, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    host.world["containers"] = [
        container("api-server", health="starting"),
        container("redis", health="healthy"),
    ]
    stack = host.stack

    def becomes_healthy(_seconds: float) -> None:
        host.world["containers"][0]["State"]["Health"]["Status"] = "healthy"
        assert host.stack

    # not the sleep of everybody: subprocess sleeps too, while a program takes its time to end
    monkeypatch.setattr(waiting, "time", SimpleNamespace(sleep=becomes_healthy, monotonic=time.monotonic))
    wait_until_healthy(stack, 60)
    (line,) = capsys.readouterr().out.splitlines()
    assert line.endswith(" s  waiting for api-server (starting)")


def test_the_canary_does_not_wait_for_what_it_does_not_need(host: Host) -> None:
    host.world["containers"].append(container("grafana", health="starting"))
    with pytest.raises(Failed, match="grafana"):
        prove(host.stack, canary=True, seconds=0)
    assert compose_words(host)[0][:3] == ["exec", "-T", "watcher"]


def test_no_container_at_all(host: Host) -> None:
    host.world["containers"] = []
    with pytest.raises(Failed, match="no container was made"):
        wait_until_healthy(host.stack, 0)


def test_down_keeps_volumes_and_reaches_every_profile(host: Host, capsys: pytest.CaptureFixture[str]) -> None:
    down(host.stack)
    (call,) = host.changes
    assert call[-1] == "down"
    assert [call[place + 1] for place, word in enumerate(call) if word == "--profile"] == host.stack.profiles
    assert {"celery", "dask"} <= set(host.stack.profiles)
    assert "every volume is kept" in capsys.readouterr().out


@pytest.mark.parametrize("confirm", ["", "yes", "other"])
def test_volumes_are_deleted_only_under_their_name(confirm: str, host: Host) -> None:
    with pytest.raises(Refused, match=f"CONFIRM={PROJECT}"):
        down(host.stack, volumes=True, confirm=confirm)
    assert host.changes == []
    down(host.stack, volumes=True, confirm=PROJECT)
    assert host.changes[0][-2:] == ["down", "--volumes"]


@pytest.fixture
def saved(host: Host, monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Of each backup what Compose had been told by then."""
    made: list[list[str]] = []

    def backup(_stack: object, folder: Path, _now: datetime) -> Path:
        made.append([one[0] for one in compose_words(host)])
        return folder / "one"

    monkeypatch.setattr(upgrading, "backup", backup)
    return made


def run_upgrade(host: Host) -> None:
    upgrading.upgrade(host.stack, host.root / "backups", NOW, floor_gib=FLOOR)


def test_an_upgrade_builds_and_backs_up_before_it_stops_anything(host: Host, saved: list[list[str]]) -> None:
    host.volume("postgres")
    host.world["containers"].append(container("postgres", health="healthy"))
    run_upgrade(host)
    words = [one[0] for one in compose_words(host)]
    assert words == ["build", "stop", "up", "exec"]
    assert saved == [["build"]]
    tags = [call for call in host.changes if call[0] == "tag"]
    assert [call[2] for call in tags] == [
        "kreislauf-airflow:before-20260301T120000Z", "kreislauf-service:before-20260301T120000Z",
    ]  # fmt: skip
    assert host.changes.index(tags[0]) == 0


@pytest.mark.parametrize("step", ["stop", "up", "exec"])
def test_an_upgrade_that_fails_says_how_to_go_back(
    step: str, host: Host, saved: list[list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    host.volume("postgres")
    host.world["containers"].append(container("postgres", health="healthy"))
    host.world["results"] = {step: 1}
    with pytest.raises(Failed):
        run_upgrade(host)
    told = capsys.readouterr().out
    for line in (
        f"make down VOLUMES=1 CONFIRM={PROJECT}",
        "KREISLAUF_TAG=before-20260301T120000Z",
        f"make restore FROM={host.root / 'backups/one'}",
        "make up BUILD=0",
    ):
        assert line in told


def test_an_upgrade_whose_build_fails_stops_nothing(host: Host, saved: list[list[str]]) -> None:
    host.volume("postgres")
    host.world["results"] = {"build": 1}
    with pytest.raises(Failed):
        run_upgrade(host)
    assert saved == []
    assert not any("stop" in call for call in host.changes)


def test_there_must_be_something_to_upgrade(host: Host, saved: list[list[str]]) -> None:
    with pytest.raises(Refused, match="there is no stack to upgrade"):
        run_upgrade(host)
    assert host.changes == []


def test_the_command_line_ends_with_the_code_of_what_happened(
    host: Host, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(tool, "ROOT", host.root)
    for name, value in host.stack.environ.items():
        monkeypatch.setenv(name, value)
    words = ["--project", PROJECT, "--min-free-gb", str(FLOOR)]
    assert tool.main([*words, "check"]) == 0
    host.env.chmod(0o644)
    assert tool.main([*words, "up"]) == Refused.code
    assert capsys.readouterr().out.splitlines()[-4:] == [
        "nothing was changed, because of 1 fault:",
        f"- {host.env}: can be read or changed by others (mode 0644)",
        "  allowed: mode 0600",
        f"  next: chmod 600 {host.env}, and make new secrets if others had access to this computer",
    ]
    host.env.chmod(0o600)
    host.world["results"] = {"build": 1}
    assert host.stack
    assert tool.main([*words, "up"]) == Failed.code
    host.world["results"] = {"exec": 1}
    assert host.stack
    assert tool.main([*words, "up"]) == CanaryFailed.code


def test_addresses_are_those_of_the_settings(host: Host) -> None:
    host.set(AIRFLOW_PORT="9999", PUBLISH_ADDRESS="10.1.2.3")
    assert "http://10.1.2.3:9999" in addresses(host.stack)


@pytest.mark.parametrize(
    ("project", "variables", "name"),
    [("Given", {}, "given"), ("", {"COMPOSE_PROJECT_NAME": "of_shell"}, "of_shell"), ("", {}, "myfolder1")],
)
def test_the_project_has_the_name_that_compose_gives_it(
    project: str, variables: dict[str, str], name: str, tmp_path: Path
) -> None:
    root = tmp_path / "My.Folder 1"
    root.mkdir()
    here: Callable[..., Any] = tool.Stack.here
    assert here(root, variables, project=project).project == name
