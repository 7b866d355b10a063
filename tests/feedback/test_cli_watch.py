"""The command ``watch``: what it needs before it begins."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from include.kreislauf import cli_watch
from include.kreislauf.cli import main
from include.kreislauf.cli_airflow import PASSWORD, USER, airflow_login
from include.kreislauf.cli_watch import require_made
from include.kreislauf.embedded.airflow_api import AirflowApi, AirflowApiError
from include.kreislauf.errors import KreislaufError
from include.kreislauf.store.database import Store


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (USER, PASSWORD):
        monkeypatch.delenv(name, raising=False)


def test_the_log_in_comes_from_the_environment_or_from_airflows_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "passwords.json"
    path.write_text('{"admin": "one", "watcher": "two"}')
    assert airflow_login(path) == ("admin", "one")
    monkeypatch.setenv(USER, "watcher")
    assert airflow_login(path) == ("watcher", "two")
    monkeypatch.setenv(PASSWORD, "three")
    assert airflow_login(None) == ("watcher", "three")


@pytest.mark.parametrize("content", [None, "", "[]", '{"other": "x"}'])
def test_without_a_password_it_says_what_to_set(content: str | None, tmp_path: Path) -> None:
    with pytest.raises(KreislaufError, match=PASSWORD):
        airflow_login(None)
    path = tmp_path / "passwords.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(KreislaufError, match="no password of admin can be read") as found:
        airflow_login(path)
    assert found.value.where == str(path)


def test_where_time_is_given_there_is_nothing_to_watch(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("KREISLAUF_CLOCK", "given")
    assert main(["watch", "--airflow", "http://127.0.0.1:1"]) == 1
    assert (
        "KREISLAUF_CLOCK: there is nothing to watch where time is given; allowed: wall"
        in capsys.readouterr().err
    )


@pytest.fixture
def stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A store that is there, and a password."""
    monkeypatch.setenv("KREISLAUF_HOME", str(tmp_path))
    monkeypatch.setenv(PASSWORD, "x")
    Store(f"sqlite:///{tmp_path / 'kreislauf.db'}").upgrade()
    return tmp_path


@pytest.mark.parametrize(("option", "said"), [
    ("--airflow=foo", "'foo' is no address; allowed: http://host:port or https://host:port"),
    ("--airflow=http://", "'http://' is no address"), ("--airflow=http://host:port", "is no address"),
    ("--seconds=0", "'0' is no number of seconds; allowed: above 0, up to 3600"), ("--seconds=-1", "'-1' is no number of"),
    ("--seconds=nan", "'nan' is no number of"), ("--seconds=1e9", "'1e9' is no number of"),
])  # fmt: skip
def test_an_option_that_means_nothing_is_refused_at_the_start(
    option: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(["watch", "--airflow", "http://127.0.0.1:1", option])
    assert said in capsys.readouterr().err


def test_a_store_that_does_not_exist_ends_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("KREISLAUF_HOME", str(tmp_path / "lost"))
    monkeypatch.setenv(PASSWORD, "x")
    assert main(["watch", "--airflow", "http://127.0.0.1:1"]) == 1
    told = capsys.readouterr().err
    assert f"sqlite:///{tmp_path / 'lost' / 'kreislauf.db'}: " in told
    assert "next: run: python -m include.kreislauf store upgrade" in told


def test_a_store_that_is_away_does_not(caplog: pytest.LogCaptureFixture) -> None:
    require_made(Store("postgresql+psycopg://me:s3cret@127.0.0.1:1/lost"))
    assert "the workflow store cannot be reached" in caplog.text
    assert "s3cret" not in caplog.text


def test_a_file_that_cannot_be_touched_is_told_at_the_start(
    stored: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = stored / "lost" / "alive"
    assert main(["watch", "--airflow", "http://127.0.0.1:1", "--alive", str(path)]) == 1
    assert f"{path}: cannot be written: No such file or directory" in capsys.readouterr().err


def test_it_counts_as_alive_only_once_the_login_was_tried(
    stored: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = stored / "alive"

    def login(_: object) -> None:
        raise KreislaufError(f"there already: {path.exists()}")

    monkeypatch.setattr(cli_watch, "_try", login)
    assert main(["watch", "--airflow", "http://127.0.0.1:1", "--alive", str(path)]) == 1
    assert "there already: False" in capsys.readouterr().err


class Page(BaseHTTPRequestHandler):
    """A server that is not Airflow's: a page of many lines for whatever is asked for."""

    status = 200

    def do_POST(self) -> None:
        body = b"<!doctype html>\n<html>\n<body>\nHello\n</body>\n</html>\n"
        self.send_response(self.status)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.mark.parametrize("status", [200, 404])
def test_a_server_that_is_not_airflows_is_told_in_one_line(status: int) -> None:
    server = HTTPServer(("127.0.0.1", 0), type("Answer", (Page,), {"status": status}))
    thread = threading.Thread(target=server.handle_request)
    thread.start()
    with (
        AirflowApi(f"http://127.0.0.1:{server.server_port}", "a", "b", patience=0.0) as airflow,
        pytest.raises(AirflowApiError, match=f"Airflow answered {status}: an HTML page") as found,
    ):
        airflow.dags()
    thread.join()
    server.server_close()
    assert found.value.status == status
    assert "is this the address of Airflow's API server?" in found.value.next_step
    assert "\n" not in found.value.text
