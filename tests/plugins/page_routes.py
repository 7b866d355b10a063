"""The routes of the workflow page's app, and a guard that lets everybody pass."""

from __future__ import annotations

import re

from fastapi import FastAPI
from fastapi.routing import APIRoute

from tests.plugins.story import NAME


def allow() -> None:
    """A guard that lets everybody in."""


def routes(app: FastAPI) -> list[str]:
    """A path for every route of the app, parameters filled in."""
    found = []
    for route in app.routes:
        assert isinstance(route, APIRoute), f"{route} knows no dependencies"
        found.append(re.sub(r"\{.*?\}", "page.js" if "static" in route.path else NAME, route.path))
    return found
