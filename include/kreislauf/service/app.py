"""The application: its parts put together, and their life from start to stop."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from time import sleep
from typing import Any

from fastapi import FastAPI
from starlette.types import Receive, Scope, Send

from include.kreislauf import __version__
from include.kreislauf.inference.served import load_served
from include.kreislauf.service.arms import Counts
from include.kreislauf.service.follower import Follower
from include.kreislauf.service.gate import Gate, needed
from include.kreislauf.service.journal import Journal
from include.kreislauf.service.limits import RateLimit
from include.kreislauf.service.metrics import Metrics
from include.kreislauf.service.predicting import Predicting
from include.kreislauf.service.problems import add_handlers
from include.kreislauf.service.quick import Quick
from include.kreislauf.service.routes import Service, router
from include.kreislauf.service.served_release import ServedRelease, served_release
from include.kreislauf.settings import Settings, get_settings
from include.kreislauf.store.database import Store
from include.kreislauf.store.live import ReleaseRow
from include.kreislauf.store.release_files import at_once


class PredictionService(FastAPI):
    """FastAPI behind a gate; its document says which key each operation needs."""

    gate: Gate

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through the gate."""
        if scope["type"] == "http":
            await self.gate(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)

    def openapi(self) -> dict[str, Any]:
        """The OpenAPI document."""
        known = self.openapi_schema is not None
        found = super().openapi()
        if not known:
            _add_keys(found)
        return found


_give_way = partial(sleep, 0.005)
"""Between pieces of a release's loading: requests that are answered meanwhile wait for one piece, not for the whole."""


def create_app(settings: Settings | None = None, store: Store | None = None) -> PredictionService:
    """Make an application; it follows the store's live releases from its start to its stop.

    Parameters
    ----------
    settings: default: from the environment.
    store: default: the one that the settings name. It need not be reachable yet: until then, not ready.
    """
    settings = settings or get_settings()
    store = store or Store(settings.store)
    metrics, counts = Metrics(), Counts()

    def load(row: ReleaseRow) -> ServedRelease:
        """Verified, with its golden rows predicted as they were when it was made."""
        rest = _give_way if follower.view.champions else at_once
        return served_release(load_served(settings, row, rest), rest)

    follower = Follower(store, load, metrics, counts, settings.now)
    journal = Journal(store, settings.spool_folder, metrics, settings.spool_bytes)
    predicting = Predicting(settings, follower, journal, metrics, counts)

    @asynccontextmanager
    async def life(_app: FastAPI) -> AsyncIterator[None]:
        journal.start()
        follower.start()
        yield
        follower.stop()
        await predicting.drain()
        await journal.stop()

    # Without /docs and /redoc: their pages load scripts from other hosts.
    app = PredictionService(
        title="Kreislauf predictions", version=__version__, lifespan=life, docs_url=None, redoc_url=None,
        description="Answers from the live releases, and takes what really happened.",
    )  # fmt: skip
    rate = RateLimit(settings.outcomes_per_minute)
    app.state.service = Service(settings, store, follower, predicting, journal, metrics, rate)
    app.include_router(router)
    add_handlers(app)
    app.gate = Gate(
        super(PredictionService, app).__call__, Quick(predicting),
        follower, metrics, settings.now, keys_required=settings.keys_required,
    )  # fmt: skip
    return app


def _add_keys(document: dict[str, Any]) -> None:
    document["components"]["securitySchemes"] = {
        "bearer": {"type": "http", "scheme": "bearer"},
        "api_key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
    }
    for path, operations in document["paths"].items():
        scope, _ = needed(path)
        for operation in operations.values() if scope else ():
            operation["security"] = [{"bearer": []}, {"api_key": []}]
            operation["description"] = f"{operation.get('description', '')}\n\nScope: `{scope}`."
