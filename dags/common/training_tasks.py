"""The Airflow side of a training: the mapping of its families over workers, and a person's answer about its result."""

from __future__ import annotations

from typing import Any

from airflow.sdk.exceptions import AirflowSkipException

from include.kreislauf.handovers import WorkOrder
from include.kreislauf.settings import get_settings


def portions(order: WorkOrder) -> list[str]:
    """The families that tasks of their own search, on whatever workers there are.

    None where one task does it all, or where an earlier training's result will be used.
    """
    if not get_settings().map_training:
        return []
    training = _training(order)
    known, _ = training.reuse.earlier()
    return [] if known else list(training.tried)


def search_portion(order: WorkOrder, family: str) -> None:
    """Search one family; what comes of it is kept for the task that trains."""
    _training(order).search([family])


def wait_for_answer(order: WorkOrder) -> None:
    """The order's cycle waits for a person."""
    from include.kreislauf.feedback.questions import wait
    from include.kreislauf.store.database import get_store

    wait(get_store(), order, get_settings().now())


def take_up_again(order: WorkOrder, note: str) -> None:
    """The order's cycle is at work again; skips what follows when it had to make way meanwhile."""
    from include.kreislauf.feedback.questions import take_up
    from include.kreislauf.store.database import get_store

    if not take_up(get_store(), order, get_settings().now(), note):
        raise AirflowSkipException("the cycle is over: another one took its place")


def _training(order: WorkOrder) -> Any:
    from include.kreislauf.feedback.work import contract_of
    from include.kreislauf.store.database import get_store
    from include.kreislauf.training.step import Training

    return Training(order, contract_of(get_store(), order), get_settings())
