"""The Airflow side of the canary: started through the ring's first DAG, waited for by the triggerer, told at the end."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from datetime import datetime
from time import monotonic
from typing import TYPE_CHECKING, Any, NoReturn

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowFailException
from airflow.triggers.base import BaseTrigger, TriggerEvent

from dags.common.reminding import trigger
from include.kreislauf.canary.result import FAULT, START, WAIT, passed, write_down
from include.kreislauf.errors import KreislaufError
from include.kreislauf.handovers import Role
from include.kreislauf.settings import CANARY, get_settings

if TYPE_CHECKING:
    from include.kreislauf.canary.watching import CanaryError, Progress

PATIENCE = 120.0
"""Seconds for each stage."""
POLL = 0.5


def start_ring(context: Any) -> dict[str, str]:
    """Start the ring's first DAG by hand; all that follows comes by asset events. Returns what to wait for."""
    began = get_settings().now().isoformat()
    canary_run = context["dag_run"].run_id
    run_id = re.sub(r"[^A-Za-z0-9_.~:+-]", "_", f"canary__{canary_run}")  # the same when the task is repeated
    form = {
        "use_case": CANARY, "reason": f"canary {canary_run}", "by": "the canary", "as_of": began,
        "override": True,  # a canary that was left behind makes way
    }  # fmt: skip
    trigger(Role.REQUIREMENTS.value, run_id, form)
    return {"run_id": run_id, "began": began}


class WaitForTheRing(BaseOperator):
    """Waits until the canary's cycle has its first verdict; no worker is held meanwhile.

    Returns what :meth:`~include.kreislauf.canary.watching.Progress.told` says. Fails with the stage that was not reached.
    """

    def execute(self, context: Any) -> None:
        """Give the waiting to the triggerer."""
        started = context["ti"].xcom_pull(task_ids=START)
        self.defer(trigger=RingTrigger(**started, patience=PATIENCE), method_name="resume")

    def resume(self, context: Any, event: dict[str, Any]) -> dict[str, Any]:
        """Tell what the triggerer saw."""
        if fault := event.pop(FAULT):
            give_up(context, event["cycle"], fault)
        return event


class RingTrigger(BaseTrigger):
    """Looks at the workflow store until a canary is through the ring, or a stage does not come within its time.

    Parameters
    ----------
    run_id: run of the ring's first DAG.
    began: when the canary did, in ISO 8601.
    patience: seconds for each stage.
    """

    def __init__(self, run_id: str, began: str, patience: float) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.run_id, self.began, self.patience = run_id, began, patience
        self._trouble = ""

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Class and parameters, for the triggerer."""
        facts = {"run_id": self.run_id, "began": self.began, "patience": self.patience}
        return (f"{type(self).__module__}.{type(self).__qualname__}", facts)

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """One event, at the end."""
        from include.kreislauf.canary.watching import Progress

        seen, since = Progress(), monotonic()
        while seen.next and not (fault := seen.ended):
            if monotonic() - since > self.patience:
                fault = self._stuck(seen)
                break
            await asyncio.sleep(POLL)
            before, seen = seen, await asyncio.to_thread(self._look, seen)
            since = since if seen.next == before.next else monotonic()
        else:
            fault = seen.ended
        payload = {**seen.told(), FAULT: fault.text if fault else ""}
        yield TriggerEvent(payload)  # type: ignore[no-untyped-call]

    def _look(self, before: Progress) -> Progress:
        """The progress now; as it was before, where the store is away."""
        from sqlalchemy.exc import SQLAlchemyError

        from include.kreislauf.canary.watching import look
        from include.kreislauf.store.database import get_store

        try:
            with get_store().read() as db:
                found = look(db, f"{Role.REQUIREMENTS}/{self.run_id}", datetime.fromisoformat(self.began))
        except (KreislaufError, SQLAlchemyError) as error:
            self._trouble = " ".join(str(error).split())[:300]
            return before
        self._trouble = ""
        return found

    def _stuck(self, seen: Progress) -> CanaryError:
        from include.kreislauf.canary.watching import CanaryError

        if self._trouble:
            return CanaryError(
                f"the triggerer cannot read the workflow store: {self._trouble}", where=seen.next,
                next_step="start the database, or give the triggerer its KREISLAUF_STORE_URL",
            )  # fmt: skip
        return seen.stuck(self.patience)


def ask_service(context: Any) -> str:
    """Ask the service for a prediction of the canary's release, and tell it an outcome; returns the canary's result."""
    from include.kreislauf.canary.asking import Asking
    from include.kreislauf.canary.watching import CanaryError
    from include.kreislauf.store.database import get_store

    settings, store = get_settings(), get_store()
    found = context["ti"].xcom_pull(task_ids=WAIT)
    seconds = dict(found["seconds"])
    not_asked = (
        "" if settings.service_url else "; the service was not asked: KREISLAUF_SERVICE_URL is not set"
    )
    if settings.service_url:
        try:
            seconds |= Asking(store, settings, found["release"], settings.now).ask()
        except CanaryError as error:
            give_up(context, found["cycle"], error.text)
    line = passed(seconds, found["cycle"], found["release"], found["tracking"]) + not_asked
    write_down(store, found["cycle"], line, settings.now(), over=False)
    return line


def give_up(context: Any, cycle_id: str, fault: str) -> NoReturn:
    """Tell what does not work, and end the canary's cycle."""
    from include.kreislauf.store.database import get_store

    context["ti"].xcom_push(key=FAULT, value=fault)
    write_down(get_store(), cycle_id, f"canary failed: {fault}", get_settings().now(), over=True)
    raise AirflowFailException(f"canary failed: {fault}")
