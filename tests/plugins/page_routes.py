"""The workflow page's app without Airflow, and its routes."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from fastapi import FastAPI
from fastapi.routing import APIRoute

from plugins.workflow_page.api import make_app
from tests.plugins.story import NAME


def allow() -> None:
    """A guard that lets everybody in."""


def starts_nothing(_run_id: str, _form: dict[str, str]) -> bool:
    raise AssertionError("nobody asked for a run")


def page(**parts: Callable[..., Any]) -> FastAPI:
    """The app; every guard that is not named lets everybody in."""
    guards = {"page_guard": allow, "data_guard": allow, "alert_guard": allow, "start": starts_nothing}
    return make_app(**(guards | parts))


VALUES = {"use_case": NAME, "cycle_id": "c0002-2015-10-01", "attempt": "1"}
NAMES = {"/static/": "page.js", "/documents/": "model_card"}
"""What ``{name}`` is, by the beginning of the path; elsewhere the use case."""


def routes(app: FastAPI) -> list[str]:
    """A path for every route of the app that shows something, parameters filled in."""
    found = []
    for route in app.routes:
        assert isinstance(route, APIRoute), f"{route} knows no dependencies"
        if "GET" not in route.methods:
            continue
        name = next((one for start, one in NAMES.items() if route.path.startswith(start)), NAME)
        values = {**VALUES, "name": name}
        found.append(re.sub(r"\{(\w+).*?\}", lambda match, of=values: of[match[1]], route.path))
    return found
