"""Who may see the workflow page. Airflow mounts a plugin's app beside its own routes and does not protect it."""

from __future__ import annotations

from airflow.api_fastapi.auth.managers.models.resource_details import AccessView, DagAccessEntity
from airflow.api_fastapi.core_api.security import GetUserDep, requires_access_dag, requires_access_view
from fastapi import HTTPException, Request, status

from include.kreislauf.handovers import Role

may_see_website = requires_access_view(AccessView.WEBSITE)
"""A dependency: the caller is logged in and may open Airflow's website."""

may_start_monitoring = requires_access_dag("POST", DagAccessEntity.RUN, Role.MONITORING.value)
"""A dependency: the caller may start runs of the monitoring DAG."""


def may_see_workflow(request: Request, user: GetUserDep) -> None:
    """A dependency: the caller may read at least one of the ring's DAGs.

    Raises
    ------
    HTTPException: 401 without a login, 403 without the right.
    """
    for role in Role:
        try:
            requires_access_dag(method="GET", param_dag_id=role.value)(request, user)
        except HTTPException:
            continue
        return
    raise HTTPException(status.HTTP_403_FORBIDDEN, "Needs the right to read one of the workflow's DAGs")
