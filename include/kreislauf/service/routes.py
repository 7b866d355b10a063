"""The endpoints.

What answers from memory is ``async`` and goes on while the store is busy; the rest runs in threads.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Request
from fastapi.responses import JSONResponse, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from include.kreislauf.service import schemas
from include.kreislauf.service.champions import Champion, Champions
from include.kreislauf.service.journal import Journal
from include.kreislauf.service.metrics import Metrics
from include.kreislauf.service.predicting import predict
from include.kreislauf.service.problems import RefusedError, invalid, unavailable
from include.kreislauf.settings import Settings

CLOCK_TOLERANCE = timedelta(minutes=5)


@dataclass(frozen=True)
class Service:
    """What the endpoints work with."""

    settings: Settings
    champions: Champions
    journal: Journal
    metrics: Metrics

    def champion(self, use_case: str) -> Champion:
        """The release that answers for a use case.

        Raises
        ------
        RefusedError: 404, nothing is live; 503, something is, but it cannot answer yet.
        """
        champion = self.champions.view.champions.get(use_case)
        if champion is None:
            self.require_live(use_case)
            raise unavailable(self.champions.view.problems.get(use_case, f"{use_case!r} is being loaded"))
        return champion

    def require_live(self, use_case: str) -> None:
        """Refuse a use case that the store has no live release of."""
        view = self.champions.view
        if use_case in view.pointers:
            return
        if view.store_problem:
            raise unavailable(view.store_problem)
        allowed = ", ".join(sorted(view.pointers)) or "none yet"
        raise RefusedError(
            404,
            f"no release of use case {use_case[:64]!r} is live; live use cases: {allowed}. "
            "A use case goes live when its first release is promoted",
            [schemas.Fault(field="use_case", reason="has no live release", allowed=allowed)],
        )

    def refuse_future(self, moments: Iterable[tuple[str, datetime]], now: datetime) -> None:
        """Refuse times that have not come yet, where the wall clock counts."""
        if self.settings.clock == "wall":
            faults = [
                schemas.Fault(
                    field=field,
                    reason="lies in the future",
                    allowed=f"up to 5 minutes after {now:%Y-%m-%dT%H:%M:%SZ}",
                )
                for field, moment in moments
                if moment > now + CLOCK_TOLERANCE
            ]
            if faults:
                raise invalid(faults)


async def _service(request: Request) -> Service:
    service: Service = request.app.state.service
    return service


def _errors(*statuses: int) -> dict[int | str, dict[str, Any]]:
    texts = {
        404: "No release of this use case is live.",
        413: "The body is larger than 1,000,000 bytes.",
        422: "A field is missing, unknown or wrong; nothing was stored.",
        503: "The store or the release is not available now; nothing is acknowledged.",
    }
    found: dict[int | str, dict[str, Any]] = {
        status: {"model": schemas.ErrorAnswer, "description": texts[status]} for status in statuses
    }
    return {**found, "default": {"model": schemas.ErrorAnswer, "description": "Any other error."}}


Injected = Annotated[Service, Depends(_service)]
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
    reasons = service.champions.reasons()
    serving = {name: champion.version for name, champion in sorted(service.champions.view.champions.items())}
    answer: dict[str, Any] = {"ready": not reasons, "use_cases": serving}
    if reasons:
        answer["reasons"] = reasons
    return JSONResponse(answer, 503 if reasons else 200)


@router.get(
    "/metrics", tags=["operation"], response_class=Response, responses={200: {"content": {"text/plain": {}}}}
)
async def show_metrics(service: Injected) -> Response:
    """Metrics in Prometheus' text format."""
    return Response(generate_latest(service.metrics.registry), media_type=CONTENT_TYPE_LATEST)


