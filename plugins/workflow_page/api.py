"""The app behind the workflow page: its JSON API, and the answer when the store is away."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import APIRouter, Depends, FastAPI, Request, Response
from fastapi.responses import JSONResponse

from include.kreislauf.errors import ContractError, KreislaufError, StoreError
from include.kreislauf.feedback import overview
from include.kreislauf.feedback.alerts import Start
from include.kreislauf.feedback.overview_models import Overview, UseCase
from include.kreislauf.settings import get_settings
from include.kreislauf.store.database import get_store
from plugins.workflow_page.alerts import alert_routes
from plugins.workflow_page.documents import documents
from plugins.workflow_page.pages import pages

HEADERS = {
    # nothing but this server's own files runs or loads; only Airflow's own UI may frame the page
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "base-uri 'none'; form-action 'self'; frame-ancestors 'self'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "private, no-cache",
}

Guard = Callable[..., Any]

data = APIRouter(prefix="/api")


def make_app(*, page_guard: Guard, data_guard: Guard, alert_guard: Guard, start: Start) -> FastAPI:
    """The app, to be mounted by Airflow.

    Parameters
    ----------
    page_guard: dependency of every route; raises when the caller may not see the page.
    data_guard: dependency of the routes that answer with data or documents, besides.
    alert_guard: dependency of the route that takes alerts, besides.
    start: starts a run of the monitoring DAG.
    """
    app = FastAPI(
        title="Kreislauf",
        dependencies=[Depends(page_guard)],
        redirect_slashes=False,
        # these routes know no dependencies: they would answer anybody
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
    )
    app.include_router(pages)
    app.include_router(data, dependencies=[Depends(data_guard)])
    app.include_router(documents, dependencies=[Depends(data_guard)])
    app.include_router(alert_routes(start), dependencies=[Depends(alert_guard)])
    app.add_exception_handler(KreislaufError, _problem)
    app.middleware("http")(_with_headers)
    return app


@data.get("/use-cases")
def list_use_cases() -> list[UseCase]:
    """Every use case, and why a broken one cannot be used."""
    return overview.list_use_cases(get_store(), get_settings())


@data.get("/use-cases/{name}")
def show_use_case(name: str) -> Overview:
    """What the page shows of one use case."""
    return overview.overview(get_store(), get_settings(), name)


def _problem(_request: Request, error: Exception) -> Response:
    """An error of the domain as an answer that says what is wrong and what to do."""
    codes: dict[type[Exception], int] = {StoreError: 503, ContractError: 404}
    parts = {name: getattr(error, name, "") for name in ("what", "where", "allowed", "next_step")}
    return JSONResponse(parts, codes.get(type(error), 500))


async def _with_headers(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
    response = await call_next(request)
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)  # a document's own policy is stricter
    return response
