"""What "ready" means for each part of the stack, judged by signs of this start and not of an earlier one."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

import httpx

from include.kreislauf.embedded.airflow_api import AirflowApi
from include.kreislauf.embedded.processes import StackError

_TIMEOUT = 5.0


def answers(url: str, timeout: float = _TIMEOUT) -> bool:
    """Whether the address answers 200."""
    try:
        return httpx.get(url, timeout=timeout, trust_env=False).status_code == httpx.codes.OK
    except httpx.TransportError:
        return False


def airflow_is_healthy(airflow_url: str, components: Iterable[str], since: datetime) -> bool:
    """Whether the database is there and each component has sent a heartbeat since the stack was started.

    A scheduler that was killed counts as healthy for 30 more seconds: its heartbeat alone tells them apart.
    """
    try:
        answer = httpx.get(f"{airflow_url}/api/v2/monitor/health", timeout=_TIMEOUT, trust_env=False)
    except httpx.TransportError:
        return False
    if answer.status_code != httpx.codes.OK:
        return False
    health = answer.json()
    return health["metadatabase"]["status"] == "healthy" and all(
        (health.get(name) or {}).get("status") == "healthy"
        and _not_before(health[name].get(f"latest_{name}_heartbeat"), since)
        for name in components
    )


def missing_dags(api: AirflowApi, wanted: set[str], since: datetime, unpause: bool) -> set[str]:
    """The wanted DAGs that have not been parsed since then.

    Raises
    ------
    StackError: a file cannot be imported, or a wanted DAG is paused and may not be unpaused.
    """
    errors = [error for error in api.import_errors() if _not_before(error["timestamp"], since)]
    if errors:
        raise StackError(
            f"{len(errors)} DAG files cannot be imported",
            where=", ".join(error["filename"] for error in errors),
            next_step="correct the code the stack trace names",
            log_tail=[line for error in errors for line in error["stack_trace"].splitlines()],
        )
    parsed = {dag["dag_id"]: dag for dag in api.dags() if _not_before(dag["last_parsed_time"], since)}
    paused = sorted(dag_id for dag_id in wanted & parsed.keys() if parsed[dag_id]["is_paused"])
    if paused and not unpause:
        raise StackError(
            f"paused DAGs: {', '.join(paused)}", next_step="unpause them: paused consumers lose events"
        )
    for dag_id in paused:
        api.pause(dag_id, False)
    return wanted - parsed.keys()


def _not_before(moment: str | None, since: datetime) -> bool:
    return moment is not None and datetime.fromisoformat(moment) >= since
