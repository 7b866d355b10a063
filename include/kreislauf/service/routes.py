"""The endpoints.

What answers from memory is ``async`` and goes on while the store is busy; what reads the store runs in threads.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Depends, Path, Query, Request
from fastapi.responses import JSONResponse, Response
from prometheus_client import CONTENT_TYPE_LATEST
from sqlalchemy.exc import SQLAlchemyError
from starlette.concurrency import run_in_threadpool

from include.kreislauf.errors import StoreError
from include.kreislauf.service import schemas
from include.kreislauf.service.follower import Follower
from include.kreislauf.service.journal import Journal
from include.kreislauf.service.limits import RateLimit, refuse_future
from include.kreislauf.service.metrics import Metrics
from include.kreislauf.service.outcomes import as_stored
from include.kreislauf.service.predicting import Predicting
from include.kreislauf.service.problems import RefusedError, in_short, unavailable
from include.kreislauf.service.quick import PATH
from include.kreislauf.service.served_release import about_release, require_ranking
from include.kreislauf.settings import Settings
from include.kreislauf.store import live, workers
from include.kreislauf.store.database import Store


@dataclass(frozen=True)
class Service:
    """What the endpoints work with."""

    settings: Settings
    store: Store
    follower: Follower
    predicting: Predicting
    journal: Journal
    metrics: Metrics
    rate: RateLimit

    def taken_at(
        self, use_case: str, name: str, observed_at: Sequence[datetime], client: str | None
    ) -> datetime:
        """The time at which what was observed of a use case is taken.

        Raises
        ------
        RefusedError: nothing of the use case is live, an item's time has not come yet, or the client sends too many.
        """
        self.predicting.require_live(use_case)
        now = self.settings.now()
        if self.settings.clock == "wall":
            refuse_future(
                ((f"{name}.{index}.observed_at", moment) for index, moment in enumerate(observed_at)), now
            )
        try:
            self.rate.spend(client, len(observed_at), name)
        except RefusedError:
            self.metrics.limited.labels(use_case, name).inc()
            raise
        return now

    def read(self, query: Any, *given: Any) -> Any:
        """Ask the store.

        Raises
        ------
        RefusedError: 503, it does not answer.
        """
        try:
            with self.store.read() as db:
                return query(db, *given)
        except (StoreError, SQLAlchemyError) as error:
            self.metrics.store_failures.inc()
            raise unavailable(f"the store does not answer: {in_short(error)}") from error


async def _service(request: Request) -> Service:
    service: Service = request.app.state.service
    return service


def _errors(*statuses: int) -> dict[int | str, dict[str, Any]]:
    texts = {
        404: "No release of this use case is live.",
        401: "No key, or one that is unknown, expired or revoked.",
        403: "The key is good for other things.",
        413: "The body is larger than 1,000,000 bytes.",
        422: "A field is missing, unknown or wrong; nothing was stored.",
        429: "The client sent too many outcomes and reports; nothing was stored: again after Retry-After seconds.",
        503: "The store or the release is not available now; nothing is acknowledged.",
    }
    found: dict[int | str, dict[str, Any]] = {
        status: {"model": schemas.ErrorAnswer, "description": texts[status]}
        for status in (401, 403, *statuses)
    }
    return {**found, "default": {"model": schemas.ErrorAnswer, "description": "Any other error."}}


async def _client(request: Request) -> str | None:
    """Id of the request's key; ``None`` where no key is needed."""
    found: str | None = getattr(request.state, "client", None)
    return found


Injected = Annotated[Service, Depends(_service)]
Client = Annotated[str | None, Depends(_client)]
UseCase = Annotated[str, Path(description="Name of a use case with a live release.")]

router = APIRouter()


@router.get("/live", tags=["operation"])
async def is_live() -> schemas.LiveAnswer:
    """Whether the process runs: always, when this is answered."""
    return schemas.LiveAnswer()


@router.get(
    "/ready", tags=["operation"], response_model=schemas.ReadyAnswer,
    responses={503: {"model": schemas.ReadyAnswer, "description": "Not ready, with the reasons."}},
)  # fmt: skip
async def is_ready(service: Injected) -> Response:
    """Whether the store answers at the right revision and every live release is served.

    While a new release is loaded its predecessor answers, and the service stays ready.
    """
    reasons = service.follower.reasons()
    serving = {name: champion.version for name, champion in sorted(service.follower.view.champions.items())}
    answer: dict[str, Any] = {"ready": not reasons, "use_cases": serving}
    if reasons:
        answer["reasons"] = reasons
    return JSONResponse(answer, 503 if reasons else 200)


@router.get(
    "/metrics",
    tags=["operation"],
    response_class=Response,
    responses={**_errors(), 200: {"content": {"text/plain": {}}}},
)
async def show_metrics(service: Injected) -> Response:
    """Metrics in Prometheus' text format."""
    return Response(service.metrics.text(), media_type=CONTENT_TYPE_LATEST)


