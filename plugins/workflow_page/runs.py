"""Runs of the monitoring DAG, started by the API server itself."""

from __future__ import annotations

from fastapi import HTTPException, status

from include.kreislauf.handovers import Role


def start_monitoring(run_id: str, form: dict[str, str]) -> bool:
    """Start a run with a filled-in form; ``False``: there is a run of this id already.

    Raises
    ------
    HTTPException: 503, the DAG is not there (yet).
    """
    from airflow.api.common.trigger_dag import trigger_dag
    from airflow.exceptions import DagNotFound, DagRunAlreadyExists
    from airflow.utils.types import DagRunTriggeredByType
    from sqlalchemy.exc import IntegrityError

    try:
        trigger_dag(
            Role.MONITORING.value, run_id=run_id, conf=form, triggered_by=DagRunTriggeredByType.REST_API
        )
    except (DagRunAlreadyExists, IntegrityError):  # the second: two requests at the same moment
        return False
    except DagNotFound as error:
        raise HTTPException(status.HTTP_503_SERVICE_UNAVAILABLE, str(error)) from error
    return True
