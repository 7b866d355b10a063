"""Logs of the service and the commands: for people or as JSON, and without passwords."""

from __future__ import annotations

import json
import logging
import subprocess
import sys

import pytest

from include.kreislauf.errors import StoreError
from include.kreislauf.logs import JsonFormatter
from include.kreislauf.store.database import Store

SECRET = "s3cret-canary"
AWAY = f"postgresql+psycopg://kreislauf:{SECRET}@127.0.0.1:1/kreislauf"


def line(**more: object) -> dict[str, str]:
    record = logging.LogRecord("kreislauf", logging.WARNING, "f", 1, "two\nlines of %s", ("ä",), None)
    record.__dict__.update(more)
    found = JsonFormatter().format(record)
    assert "\n" not in found
    parsed: dict[str, str] = json.loads(found)
    return parsed


def test_a_line_is_one_object() -> None:
    found = line()
    assert found.pop("timestamp").endswith("+00:00")
    assert found == {"level": "warning", "logger": "kreislauf", "event": "two\nlines of ä"}


def test_use_case_and_cycle_are_fields_where_they_are_known() -> None:
    found = line(use_case="radar", cycle="c0001", other="not told")
    assert (found["use_case"], found["cycle"]) == ("radar", "c0001")
    assert "other" not in found


def test_an_exception_is_told_in_the_same_line() -> None:
    try:
        raise ValueError("no")
    except ValueError:
        assert "ValueError: no" in line(exc_info=sys.exc_info())["exception"]


@pytest.mark.parametrize("log_format", ["json", "text"])
def test_the_service_logs_as_told_and_never_the_password_of_its_store(log_format: str) -> None:
    code = (
        "import include.kreislauf.service.__main__ as main; main.STORE_PATIENCE_SECONDS = 0; main.time.sleep = lambda _: None;"
        "main.main(['--host', '0.0.0.0'])"
    )
    env = {"KREISLAUF_STORE_URL": AWAY, "KREISLAUF_LOG_FORMAT": log_format, "PATH": "/usr/bin:/bin"}
    found = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, timeout=60)
    assert found.returncode == 2
    assert "cannot be read" in found.stderr
    assert SECRET not in found.stderr + found.stdout


def test_an_unreachable_store_is_told_without_its_password() -> None:
    with pytest.raises(StoreError) as caught:
        Store(AWAY).require()
    assert "127.0.0.1:1" in caught.value.text
    assert SECRET not in caught.value.text


def test_set_up_follows_the_setting() -> None:
    code = "from include.kreislauf.logs import set_up; import logging; set_up(); logging.getLogger('a').info('hello')"
    shown = {}
    for log_format in ("json", "text"):
        env = {"KREISLAUF_LOG_FORMAT": log_format, "PATH": "/usr/bin:/bin"}
        found = subprocess.run(
            [sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True
        )
        shown[log_format] = found.stderr
    assert json.loads(shown["json"])["event"] == "hello"
    assert shown["text"].endswith("INFO a hello\n")