@router.post(
    PATH, tags=["predictions"], responses=_errors(404, 413, 422, 503), response_model_exclude_unset=True
)
async def post_predictions(
    use_case: UseCase, body: schemas.PredictionsRequest, service: Injected
) -> schemas.PredictionsAnswer:
    """Predict one or many rows by one release; every prediction is in the log before it is answered.

    An entity that the release does not know is answered with ``known: false, value: null``, with or without
    features, and counts as novelty. A row without entity needs all features; it is known when all its
    categorical values were seen in training. Where the contract says that requests bring all features, every row
    needs them, and its entity is a mere label.
    """
    answer = await service.predicting.answer(
        use_case, body.rows, as_of=body.as_of, period=body.period, key=body.key
    )
    # built-ins: what the answer leaves out stays left out
    return schemas.PredictionsAnswer.model_validate(msgspec.to_builtins(answer))


def _results(model: type[Any]) -> dict[int | str, dict[str, Any]]:
    text = {
        404: "No release of this use case is live; or some items are unknown, and the others are stored.",
        409: "Some items conflict with what is stored, which stands; the others are stored if not unknown.",
    }
    own: dict[int | str, dict[str, Any]] = {
        202: {"model": model, "description": "The store is away: kept on disk, and checked when it is back."},
        404: {"model": schemas.ErrorAnswer | model, "description": text[404]},
        409: {"model": model, "description": text[409]},
    }
    return {**_errors(413, 422, 429, 503), **own}


def _answer_items(answer: schemas.OutcomesAnswer | schemas.ReportsAnswer) -> Response:
    found = {one.result for one in answer.results}
    worst = (("conflict", 409), ("unknown", 404), ("accepted", 202))
    status = next((status for result, status in worst if result in found), 200)
    return JSONResponse(answer.model_dump(), status)


@router.post(
    "/v1/{use_case}/outcomes", tags=["outcomes"], response_model=schemas.OutcomesAnswer,
    responses=_results(schemas.OutcomesAnswer),
)  # fmt: skip
async def post_outcomes(
    use_case: UseCase, body: schemas.OutcomesRequest, service: Injected, client: Client
) -> Response:
    """Say what really happened; sending the same outcome again changes nothing.

    Of classes, what is stored is the position in the list of the release that answers now.
    """
    now = service.taken_at(use_case, "outcomes", [one.observed_at for one in body.outcomes], client)
    observed = as_stored(service.predicting, use_case, body.outcomes)
    results = await service.journal.write_outcomes(use_case, observed, now, client)
    return _answer_items(schemas.OutcomesAnswer(results=results))


@router.post(
    "/v1/{use_case}/reports", tags=["outcomes"], response_model=schemas.ReportsAnswer,
    responses=_results(schemas.ReportsAnswer),
)  # fmt: skip
async def post_reports(
    use_case: UseCase, body: schemas.ReportsRequest, service: Injected, client: Client
) -> Response:
    """Report a business metric that only users can see; sending the same report again changes nothing."""
    now = service.taken_at(use_case, "reports", [one.observed_at for one in body.reports], client)
    results = await service.journal.write_reports(use_case, body.reports, now, client)
    return _answer_items(schemas.ReportsAnswer(results=results))


@router.get("/v1/{use_case}/ranking", tags=["predictions"], responses=_errors(404, 422, 503))
async def get_ranking(
    use_case: UseCase, service: Injected, top: Annotated[int, Query(ge=1, le=schemas.MAX_ROWS)] = 10
) -> schemas.RankingAnswer:
    """The entities that the live release expects most of, from the features when it was made; not logged.

    Of two classes, those for which the second is most probable. Only where clients may ask by entity, and not for more
    than two classes, which have no order.
    """
    champion = service.predicting.champion(use_case)
    require_ranking(champion)
    return schemas.RankingAnswer(
        use_case=use_case, release=champion.version, ranking=list(champion.ranking[:top])
    )


@router.get("/v1/{use_case}/release", tags=["releases"], responses=_errors(404, 422, 503))
async def get_release(
    use_case: UseCase, service: Injected,
    on: Annotated[
        schemas.Start | None, Query(description="The release that was live at this time; default: now.")
    ] = None,
) -> schemas.ReleaseAnswer:  # fmt: skip
    """The release that answers now, or that answered at a time."""
    if on is None:
        return service.predicting.champion(use_case).about
    service.predicting.require_live(use_case)
    manifest = await run_in_threadpool(service.read, live.manifest_on, use_case, on)
    if manifest is None:
        raise RefusedError(404, f"no release of {use_case!r} was live on {on:%Y-%m-%d %H:%M} UTC")
    return about_release(manifest)


@router.get("/v1/{use_case}/releases", tags=["releases"], responses=_errors(404, 503))
def get_releases(use_case: UseCase, service: Injected) -> schemas.ReleasesAnswer:
    """Every change of the live release: promotions and rollbacks."""
    service.predicting.require_live(use_case)
    changes = service.read(live.promotions_of, use_case)
    found = [schemas.Change.model_validate(one, from_attributes=True) for one in changes]
    return schemas.ReleasesAnswer(use_case=use_case, changes=found)


@router.get("/v1/workers", tags=["operation"], responses=_errors(503))
def get_workers(service: Injected) -> schemas.WorkersAnswer:
    """The processes of the service, and which releases each of them holds."""
    found = service.read(workers.alive, service.settings.now())
    return schemas.WorkersAnswer(
        workers=[schemas.WorkerAnswer.model_validate(one, from_attributes=True) for one in found]
    )
