"""What a request gives: an answer, or the word that the thing is not there."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from include.kreislauf.errors import SourceError


class NotThere(SourceError):
    """The file or object does not exist (HTTP 404 or 410, no such path)."""


@dataclass(frozen=True)
class Answer:
    """Answer to one HTTP request, read completely.

    Parameters
    ----------
    url: where it came from in the end, without keys and passwords, so that it may be shown.
    headers: by name, capitals do not matter.
    body: decompressed.
    """

    url: str
    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)

    def json(self) -> Any:
        """The body as JSON.

        Raises
        ------
        SourceError: it is none; transient, as busy servers answer with a page of HTML.
        """
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError) as error:
            raise SourceError(
                f"the answer (HTTP {self.status}) is not JSON: {self.body[:80]!r}", where=self.url,
                next_step="try again later; if it stays so, the API has changed", transient=True,
            ) from error  # fmt: skip
