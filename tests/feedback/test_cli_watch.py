"""The command ``watch``: what it needs before it begins."""

from __future__ import annotations

from pathlib import Path

import pytest

from include.kreislauf.cli import main
from include.kreislauf.cli_watch import PASSWORD, USER, airflow_login
from include.kreislauf.errors import KreislaufError


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
