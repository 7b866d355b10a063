"""The quick way through: valid requests for predictions, read with msgspec and answered before FastAPI sees them.

FastAPI's own way (middleware, routing, validation by pydantic, serialisation) costs more than the prediction. It stays
the interface: it makes the OpenAPI document, and whatever msgspec does not take goes to it, to be answered or to be told
what is wrong. Both ways lead to the same :class:`~include.kreislauf.service.predicting.Predicting`.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

import msgspec
from pydantic import TypeAdapter, ValidationError
from starlette.types import Message, Receive, Scope, Send

from include.kreislauf.service.limits import MAX_BODY_BYTES
from include.kreislauf.service.predicting import Predicting
from include.kreislauf.service.schemas import MAX_ROWS, Moment, Start

PATH = "/v1/{use_case}/predictions"
_BEGIN, _END = PATH.split("{use_case}")
_NO_CONTROL = r"^[^\x00-\x1f\x7f]+\Z"  # in Python, $ would let a line feed at the end pass
_Text = Annotated[str, msgspec.Meta(min_length=1, max_length=128, pattern=_NO_CONTROL)]


class _Row(msgspec.Struct, forbid_unknown_fields=True):
    entity: _Text | None = None
    sent: msgspec.Raw = msgspec.field(default=msgspec.Raw(b"null"), name="features")

    @property
    def features(self) -> Any:
        """As they were sent, for those who tell what is wrong with them."""
        return msgspec.json.decode(self.sent)

    def features_text(self) -> str | None:
        """As JSON; the release knows how to read it."""
        return str(self.sent, "utf-8") if memoryview(self.sent)[0] == _OPEN else None


class _Request(msgspec.Struct, forbid_unknown_fields=True):
    """The fields of :class:`~include.kreislauf.service.schemas.PredictionsRequest`."""

    rows: Annotated[list[_Row], msgspec.Meta(min_length=1, max_length=MAX_ROWS)]
    as_of: str | None = None
    period: str | None = None
    key: _Text | None = None


_OPEN, _OBJECT_OR_NULL = ord("{"), b"{n"
_decode = msgspec.json.Decoder(_Request).decode
_encode = msgspec.json.Encoder().encode
_moment: TypeAdapter[datetime] = TypeAdapter(Moment)
_start: TypeAdapter[datetime] = TypeAdapter(Start)
_JSON = (b"content-type", b"application/json")
_NOT_TAKEN = (msgspec.DecodeError, ValidationError, UnicodeError, RecursionError)


def use_case_of(scope: Scope) -> str | None:
    """The use case of a request that may go the quick way; ``None`` for every other request."""
    path: str = scope["path"]
    if scope["method"] != "POST" or not path.startswith(_BEGIN) or not path.endswith(_END):
        return None
    use_case = path[len(_BEGIN) : -len(_END)]
    return use_case if use_case and "/" not in use_case else None


class Quick:
    """Answers the requests for predictions that it can read."""

    def __init__(self, predicting: Predicting) -> None:
        self._predicting = predicting

    async def __call__(self, use_case: str, scope: Scope, receive: Receive, send: Send) -> Receive | None:
        """Answer one request; ``None``: it is done, else what FastAPI can receive the request with.

        Raises
        ------
        RefusedError: it is valid, and cannot be granted.
        """
        first = await receive()
        body: bytes = first.get("body", b"")
        if first.get("more_body") or len(body) > MAX_BODY_BYTES or (asked := _read(scope, body)) is None:
            return _again(first, receive)
        request, as_of, period = asked
        try:
            answer = await self._predicting.answer(
                use_case, request.rows, as_of=as_of, period=period, key=request.key
            )
        except msgspec.DecodeError:  # features that are refused, and that only FastAPI can show
            return _again(first, receive)
        content = _encode(answer)
        headers = [_JSON, (b"content-length", b"%d" % len(content))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": content})
        return None


def _read(scope: Scope, body: bytes) -> tuple[_Request, datetime | None, datetime | None] | None:
    """A request and its times; ``None`` where FastAPI has to say what it thinks of it."""
    if not _is_json(scope):
        return None
    try:
        asked = _decode(body)
        if not all(memoryview(row.sent)[0] in _OBJECT_OR_NULL for row in asked.rows):
            return None
        as_of = None if asked.as_of is None else _moment.validate_python(asked.as_of)
        period = None if asked.period is None else _start.validate_python(asked.period)
    except _NOT_TAKEN:
        return None
    return asked, as_of, period


def _is_json(scope: Scope) -> bool:
    return any(
        name == b"content-type" and value.startswith(b"application/json") for name, value in scope["headers"]
    )


def _again(first: Message, receive: Receive) -> Receive:
    """Receive a request whose first part was taken already."""
    waiting = [first]

    async def received() -> Message:
        return waiting.pop() if waiting else await receive()

    return received
