"""Refusals: one shape for every error the service answers with."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException
from starlette.types import Receive, Scope, Send

from include.kreislauf.service.schemas import ErrorAnswer, Fault

MAX_FAULTS = 20
JSON = "application/json"


class RefusedError(Exception):
    """A request that is answered with an error; raised inside a transaction it also rolls that back.

    Parameters
    ----------
    status: HTTP status of the answer.
    error: what is wrong, in one sentence.
    faults: the fields at fault.
    headers: of the answer.
    """

    def __init__(
        self, status: int, error: str, faults: Sequence[Fault] = (), headers: Mapping[str, str] | None = None
    ) -> None:
        self.status = status
        self.error = error
        self.faults = list(faults)
        self.headers = dict(headers or {})
        super().__init__(error)


def invalid(faults: Sequence[Fault]) -> RefusedError:
    """A 422 for fields at fault."""
    return RefusedError(422, "the request is not valid", faults)


def unavailable(error: str, retry_after: int = 1) -> RefusedError:
    """A 503: the request is fine, the service cannot do it now."""
    return RefusedError(503, error, headers={"Retry-After": str(retry_after)})


class AsciiResponse(JSONResponse):
    """JSON in ASCII: what a client sent can be shown back, also when UTF-8 cannot carry it."""

    def render(self, content: Any) -> bytes:
        """The content as bytes."""
        return json.dumps(content, allow_nan=False).encode("ascii")


def add_handlers(app: FastAPI) -> None:
    """Answer every error in the shape of :class:`ErrorAnswer`."""
    app.exception_handler(RefusedError)(_refused)
    app.exception_handler(RequestValidationError)(_not_valid)
    app.exception_handler(HTTPException)(_http_error)
    app.exception_handler(Exception)(_unexpected)


async def _refused(_request: Request, error: RefusedError) -> Response:
    return _answer(error.status, error.error, error.faults, error.headers)


async def send_refusal(error: RefusedError, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer a request that was refused before it reached the application."""
    await _answer(error.status, error.error, error.faults, error.headers)(scope, receive, send)


async def _not_valid(request: Request, error: RequestValidationError) -> Response:
    if request.method == "POST" and not (kind := request.headers.get("content-type", "")).startswith(JSON):
        faults = [Fault(field="Content-Type", reason=f"is {kind[:100]!r}", allowed=JSON)]
    else:
        faults = [_fault(detail) for detail in error.errors()]
    return await _refused(request, invalid(faults))


async def _http_error(_request: Request, error: HTTPException) -> Response:
    if error.status_code == 400:  # all that FastAPI says of a body that cannot be parsed at all
        fault = Fault(
            field="", reason="cannot be parsed", allowed="JSON in UTF-8, nested no deeper than needed"
        )
        return _answer(400, str(error.detail), [fault])
    return _answer(error.status_code, str(error.detail), headers=dict(error.headers or {}))


async def _unexpected(_request: Request, _error: Exception) -> Response:
    return _answer(500, "unexpected error; the service's log has the details")


def _answer(
    status: int, error: str, faults: Sequence[Fault] = (), headers: dict[str, str] | None = None
) -> Response:
    body = ErrorAnswer(error=error, faults=list(faults[:MAX_FAULTS]))
    return AsciiResponse(body.model_dump(mode="python"), status, headers)


def _fault(detail: dict[str, Any]) -> Fault:
    # The first part of the location says where the value came from: body, query or path. The value itself is
    # not shown: it may be NaN, which JSON cannot carry.
    location = detail["loc"][1:]
    if detail["type"] == "json_invalid":
        return Fault(field="", reason=f"not valid JSON at position {location[0]}: {detail['ctx']['error']}")
    return Fault(
        field=".".join(str(part) for part in location), reason=detail["msg"].removeprefix("Value error, ")
    )


def in_short(error: Exception) -> str:
    """What an error says, on one line; of a database error what the driver said, without the statement."""
    said = getattr(error, "orig", None) or error
    return " ".join(str(said).split()) or type(said).__name__
