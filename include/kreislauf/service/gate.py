"""What every request passes: its key, the limit of its body, its count and its time."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from time import perf_counter

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from include.kreislauf.service.follower import Follower
from include.kreislauf.service.limits import limited
from include.kreislauf.service.metrics import NO_ROUTE, Metrics
from include.kreislauf.service.problems import RefusedError, send_refusal, unavailable
from include.kreislauf.service.quick import PATH, Quick, use_case_of
from include.kreislauf.store.api_keys import KeyRefused, Refusal
from include.kreislauf.store.api_keys import Scope as KeyScope

OPEN = frozenset({"/live", "/ready"})
"""Paths that need no key: what supervisors ask."""
SCOPES: dict[str, KeyScope] = {
    "predictions": KeyScope.PREDICT, "ranking": KeyScope.PREDICT, "release": KeyScope.PREDICT,
    "outcomes": KeyScope.OUTCOME, "reports": KeyScope.OUTCOME,
    "releases": KeyScope.ADMIN, "workers": KeyScope.ADMIN, "rollback": KeyScope.ADMIN,
    "metrics": KeyScope.METRICS, "openapi.json": KeyScope.PREDICT,
}  # fmt: skip
"""The scope that a path needs, by its last part; a path that is not named here needs ``admin``."""


def needed(path: str) -> tuple[KeyScope | None, str]:
    """The scope that a path needs (``None``: no key at all), and the use case it is about (empty: none)."""
    if path in OPEN:
        return None, ""
    parts = path.split("/", 4)
    use_case = parts[2] if len(parts) > 3 and parts[1] == "v1" else ""
    return SCOPES.get(parts[-1], KeyScope.ADMIN), use_case


class Gate:
    """What stands before FastAPI.

    Parameters
    ----------
    app: FastAPI, with everything it does.
    quick: the quick way for valid requests for predictions.
    keys_required: refuse everybody while no key exists; otherwise a service without keys is open to whoever reaches it.
    """

    def __init__(
        self, app: ASGIApp, quick: Quick, follower: Follower, metrics: Metrics, now: Callable[[], datetime], *,
        keys_required: bool,
    ) -> None:  # fmt: skip
        self._app, self._quick, self._follower, self._metrics, self._now = app, quick, follower, metrics, now
        self._keys_required = keys_required

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or refuse it."""
        started = perf_counter()
        use_case = use_case_of(scope)
        if use_case is None:
            await self._pass_on(scope, receive, send, started, allowed=False)
            return
        try:
            self._check(scope)
            left = await self._quick(use_case, scope, receive, send)
        except RefusedError as refusal:
            await send_refusal(refusal, scope, receive, send)
            self._metrics.answered(PATH, refusal.status, perf_counter() - started)
        except BaseException:
            self._metrics.answered(PATH, 500, perf_counter() - started)
            raise
        else:
            if left is None:
                self._metrics.answered(PATH, 200, perf_counter() - started)
            else:
                await self._pass_on(scope, left, send, started, allowed=True)

    async def _pass_on(
        self, scope: Scope, receive: Receive, send: Send, started: float, *, allowed: bool
    ) -> None:
        """Give a request to FastAPI, and see what becomes of it."""
        status = 500  # an exception that leaves the application becomes one

        async def noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            if not allowed:
                self._check(scope)
            await self._app(scope, limited(receive), noted)
        except RefusedError as refusal:
            await send_refusal(refusal, scope, receive, noted)
        except HTTPException as error:
            await send_refusal(RefusedError(error.status_code, error.detail), scope, receive, noted)
        finally:
            route = getattr(scope.get("route"), "path", NO_ROUTE)
            self._metrics.answered(route, status, perf_counter() - started)

    def _check(self, scope: Scope) -> None:
        """Whether the request's key is good for its path.

        Raises
        ------
        RefusedError: 401 without a good key, 403 where the key is good for other things, 503 while keys are unknown.
        """
        wanted, use_case = needed(scope["path"])
        if wanted is None:
            return
        keys = self._follower.view.keys
        if keys is None:
            raise unavailable(f"keys are not known yet: {self._follower.view.store_problem}")
        if keys.empty and not self._keys_required:
            return
        try:
            key = keys.check(_key_of(scope), wanted, use_case or None, self._now())
            scope.setdefault("state", {})["client"] = key.id  # who sent an outcome is logged with it
        except KeyRefused as refused:
            self._metrics.refused.labels(refused.kind).inc()
            raise _refusal(refused) from refused


def _key_of(scope: Scope) -> bytes:
    """The key as it was sent: ``Authorization: Bearer`` or ``X-API-Key``; empty: none."""
    for name, value in scope["headers"]:
        if name == b"authorization" and value[:7].lower() == b"bearer ":
            return bytes(value[7:].strip())
        if name == b"x-api-key":
            return bytes(value.strip())
    return b""


def _refusal(refused: KeyRefused) -> RefusedError:
    forbidden = refused.kind in (Refusal.WRONG_SCOPE, Refusal.WRONG_USE_CASE)
    headers = {} if forbidden else {"WWW-Authenticate": 'Bearer realm="kreislauf"'}
    return RefusedError(403 if forbidden else 401, refused.text, headers=headers)
