"""`make up` finds every fault before it changes anything, and says what it is, where, and what to do."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from deploy.stack import computer, versions
from deploy.stack.__main__ import parser
from deploy.stack.computer import data_folder
from deploy.stack.env_file import BEFORE
from deploy.stack.errors import Refused
from deploy.stack.ports import holders_of, published
from deploy.stack.preflight import preflight
from deploy.stack.up import parallelism, up
from tests.production.host import PROJECT, Host, make_host
from tests.support.ports import free_port

FLOOR = 0.001


@pytest.fixture
def host(tmp_path: Path) -> Host:
    made = make_host(tmp_path)
    for port in published(made.stack):
        made.set(**{port.variable: str(free_port())})
    return made


def faults(host: Host, floor: float = FLOOR) -> list[str]:
    """What `up` refuses with; nothing was changed."""
    with pytest.raises(Refused) as refused:
        up(host.stack, floor_gib=floor, seconds=1)
    assert host.changes == []
    assert refused.value.code == 2
    return [one.text for one in refused.value.faults]


def only(host: Host, floor: float = FLOOR) -> str:
    found = faults(host, floor)
    assert len(found) == 1, found
    return found[0]


def test_nothing_is_found_on_a_good_host(host: Host) -> None:
    found = preflight(host.stack, floor_gib=FLOOR)
    assert (found.faults, found.warnings) == ([], [])
    assert host.changes == []


def test_without_secrets_the_next_step_is_to_make_them(host: Host) -> None:
    host.variables |= {one.variable: one.text for one in published(host.stack)}
    host.env.unlink()
    assert only(host) == f"{host.env}: is missing; next: make secrets; {BEFORE}"


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("", "is missing or empty"),
        ("short1", "too short"),
        ("changeme-changeme-changeme", "default or easily guessed"),
        ("aaaaaaaaaaaaaaaaaaaaaaaa", "default or easily guessed"),
        ("airflow-admin-password-123456", "default or easily guessed"),
        ("pAss/word@with:odd#signs9876", "breaks a URL"),
    ],
)
def test_a_bad_secret_is_named_and_never_shown(value: str, told: str, host: Host) -> None:
    host.set(AIRFLOW_ADMIN_PASSWORD=value)
    text = only(host)
    assert told in text
    assert "AIRFLOW_ADMIN_PASSWORD" in text
    assert not value or value not in text


def test_one_secret_for_two_is_told(host: Host) -> None:
    host.set(KREISLAUF_DB_PASSWORD=host.stack.values["AIRFLOW_DB_PASSWORD"])
    assert "KREISLAUF_DB_PASSWORD has the same value as AIRFLOW_DB_PASSWORD" in only(host)


@pytest.mark.parametrize("value", ["A" * 44, "c2hvcnQ=", "not base64 at all, but long enough it is"])
def test_a_bad_fernet_key(value: str, host: Host) -> None:
    host.set(AIRFLOW_FERNET_KEY=value)
    assert "AIRFLOW_FERNET_KEY is no Fernet key" in only(host)


def test_the_shell_stands_above_the_file_as_for_compose(host: Host) -> None:
    host.variables["POSTGRES_PASSWORD"] = "postgres"
    assert "POSTGRES_PASSWORD is too short" in only(host)


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o602])
def test_others_can_read_or_change_the_secrets(mode: int, host: Host) -> None:
    host.env.chmod(mode)
    assert f"mode {mode:04o}" in only(host)
    assert f"chmod 600 {host.env}" in only(host)


def test_no_docker(host: Host) -> None:
    (host.programs / "docker").unlink()
    host.variables["PATH"] = str(host.programs)
    assert only(host).startswith("docker: is not installed")


@pytest.mark.parametrize(
    ("engine", "told"),
    [("denied", f"uid {os.geteuid()} may not use Docker"), ("away", "Is the docker daemon running?")],
)
def test_an_engine_that_does_not_answer(engine: str, told: str, host: Host) -> None:
    host.world["engine"] = engine
    text = only(host)
    assert told in text
    assert "next: sudo" in text


def test_no_compose(host: Host) -> None:
    host.world["compose"] = False
    host.variables["PATH"] = f"{host.programs}:/nowhere"
    assert only(host).startswith("Compose: is not installed")


def test_what_compose_says_of_the_file(host: Host) -> None:
    host.world["results"] = {"config": 15}
    assert only(host) == "Compose file: it says why; next: correct what it names"


def test_a_port_in_use_and_by_whom(host: Host) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        number = taken.getsockname()[1]
        host.set(SERVICE_PORT=str(number))
        assert any(f"process {os.getpid()})" in one for one in holders_of(number))
        text = only(host)
        assert text.startswith(f"SERVICE_PORT={number}: is in use by ")
        assert f"process {os.getpid()}" in text
        assert "set SERVICE_PORT to another port" in text


def test_a_port_that_another_container_has(host: Host) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        host.set(AIRFLOW_PORT=str(taken.getsockname()[1]))
        host.world["names"] = "somebodys_web_1\n"
        assert "is in use by the container somebodys_web_1" in only(host)


def test_a_port_of_our_own_running_stack_is_no_fault(host: Host) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        number = taken.getsockname()[1]
        host.set(AIRFLOW_PORT=str(number))
        host.world["ports"] = f"127.0.0.1:{number}->8080/tcp\n8000/tcp\n"
        assert preflight(host.stack, floor_gib=FLOOR).faults == []


@pytest.mark.parametrize("value", ["0", "65536", "http"])
def test_a_port_that_is_none(value: str, host: Host) -> None:
    host.set(AIRFLOW_PORT=value)
    assert only(host).startswith(f"AIRFLOW_PORT={value}: is no port; allowed: 1 to 65535")


def test_a_port_for_two(host: Host) -> None:
    host.set(SERVICE_PORT=host.stack.values["AIRFLOW_PORT"])
    assert "is the port of AIRFLOW_PORT too" in only(host)


def test_tasks_that_nobody_would_do(host: Host) -> None:
    host.set(COMPOSE_PROFILES="grafana")
    assert only(host).startswith("COMPOSE_PROFILES=grafana: has no celery, so there are no workers")
    host.set(AIRFLOW_EXECUTOR="LocalExecutor")
    assert preflight(host.stack, floor_gib=FLOOR).faults == []


def test_a_full_disk(host: Host) -> None:
    text = only(host, floor=10_000_000)
    assert text.startswith(f"{host.root}: ")
    assert "allowed: 1e+07 GiB or more" in text


def test_a_disk_that_cannot_be_looked_at_is_a_warning(host: Host) -> None:
    host.world["info"]["DockerRootDir"] = "/in/another/machine"
    found = preflight(host.stack, floor_gib=FLOOR)
    assert found.faults == []
    assert "/in/another/machine" in found.warnings[0]


def test_little_memory_and_one_cpu_are_warnings(host: Host) -> None:
    host.world["info"] |= {"MemTotal": 2 * 1024**3, "NCPU": 1}
    found = preflight(host.stack, floor_gib=FLOOR)
    assert found.faults == []
    assert ["2.0 GiB of memory" in found.warnings[0], "1 CPU" in found.warnings[1]] == [True, True]


def test_a_folder_of_data_that_is_missing(host: Host) -> None:
    host.set(KREISLAUF_DATA_FOLDER=str(host.root / "data"))
    assert f"mkdir -p {host.root / 'data'}" in only(host)


def test_the_default_folder_of_data_need_not_exist(host: Host) -> None:
    assert not (host.root / "var/data").exists()
    assert preflight(host.stack, floor_gib=FLOOR).faults == []


def test_a_folder_of_data_that_is_a_file(host: Host) -> None:
    (host.root / "data").touch()
    host.set(KREISLAUF_DATA_FOLDER="./data")
    assert only(host).startswith("KREISLAUF_DATA_FOLDER=./data: is no folder")


@pytest.mark.parametrize("closed", ["data", "data/inner", "data/inner/table.csv"])
def test_data_that_tasks_cannot_read(closed: str, host: Host) -> None:
    (host.root / "data/inner").mkdir(parents=True)
    (host.root / "data/inner/table.csv").touch()
    for path in (host.root / "data", *(host.root / "data").rglob("*")):
        os.chown(path, -1, 12_345) if os.geteuid() == 0 else None
        path.chmod(0o755 if path.is_dir() else 0o644)
    (host.root / closed).chmod(0o700 if (host.root / closed).is_dir() else 0o600)
    host.set(KREISLAUF_DATA_FOLDER="./data")
    text = only(host)
    assert f"{host.root / closed} cannot be read by tasks (uid 50000, gid 0)" in text
    assert "chmod -R a+rX" in text


def test_a_volume_of_a_wrong_owner(host: Host) -> None:
    host.volume("kreislauf", strange=["artefacts/x", 0], mark=_mark(host))
    text = only(host)
    assert text.startswith(
        f"volume {PROJECT}_kreislauf: artefacts/x belongs to the uid 0; allowed: uid 50000"
    )
    assert "chown" in text


def _mark(host: Host, **changed: str) -> str:
    import json

    return json.dumps({**versions.of_code(host.root), **changed})


@pytest.mark.parametrize("changed", [{"bundle": "0.0.9"}, {"airflow": "3.2.9"}, {"schema": "0001"}])
def test_a_volume_of_an_older_version(changed: dict[str, str], host: Host) -> None:
    host.volume("kreislauf", mark=_mark(host, **changed))
    text = only(host)
    assert next(iter(changed.values())) in text
    assert "next: make upgrade" in text
    assert preflight(host.stack, upgrading=True, floor_gib=FLOOR).faults == []


@pytest.mark.parametrize(
    "changed", [{"bundle": "9.0"}, {"airflow": "3.10.0"}, {"schema": "9999", "bundle": "0.0.1"}]
)
def test_a_volume_of_a_newer_version(changed: dict[str, str], host: Host) -> None:
    host.volume("kreislauf", mark=_mark(host, **changed))
    assert "this code is older" in only(host)
    assert len(preflight(host.stack, upgrading=True, floor_gib=FLOOR).faults) == 1


@pytest.mark.parametrize("mark", [None, "", "{}", "[1]", "no JSON"])
def test_a_volume_from_before_versions_were_written(mark: str | None, host: Host) -> None:
    host.volume("kreislauf", mark=mark)
    assert "a version that did not write which it is" in only(host)


def test_an_empty_volume_is_of_every_version(host: Host) -> None:
    host.volume("kreislauf", empty=True)
    host.volume("spool", empty=True)
    assert preflight(host.stack, floor_gib=FLOOR).faults == []


def test_a_database_of_another_server(host: Host) -> None:
    host.volume("postgres", postgres="14")
    text = only(host)
    assert "it was made by PostgreSQL 14" in text
    assert "POSTGRES_IMAGE=postgres:14" in text


def test_volumes_that_nobody_can_look_into_are_a_warning(host: Host) -> None:
    host.world["images"] = {}
    host.volume("kreislauf")
    found = preflight(host.stack, floor_gib=FLOOR)
    assert found.faults == []
    assert "not checked" in found.warnings[0]


def test_images_that_are_to_be_taken_as_they_are_must_be_there(host: Host) -> None:
    host.world["images"] = {}
    with pytest.raises(Refused, match="image kreislauf-airflow:dev: is not on this computer"):
        up(host.stack, build=False, floor_gib=FLOOR, seconds=1)
    assert host.changes == []


def test_all_faults_come_at_once(host: Host) -> None:
    host.set(
        AIRFLOW_ADMIN_PASSWORD="", AIRFLOW_FERNET_KEY="x", AIRFLOW_PORT="0", KREISLAUF_DATA_FOLDER="./nowhere"
    )
    host.env.chmod(0o644)
    host.volume("kreislauf", strange=[".", 0])
    found = faults(host, floor=10_000_000)
    for told in (
        "mode 0644",
        "ADMIN_PASSWORD",
        "FERNET",
        "no port",
        "GiB are free",
        "no such folder",
        "uid 0",
        "make upgrade",
    ):
        assert any(told in one for one in found), told


def test_of_a_folder_only_so_much_is_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(computer, "LOOKED_AT", 3)
    looked: list[Path] = []
    look: Callable[[Path], bool] = lambda path: bool(looked.append(path)) or True  # noqa: E731
    monkeypatch.setattr(computer, "_may_read", look)
    for number in range(9):
        (tmp_path / str(number)).touch()
    assert list(computer._unreadable(tmp_path)) == []
    assert len(looked) == 4


@pytest.mark.parametrize("name", ["WORKER_SLOTS", "AIRFLOW_PARALLELISM", "API_WORKERS"])
def test_a_number_that_is_none(host: Host, name: str) -> None:
    host.set(**{name: "many"})
    assert only(host).startswith(f"{name}=many: is no whole number from 1 on")


def test_profiles_may_have_spaces_between(host: Host) -> None:
    host.set(COMPOSE_PROFILES="grafana, celery")
    assert preflight(host.stack, floor_gib=FLOOR).faults == []


def test_a_home_folder_is_the_users(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    """As Compose understands it."""
    monkeypatch.setenv("HOME", str(host.root / "home"))
    host.set(KREISLAUF_DATA_FOLDER="~/data")
    assert data_folder(host.stack) == host.root / "home" / "data"


@pytest.mark.parametrize(
    "words", [["up", "--workers", "0"], ["up", "--workers", "x"], ["backup", "--to", "b", "--keep", "-1"]]
)
def test_numbers_of_options(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """A negative number of backups to keep would remove the oldest."""
    with pytest.raises(SystemExit):
        parser().parse_args(words)
    assert "is no whole number from" in capsys.readouterr().err


@pytest.mark.parametrize(("workers", "slots", "expected"), [(0, "", "4"), (0, "8", "8"), (3, "2", "6")])
def test_as_many_tasks_as_the_workers_take(host: Host, workers: int, slots: str, expected: str) -> None:
    host.set(WORKER_SLOTS=slots, AIRFLOW_PARALLELISM="")
    assert parallelism(host.stack, workers) == {"AIRFLOW_PARALLELISM": expected}


def test_a_profile_that_is_none(host: Host) -> None:
    """It would be passed over in silence."""
    host.set(COMPOSE_PROFILES="celery,grafna")
    assert only(host).startswith("COMPOSE_PROFILES=celery,grafna: no service has grafna; allowed: celery")


def test_the_secret_that_signs_tokens_is_longer(host: Host) -> None:
    host.set(AIRFLOW_JWT_SECRET="Jk3vQ9xT2mB7wZ5nR8cL4hD6pF1sG0yA")
    assert "AIRFLOW_JWT_SECRET is too short; allowed: 64 characters or more" in only(host)
