"""The application: its parts put together, and their life from start to stop."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from include.kreislauf import __version__
from include.kreislauf.inference.served import serve
from include.kreislauf.service.arms import Counts
from include.kreislauf.service.follower import Follower
from include.kreislauf.service.gate import OPEN, SCOPES, Gate
from include.kreislauf.service.journal import Journal
from include.kreislauf.service.metrics import Metrics
from include.kreislauf.service.predicting import Predicting
from include.kreislauf.service.problems import add_handlers
from include.kreislauf.service.routes import Service, quick, router
from include.kreislauf.service.served_release import ServedRelease, served_release
from include.kreislauf.settings import Settings, get_settings
from include.kreislauf.store import release_files
from include.kreislauf.store.database import Store
from include.kreislauf.store.live import ReleaseRow


def create_app(settings: Settings | None = None, store: Store | None = None) -> FastAPI:
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
        served = serve(release_files.load_row(settings, row))
        served.check_golden()
        return served_release(served)

    follower = Follower(store, load, metrics, counts, settings.now)
    journal = Journal(store, settings.home / "spool", metrics)
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
    app = FastAPI(
        title="Kreislauf predictions", version=__version__, lifespan=life, docs_url=None, redoc_url=None,
        description="Answers from the live releases, and takes what really happened.",
    )  # fmt: skip
    app.state.service = Service(settings, store, follower, predicting, journal, metrics)
    app.include_router(quick)
    app.include_router(router)
    add_handlers(app)
    app.add_middleware(
        Gate, follower=follower, metrics=metrics, now=settings.now, keys_required=settings.keys_required
    )
    app.openapi = lambda: _openapi(app)  # type: ignore[method-assign]
    return app


def _openapi(app: FastAPI) -> dict[str, Any]:
    """FastAPI's document, and which key each operation needs."""
    if app.openapi_schema is None:
        found = get_openapi(
            title=app.title, version=app.version, description=app.description, routes=app.routes
        )
        found["components"]["securitySchemes"] = {
            "bearer": {"type": "http", "scheme": "bearer"},
            "api_key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
        }
        for path, operations in found["paths"].items():
            if path not in OPEN:
                scope = SCOPES.get(path.split("/")[-1], "admin")
                for operation in operations.values():
                    operation["security"] = [{"bearer": []}, {"api_key": []}]
                    operation["description"] = f"{operation.get('description', '')}\n\nScope: `{scope}`."
        app.openapi_schema = found
    return app.openapi_schema
