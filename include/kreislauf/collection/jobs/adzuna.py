"""Adzuna: how many advertisements of one country's IT category a search finds.

Source: https://developer.adzuna.com. The free plan allows 25 requests a minute and 250 a day (1,000 a week, 2,500 a
month); its terms allow counting only for personal research or a trial of 14 days without a licence.
"""

from __future__ import annotations

import msgspec

from include.kreislauf.collection.access import Access
from include.kreislauf.collection.jobs.answers import answered_at, decoded
from include.kreislauf.collection.jobs.snapshot import Found
from include.kreislauf.errors import SourceError

URL = "https://api.adzuna.com"
CATEGORY = "it-jobs"
"""Keeps cooks out of Chef, and seasons out of Spring."""
PER_MINUTE = 25


class _Result(msgspec.Struct):
    count: int


_RESULT = msgspec.json.Decoder(_Result)


class Adzuna:
    """Counts advertisements at Adzuna; see :mod:`...jobs.snapshot`."""

    name = "Adzuna"
    terms, requests, seconds = 1, 250, 60 / PER_MINUTE

    def __init__(self, url: str, access: Access, country: str) -> None:
        self._url, self._access, self._country = url.rstrip("/"), access, country
        self._asked = False

    def count(self, term: str, days: int) -> Found:
        """See :class:`~include.kreislauf.collection.jobs.snapshot.JobBoard`."""
        params: dict[str, str | int] = {
            **self._keys(), "category": CATEGORY, "max_days_old": days, "results_per_page": 1,
        }  # fmt: skip
        if term:
            params["what_phrase"] = term
        if self._asked:
            self._access.wait(self.seconds)
        self._asked = True
        answer = self._access.get(f"{self._url}/v1/api/jobs/{self._country}/search/1", params=params)
        return Found(decoded(answer, _RESULT).count, answered_at(answer))

    def _keys(self) -> dict[str, str]:
        keys = {name: self._access.secret(f"adzuna_{name}") for name in ("app_id", "app_key")}
        if missing := [name for name, value in keys.items() if not value]:
            raise SourceError(
                f"Adzuna asks for {' and '.join(missing)}", where=URL,
                next_step="register at developer.adzuna.com; set KREISLAUF_SECRET_ADZUNA_APP_ID and ..._APP_KEY",
            )  # fmt: skip
        return keys
