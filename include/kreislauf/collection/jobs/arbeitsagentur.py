"""Bundesagentur für Arbeit, Jobsuche: how many advertisements in Germany a search finds.

Source: https://jobsuche.api.bund.dev (OpenAPI). The client id is public. Advertisements can be told apart by age up to
100 days; a page holds at most 100 of them and the pages end near 10,000, so only the number of all results is used.
"""

from __future__ import annotations

import msgspec

from include.kreislauf.collection.access import Access
from include.kreislauf.collection.jobs.answers import answered_at, decoded
from include.kreislauf.collection.jobs.snapshot import Found

URL = "https://rest.arbeitsagentur.de/jobboerse/jobsuche-service"
CLIENT_ID = "jobboerse-jobsuche"
JOBS = 1
"""``angebotsart``: employment; no self-employment, training or internship."""


class _Result(msgspec.Struct):
    # a number in practice, a text in the specification
    maxErgebnisse: int | str  # noqa: N815 - the API's name

    def __post_init__(self) -> None:
        if not str(self.maxErgebnisse).isdecimal():
            raise ValueError(f"maxErgebnisse {self.maxErgebnisse!r} is no number")


_RESULT = msgspec.json.Decoder(_Result)


class Arbeitsagentur:
    """Counts advertisements at the Bundesagentur für Arbeit; see :mod:`...jobs.snapshot`."""

    name = "Bundesagentur für Arbeit"
    terms, requests, seconds = 3, 0, 0.3

    def __init__(self, url: str, access: Access) -> None:
        self._url, self._access = url.rstrip("/"), access

    def count(self, term: str, days: int) -> Found:
        """See :class:`~include.kreislauf.collection.jobs.snapshot.JobBoard`."""
        params: dict[str, str | int] = {
            "angebotsart": JOBS,
            "veroeffentlichtseit": days,
            "page": 1,
            "size": 1,
        }
        if term:
            params["was"] = term
        answer = self._access.get(f"{self._url}/pc/v4/jobs", params=params, headers={"X-API-Key": CLIENT_ID})
        return Found(int(decoded(answer, _RESULT).maxErgebnisse), answered_at(answer))
