"""The application: its parts put together, and their life from start to stop."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from include.kreislauf import __version__
from include.kreislauf.service.champions import Champions
from include.kreislauf.service.journal import Journal
from include.kreislauf.service.limits import BodyLimit
from include.kreislauf.service.metrics import Measured, Metrics
from include.kreislauf.service.problems import add_handlers
from include.kreislauf.service.routes import Service, router
from include.kreislauf.settings import Settings, get_settings
from include.kreislauf.store.database import Store


def create_app(settings: Settings | None = None, store: Store | None = None) -> FastAPI:
    """Make an application; it follows the store's live releases from its start to its stop.

    Parameters
    ----------
    settings: default: from the environment.
    store: default: the one that the settings name. It need not be reachable yet: until then, not ready.
    """
    settings = settings or get_settings()
    store = store or Store(settings.store)
    metrics = Metrics()
    champions = Champions(store, metrics)

    @asynccontextmanager
    async def life(_app: FastAPI) -> AsyncIterator[None]:
        champions.start()
        yield
        champions.stop()

    # Without /docs and /redoc: their pages load scripts from other hosts.
    app = FastAPI(
        title="Kreislauf predictions", version=__version__, lifespan=life, docs_url=None, redoc_url=None,
        description="Answers from the live releases, and takes what really happened.",
    )  # fmt: skip
    app.state.service = Service(settings, champions, Journal(store, metrics), metrics)
    app.include_router(router)
    add_handlers(app)
    app.add_middleware(BodyLimit)
    app.add_middleware(Measured, metrics=metrics)
    return app
