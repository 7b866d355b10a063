"""The declaration in FAB's words: pairs of an action and a resource.

FAB knows single DAGs only for ``DAGs`` and ``DAG Runs`` (``DAG:mlops``, ``DAG Run:mlops``); tasks, questions, XComs and
logs are one resource each. To change what belongs to a DAG, a person needs both: the action on the resource, and
``can_edit`` on the DAG. So the resources are given to all who work anywhere, and ``can_edit`` only on their own DAGs.

Nobody here gets: deleting (history stays), writing XComs (they carry the order of a run), creating asset events (they
would start any role's work under any name), or anything of variables, connections, configuration, users, roles and the
audit log. Pools are only shown.
"""

from __future__ import annotations

from airflow.providers.common.compat.security.permissions import RESOURCE_ASSET, RESOURCE_ASSET_ALIAS
from airflow.providers.fab.www.security import permissions as fab

from plugins.roles.declaration import EVERYTHING, AirflowRole

Permission = tuple[str, str]

READ, EDIT, CREATE, MENU = (
    fab.ACTION_CAN_READ, fab.ACTION_CAN_EDIT, fab.ACTION_CAN_CREATE, fab.ACTION_CAN_ACCESS_MENU,
)  # fmt: skip

SEEN = (fab.RESOURCE_DAG_RUN, fab.RESOURCE_TASK_INSTANCE, fab.RESOURCE_TASK_LOG, fab.RESOURCE_XCOM)
"""What everybody sees, machines too, of the DAGs they may read."""

SEEN_BY_PEOPLE = (
    fab.RESOURCE_WEBSITE, fab.RESOURCE_HITL_DETAIL, fab.RESOURCE_DAG_CODE, fab.RESOURCE_DAG_DEPENDENCIES,
    fab.RESOURCE_DAG_VERSION, fab.RESOURCE_DAG_WARNING, fab.RESOURCE_IMPORT_ERROR, RESOURCE_ASSET,
    RESOURCE_ASSET_ALIAS, fab.RESOURCE_CLUSTER_ACTIVITY, fab.RESOURCE_JOB,
    # the website asks for the pages of plugins, ours among them, and shows on its first page how full the pools are
    fab.RESOURCE_PLUGIN, fab.RESOURCE_POOL, fab.RESOURCE_MY_PROFILE, fab.RESOURCE_MY_PASSWORD,
)  # fmt: skip

MENUS = (
    fab.RESOURCE_DAG, fab.RESOURCE_DAG_RUN, fab.RESOURCE_TASK_INSTANCE, fab.RESOURCE_DAG_DEPENDENCIES,
    fab.RESOURCE_HITL_DETAIL, RESOURCE_ASSET, fab.RESOURCE_BROWSE_MENU, fab.RESOURCE_DOCS, fab.RESOURCE_DOCS_MENU,
)  # fmt: skip

CHANGED_AT_WORK = (fab.RESOURCE_DAG_RUN, fab.RESOURCE_TASK_INSTANCE, fab.RESOURCE_HITL_DETAIL)


def permissions_of(role: AirflowRole) -> frozenset[Permission]:
    """Everything that FAB has to know of a role."""
    found = {(READ, _dag(dag_id)) for dag_id in EVERYTHING} | {(READ, seen) for seen in SEEN}
    if role.person:
        found |= {(READ, seen) for seen in SEEN_BY_PEOPLE} | {(MENU, menu) for menu in MENUS}
        found |= {(EDIT, fab.RESOURCE_MY_PROFILE), (EDIT, fab.RESOURCE_MY_PASSWORD)}
    else:
        # FAB gives this one to every role of one's own, whenever an API server starts
        found |= {(READ, fab.RESOURCE_WEBSITE)}
    found |= {(EDIT, _dag(dag_id)) for dag_id in role.starts | role.works}
    found |= {(CREATE, fab.resource_name(dag_id, fab.RESOURCE_DAG_RUN)) for dag_id in role.starts}
    if role.works:
        found |= {(EDIT, changed) for changed in CHANGED_AT_WORK}
    return frozenset(found)


def _dag(dag_id: str) -> str:
    return fab.resource_name(dag_id, fab.RESOURCE_DAG)
