"""Celery's settings: Airflow's own, and a sign of life that a health check can look at without importing anything."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from airflow.providers.celery.executors.default_celery import DEFAULT_CELERY_CONFIG
from celery.signals import heartbeat_sent

ALIVE = Path("/tmp/alive")  # noqa: S108 - the container's own folder; the name stands in docker-compose.yaml
CELERY_CONFIG = DEFAULT_CELERY_CONFIG


@heartbeat_sent.connect  # type: ignore[untyped-decorator]
def touch(**_signal: Any) -> None:
    """The worker has told the broker that it lives."""
    ALIVE.touch()