@router.post("/v1/{use_case}/predictions", tags=["predictions"], responses=_errors(404, 413, 422, 503))
def post_predictions(
    use_case: UseCase, body: schemas.PredictionsRequest, service: Injected
) -> schemas.PredictionsAnswer:
    """Predict one or many rows with the live release; every prediction is in the store before it is answered.

    An entity that the release does not know is answered with ``known: false, value: null``, with or without
    features, and counts as novelty. A row without entity needs all features; it is known when all its
    categorical values were seen in training.
    """
    champion = service.champion(use_case)  # taken once: a swap in the middle does not mix two releases
    now = service.settings.now()
    if body.as_of is None and service.settings.clock == "given":
        reason = "is required: the clock of this installation is 'given'"
        raise invalid([schemas.Fault(field="as_of", reason=reason, allowed="a time with a time zone")])
    as_of = body.as_of or now
    service.refuse_future([("as_of", as_of)], now)
    found = predict(champion, body.rows)
    answers = service.journal.write_predictions(
        champion, found, as_of=as_of, period=body.period or as_of, now=now
    )
    return schemas.PredictionsAnswer(use_case=use_case, release=champion.version, predictions=answers)


def _results(model: type[Any]) -> dict[int | str, dict[str, Any]]:
    text = {
        404: "No release of this use case is live; or some items are unknown, and the others are stored.",
        409: "Some items conflict with what is stored, which stands; the others are stored if not unknown.",
    }
    own: dict[int | str, dict[str, Any]] = {
        404: {"model": schemas.ErrorAnswer | model, "description": text[404]},
        409: {"model": model, "description": text[409]},
    }
    return {**_errors(413, 422, 503), **own}


def _answer_items(answer: schemas.OutcomesAnswer | schemas.ReportsAnswer) -> Response:
    found = {one.result for one in answer.results}
    status = 409 if "conflict" in found else 404 if "unknown" in found else 200
    return JSONResponse(answer.model_dump(), status)


@router.post(
    "/v1/{use_case}/outcomes", tags=["outcomes"], response_model=schemas.OutcomesAnswer,
    responses=_results(schemas.OutcomesAnswer),
)  # fmt: skip
def post_outcomes(use_case: UseCase, body: schemas.OutcomesRequest, service: Injected) -> Response:
    """Say what really happened; sending the same outcome again changes nothing."""
    service.require_live(use_case)
    now = service.settings.now()
    times = [(f"outcomes.{index}.observed_at", one.observed_at) for index, one in enumerate(body.outcomes)]
    service.refuse_future(times, now)
    results = service.journal.write_outcomes(use_case, body.outcomes, now)
    return _answer_items(schemas.OutcomesAnswer(results=results))


@router.post(
    "/v1/{use_case}/reports", tags=["outcomes"], response_model=schemas.ReportsAnswer,
    responses=_results(schemas.ReportsAnswer),
)  # fmt: skip
def post_reports(use_case: UseCase, body: schemas.ReportsRequest, service: Injected) -> Response:
    """Report a business metric that only users can see; sending the same report again changes nothing."""
    service.require_live(use_case)
    now = service.settings.now()
    times = [(f"reports.{index}.observed_at", one.observed_at) for index, one in enumerate(body.reports)]
    service.refuse_future(times, now)
    results = service.journal.write_reports(use_case, body.reports, now)
    return _answer_items(schemas.ReportsAnswer(results=results))


@router.get("/v1/{use_case}/ranking", tags=["predictions"], responses=_errors(404, 422, 503))
async def get_ranking(
    use_case: UseCase, service: Injected, top: Annotated[int, Query(ge=1, le=schemas.MAX_ROWS)] = 10
) -> schemas.RankingAnswer:
    """The entities that the live release expects most of, from the features when it was made; not logged."""
    champion = service.champion(use_case)
    return schemas.RankingAnswer(
        use_case=use_case, release=champion.version, ranking=list(champion.ranking[:top])
    )


@router.get("/v1/{use_case}/release", tags=["predictions"], responses=_errors(404, 503))
async def get_release(use_case: UseCase, service: Injected) -> schemas.ReleaseAnswer:
    """The release that answers now."""
    return service.champion(use_case).about
