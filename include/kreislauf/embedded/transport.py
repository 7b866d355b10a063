"""HTTP to Airflow's API server: log-in, repetition of what a busy server refused, pages, errors."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import httpx
from tenacity import Retrying, retry_if_exception, stop_after_delay, wait_random_exponential

from include.kreislauf.errors import KreislaufError

Json = dict[str, Any]

_PAGE = 100  # Airflow's [api] maximum_page_limit
_RETRIED_STATUS = frozenset({500, 502, 503, 504})  # SQLite under load answers a write with a 500


class AirflowApiError(KreislaufError):
    """Airflow's API refused a request, could not be reached, or a run did not become what was expected.

    Parameters
    ----------
    what, where, next_step: see :class:`KreislaufError`.
    status: HTTP status of the answer, 0 when there was none.
    detail: Airflow's own explanation.
    """

    def __init__(
        self, what: str, *, where: str = "", next_step: str = "", status: int = 0, detail: str = ""
    ) -> None:
        self.status = status
        self.detail = detail
        super().__init__(what, where=where, next_step=next_step)


class Transport:
    """Logs in with SimpleAuthManager, again after the token expired, and retries for `patience` seconds."""

    def __init__(self, base_url: str, username: str, password: str, patience: float) -> None:
        self._credentials = {"username": username, "password": password}
        self._patience = patience
        # trust_env=False: no proxy between this process and the loopback interface
        self._client = httpx.Client(base_url=base_url, timeout=30.0, trust_env=False)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def pages(self, path: str, key: str, query: Mapping[str, Any] | None = None) -> Iterator[Json]:
        """Every item of a collection, page after page."""
        offset = 0
        while True:
            page = self.object("GET", path, params={**(query or {}), "limit": _PAGE, "offset": offset})
            yield from page[key]
            offset += _PAGE
            if offset >= page["total_entries"]:
                return

    def object(
        self, method: str, path: str, *, on_repeated: Callable[[], Json] | None = None, **options: Any
    ) -> Json:
        """Request and retry; `on_repeated` gives the result of an attempt that worked and seemed to fail."""
        retrying = Retrying(
            retry=retry_if_exception(_is_passing),
            stop=stop_after_delay(self._patience),
            wait=wait_random_exponential(multiplier=0.1, max=2.0),
            reraise=True,
        )
        attempts = 0

        def attempt() -> Json:
            nonlocal attempts
            attempts += 1
            try:
                return self._once(method, path, **options)
            except AirflowApiError as error:
                if error.status == httpx.codes.CONFLICT and on_repeated and attempts > 1:
                    return on_repeated()
                raise

        return retrying(attempt)

    def _once(self, method: str, path: str, **options: Any) -> Json:
        try:
            if "Authorization" not in self._client.headers:
                self._log_in()
            response = self._client.request(method, path, **options)
            if response.status_code == httpx.codes.UNAUTHORIZED:
                self._log_in()
                response = self._client.request(method, path, **options)
        except httpx.TransportError as error:
            raise AirflowApiError(
                f"no answer from Airflow ({error!r})",
                where=f"{method} {path}",
                next_step="is the API server running?",
            ) from error
        return _checked(response)

    def _log_in(self) -> None:
        self._client.headers.pop("Authorization", None)
        response = self._client.post("/auth/token", json=self._credentials)
        if not (token := _checked(response).get("access_token")):
            raise AirflowApiError(
                "the log-in gave no token", where=f"POST {response.url}", status=response.status_code,
                next_step="is this the address of Airflow's API server?",
            )  # fmt: skip
        self._client.headers["Authorization"] = f"Bearer {token}"


def _checked(response: httpx.Response) -> Json:
    """The JSON object of a good answer; an error otherwise."""
    try:
        answer = response.json() if response.content else {}
    except ValueError:
        answer = None
    if response.is_success and isinstance(answer, dict):
        return answer
    request, detail = response.request, _detail(response, answer)
    raise AirflowApiError(
        f"Airflow answered {response.status_code}: {detail}",
        where=f"{request.method} {request.url}",
        next_step="" if isinstance(answer, dict) else "is this the address of Airflow's API server?",
        status=response.status_code,
        detail=detail,
    )


def _detail(response: httpx.Response, answer: Any) -> str:
    """Airflow's own explanation, or what came instead, in one line."""
    if isinstance(answer, dict) and "detail" in answer:
        detail = answer["detail"]
        return detail if isinstance(detail, str) else json.dumps(detail)
    if "html" in response.headers.get("Content-Type", ""):
        return "an HTML page"
    return " ".join(response.text.split())[:500]


def _is_passing(error: BaseException) -> bool:
    """Worth another attempt: no connection, or a server in trouble."""
    return isinstance(error, AirflowApiError) and (error.status == 0 or error.status in _RETRIED_STATUS)
