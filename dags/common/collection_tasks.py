"""The Airflow side of a collection: its connections, its tries, and the mapping of what there is to read."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from include.kreislauf.errors import SourceError
from include.kreislauf.handovers import Stage, StepResult, WorkOrder
from include.kreislauf.settings import get_settings

if TYPE_CHECKING:
    from include.kreislauf.collection.step import Collection

log = logging.getLogger(__name__)

LONGEST_WAIT = timedelta(minutes=10)
"""Between two tries of a task that waits for other people's servers."""
_DRIVERS = {"postgres": "postgresql+psycopg", "mysql": "mysql", "sqlite": "sqlite", "mssql": "mssql"}


def connection_url(name: str) -> str | None:
    """Address of an Airflow connection: a SQLAlchemy URL, or an http(s) one; ``None`` where there is none of that name."""
    from airflow.sdk import Connection
    from airflow.sdk.exceptions import AirflowNotFoundException
    from sqlalchemy import URL

    try:
        found: Any = Connection.get(name)
    except AirflowNotFoundException:
        return None
    if found.conn_type == "sqlite":
        return f"sqlite:///{found.host or f'/{found.schema}'}"
    if found.conn_type in ("http", "https"):
        return _server_url(found)
    url = URL.create(
        _DRIVERS.get(found.conn_type, found.conn_type),
        found.login,
        found.password,
        found.host,
        found.port,
        found.schema,
    )
    return url.render_as_string(hide_password=False)


def _server_url(found: Any) -> str:
    """A connection of type HTTP: its host may carry scheme and path, its schema may be the scheme."""
    scheme, _, rest = (found.host or "").rpartition("://")
    host, slash, path = rest.partition("/")
    user, password = (quote(part or "", safe="") for part in (found.login, found.password))
    login = f"{user}:{password}@" if user or password else ""
    port = f":{found.port}" if found.port else ""
    return f"{scheme or found.schema or found.conn_type}://{login}{host}{port}{slash}{path}"


def is_last_try(context: Any) -> bool:
    """Whether Airflow will not try this task again."""
    ti = context["ti"]
    return bool(ti.try_number > ti.max_tries)


def collection_of(order: WorkOrder, context: Any, contract: Any = None) -> Collection:
    """The collection of an order, against this process's settings, clock and connections."""
    from include.kreislauf.collection.step import Collection
    from include.kreislauf.feedback.work import contract_of
    from include.kreislauf.store.database import get_store

    settings = get_settings()
    return Collection(
        order, contract or contract_of(get_store(), order), settings,
        now=settings.now() if settings.clock == "wall" else None,
        connections=connection_url, last_try=is_last_try(context),
    )  # fmt: skip


def portions(order: WorkOrder, context: Any) -> list[dict[str, Any]]:
    """What there is to read, for one mapped task each; nothing where the work is done, or where it cannot be told.

    A source that does not even say what it has is told about by the collection's end, which asks again.
    """
    from include.kreislauf.store import messages
    from include.kreislauf.store.database import get_store

    if order.forced_loop:
        return []
    with get_store().read() as db:
        if messages.find_handover(db, order.use_case, order.cycle_id, Stage.COLLECTION, order.attempt):
            return []
    try:
        chunks = collection_of(order, context).chunks()
    except SourceError as error:
        log.warning("%s", error.text)
        return []
    log.info("%s units of %s sources are to be read, in %s tasks", sum(len(one.units) for one in chunks),
             len({one.source for one in chunks}), len(chunks))  # fmt: skip
    return [one.model_dump(mode="json") for one in chunks]


def read_portion(chunk: dict[str, Any], order: WorkOrder, context: Any) -> None:
    """Read one portion. What cannot be read now is tried again by Airflow, and at last by the collection's end."""
    from include.kreislauf.collection.gathering import Chunk

    collection = collection_of(order, context)
    try:
        collection.read(Chunk.model_validate(chunk))
    except SourceError as error:
        if error.transient and not collection.last_try:
            raise
        log.warning("left to the collection's end: %s", error.text)


def collect_step(context: Any) -> Any:
    """The discipline as a step, for :func:`~dags.common.handover_tasks.perform_step`."""

    def step(order: WorkOrder, contract: Any, _settings: Any) -> StepResult:
        return collection_of(order, context, contract).finish()

    return step
