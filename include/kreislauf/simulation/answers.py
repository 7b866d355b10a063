"""Answers of the simulated sources: status, headers, body."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


@dataclass(frozen=True)
class Request:
    """What is asked, and at which time of the world.

    Parameters
    ----------
    path: below the source's own root, such as ``/2.3/questions``.
    query: last value of each parameter.
    headers: names in lower case.
    now: the world's time, UTC.
    """

    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    now: datetime


@dataclass(frozen=True)
class Answer:
    """What is answered."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


def json_answer(content: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Answer:
    """JSON, without spaces as the sources send it."""
    body = json.dumps(content, separators=(",", ":"), ensure_ascii=False).encode()
    return Answer(status, body, {"Content-Type": "application/json; charset=utf-8", **(headers or {})})
