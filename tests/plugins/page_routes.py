"""The routes of the workflow page's app, and a guard that lets everybody pass."""

from __future__ import annotations

import re

from fastapi import FastAPI
from fastapi.routing import APIRoute

from tests.plugins.story import NAME


def allow() -> None:
    """A guard that lets everybody in."""


VALUES = {"use_case": NAME, "cycle_id": "c0002-2015-10-01", "attempt": "1"}
NAMES = {"/static/": "page.js", "/documents/": "model_card"}
"""What ``{name}`` is, by the beginning of the path; elsewhere the use case."""


def routes(app: FastAPI) -> list[str]:
    """A path for every route of the app, parameters filled in."""
    found = []
    for route in app.routes:
        assert isinstance(route, APIRoute), f"{route} knows no dependencies"
        name = next((one for start, one in NAMES.items() if route.path.startswith(start)), NAME)
        values = {**VALUES, "name": name}
        found.append(re.sub(r"\{(\w+).*?\}", lambda match, of=values: of[match[1]], route.path))
    return found
