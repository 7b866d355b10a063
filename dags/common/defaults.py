"""Settings that the five DAGs have in common, and the form of a manual run."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk import Param

from dags.common.failures import mark_cycle_failed
from dags.common.pools import COLLECTION, TRAINING
from include.kreislauf.handovers import Edge, Role
from include.kreislauf.requirements.loading import contract_files
from include.kreislauf.settings import get_settings

LIGHT: dict[str, Any] = {
    "priority_weight": 60,
    "weight_rule": "absolute",
    "execution_timeout": timedelta(hours=1),
}
"""What steers: it goes before whatever is mass work."""
LONGEST = timedelta(hours=12)
"""For what the size of the data decides; Celery's visibility time-out must lie above."""
READING: dict[str, Any] = {"pool": COLLECTION, "priority_weight": 1}
"""Mass work. Airflow takes tasks of the same weight by their map index: a small collection that starts later goes before
the rest of a large one, and both share the slots."""
TRAINING_WORK: dict[str, Any] = {"pool": TRAINING, "priority_weight": 2}

DAG_DEFAULTS: dict[str, Any] = {
    "start_date": datetime(2026, 1, 1, tzinfo=UTC),
    "catchup": False,
    # a paused consumer loses its events for good
    "is_paused_upon_creation": False,
    "tags": ["kreislauf"],
    "max_active_runs": 16,
    # pools say how many at a time; Airflow's own limit per run is 16
    "max_active_tasks": 1024,
    "default_args": {
        **LIGHT,
        "retries": 2,
        "retry_delay": timedelta(seconds=5),
        "on_failure_callback": mark_cycle_failed,
    },
}

_NEARNESS = tuple(Role)
"""The later in the ring, the sooner: a cycle is finished before another one is begun, and what is live comes first."""


def dag_settings(role: Role) -> dict[str, Any]:
    """Settings of a role's DAG."""
    weight = 10 * (1 + _NEARNESS.index(role))
    return {**DAG_DEFAULTS, "default_args": {**DAG_DEFAULTS["default_args"], "priority_weight": weight}}


def manual_form(role: Role) -> dict[str, Param]:
    """The fields a person fills in when triggering a role's DAG by hand. Runs started by an asset ignore them."""
    names = [path.parent.name for path in contract_files(get_settings().use_cases)]
    form = {
        "use_case": Param(
            names[0] if len(names) == 1 else None, type=["string", "null"],
            examples=names,
            title="Use case", description="Which contract the run is for.",
        ),
        "reason": Param(
            None, type=["string", "null"], title="Reason", maxLength=2000,
            description="Why you start it; stays with the cycle for everyone to read.",
        ),
        "by": Param(
            None, type=["string", "null"], title="Your name or role", maxLength=128,
            description="Stays with the cycle; empty: the user you are logged in as.",
        ),
        "as_of": Param(
            None, type=["string", "null"], format="date-time", title="As of",
            description="The time the data may know of; empty: now.",
        ),
        "override": Param(
            False, type="boolean", title="Override the governor",
            description="Start although another cycle is at work; your name and reason are recorded.",
        ),
    }  # fmt: skip
    if role in (Role.DATA_ENGINEERING, Role.DATA_SCIENCE):
        form["fresh"] = Param(
            False, type="boolean", title="Do it anew",
            description="Use no earlier result, although nothing that it depends on has changed; your name is recorded.",
        )  # fmt: skip
    if edges := [edge for edge in Edge if edge.raised_by is role]:
        form |= _loop_fields(role, edges)
    if role is Role.MLOPS:
        form["roll_back"] = Param(
            False, type="boolean", title="Roll back",
            description="Point back to the release that was live before, at once, whatever else is at work.",
        )  # fmt: skip
    return form


def _loop_fields(role: Role, edges: list[Edge]) -> dict[str, Param]:
    """Which loop to raise; and in which cycle, where it stays inside one."""
    opens = role is Role.MONITORING
    instead = "whatever the verdict says; empty: only check" if opens else "instead of working; empty: work"
    fields = {
        "loop": Param(
            None, type=["string", "null"], enum=[*(edge.value for edge in edges), None], title="Raise a loop",
            description=f"Send the work back now, {instead}. The governor may refuse, and says why.",
        )
    }  # fmt: skip
    if not opens:
        fields["cycle"] = Param(
            None, type=["string", "null"], title="Cycle of the loop", maxLength=127,
            description="The cycle that the work is sent back in: one at work, or one that has failed.",
        )  # fmt: skip
    return fields
