"""Answers of the advertisements' APIs, decoded into what is needed of them."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TypeVar

import msgspec

from include.kreislauf.collection.access import Answer
from include.kreislauf.errors import SourceError

Wanted = TypeVar("Wanted")
UNREADABLE = (msgspec.DecodeError, RecursionError, UnicodeDecodeError)
"""What a decoder raises: not JSON, another shape, nested without end, not UTF-8."""


def decoded(answer: Answer, decoder: msgspec.json.Decoder[Wanted]) -> Wanted:
    """The needed part of an answer.

    Raises
    ------
    SourceError: it is not JSON (transient: busy servers answer with a page of HTML), or lacks what is needed.
    """
    try:
        return decoder.decode(answer.body)
    except (msgspec.ValidationError, RecursionError) as error:
        raise SourceError(
            f"the answer has another form: {error}", where=answer.url, next_step="the API may have changed: see its documentation",
        ) from error  # fmt: skip
    except UNREADABLE as error:
        raise SourceError(
            f"the answer (HTTP {answer.status}) is not JSON: {answer.body[:80]!r}", where=answer.url,
            next_step="try again later; if it stays so, the API has changed", transient=True,
        ) from error  # fmt: skip


def answered_at(answer: Answer) -> datetime | None:
    """When the server answered, by its own clock (header ``Date``); ``None`` where it does not say so."""
    try:
        return parsedate_to_datetime(answer.headers.get("date", "")).astimezone(UTC)
    except ValueError:
        return None
