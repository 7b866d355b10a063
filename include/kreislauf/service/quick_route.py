"""A route that reads what is valid with msgspec, and leaves it to FastAPI to say what is wrong with the rest.

FastAPI's own way (validation by pydantic, dependencies, serialisation) costs more than the prediction. Its declaration
stays the interface: it makes the OpenAPI document, and its endpoint answers whatever msgspec does not take.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

import msgspec
from fastapi.routing import APIRoute
from pydantic import TypeAdapter, ValidationError
from starlette.types import Message, Receive, Scope, Send

from include.kreislauf.service.predicting import Predicting
from include.kreislauf.service.schemas import MAX_ROWS, Moment, Start

_NO_CONTROL = r"^[^\x00-\x1f\x7f]+$"
_Text = Annotated[str, msgspec.Meta(min_length=1, max_length=128, pattern=_NO_CONTROL)]


class _Row(msgspec.Struct, forbid_unknown_fields=True):
    entity: _Text | None = None
    features: dict[str, float | str] | None = None


class _Request(msgspec.Struct, forbid_unknown_fields=True):
    """The fields of :class:`~include.kreislauf.service.schemas.PredictionsRequest`."""

    rows: Annotated[list[_Row], msgspec.Meta(min_length=1, max_length=MAX_ROWS)]
    as_of: str | None = None
    period: str | None = None
    key: _Text | None = None


_decode = msgspec.json.Decoder(_Request).decode
_encode = msgspec.json.Encoder().encode
_moment: TypeAdapter[datetime] = TypeAdapter(Moment)
_start: TypeAdapter[datetime] = TypeAdapter(Start)
_NOT_TAKEN = (msgspec.DecodeError, ValidationError, UnicodeError, RecursionError)


class QuickRoute(APIRoute):
    """The predictions route."""

    def __init__(self, *given: Any, **options: Any) -> None:
        super().__init__(*given, **options)
        self._explain = self.app
        self.app = self._answer

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = await _body(receive)
        predicting: Predicting = scope["app"].state.service.predicting
        try:
            if not _is_json(scope):
                raise msgspec.DecodeError
            asked = _decode(body)
            times = {
                "as_of": None if asked.as_of is None else _moment.validate_python(asked.as_of),
                "period": None if asked.period is None else _start.validate_python(asked.period),
            }
        except _NOT_TAKEN:
            await self._explain(scope, _again(body), send)
            return
        answer = await predicting.answer(scope["path_params"]["use_case"], asked.rows, key=asked.key, **times)
        content = _encode(answer)
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(content))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": content})


def _is_json(scope: Scope) -> bool:
    return any(
        name == b"content-type" and value.startswith(b"application/json") for name, value in scope["headers"]
    )


async def _body(receive: Receive) -> bytes:
    message = await receive()
    body: bytes = message.get("body", b"")
    while message.get("more_body"):
        message = await receive()
        body += message.get("body", b"")
    return body


def _again(body: bytes) -> Receive:
    """Receive a body that was read already."""

    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    return receive
