"""The five DAGs as declared: what follows from the roles and edges, derived from the declarations."""

from __future__ import annotations

import importlib
import sys
from typing import Any

import pytest
from airflow.serialization.serialized_objects import DagSerialization

from dags.common.assets import HANDOVER_ASSETS, LOOP_ASSETS, loops_from, loops_to
from include.kreislauf.handovers import TAKES, Edge, Role

DAGS: dict[Role, Any] = {role: importlib.import_module(f"dags.{role}").dag for role in Role}
SCHEDULED = {role: DagSerialization.from_dict(DagSerialization.to_dict(dag)) for role, dag in DAGS.items()}
"""The DAGs as the scheduler sees them."""


def produced_by(role: Role) -> set[str]:
    return {outlet.name for task in DAGS[role].tasks for outlet in task.outlets}


def starting(role: Role) -> set[str]:
    return {key.name for key, _ in SCHEDULED[role].timetable.asset_condition.iter_assets()}


def test_there_is_one_dag_per_role() -> None:
    assert {dag.dag_id for dag in DAGS.values()} == {str(role) for role in Role}


@pytest.mark.parametrize("role", Role)
def test_every_asset_that_starts_a_dag_has_a_producer(role: Role) -> None:
    everything = set().union(*(produced_by(other) for other in Role))
    assert starting(role) <= everything


@pytest.mark.parametrize("edge", Edge)
def test_every_loop_is_raised_by_its_sender_and_starts_its_receiver(edge: Edge) -> None:
    name = LOOP_ASSETS[edge].name
    assert name == f"loop/{edge.value}"
    assert name in produced_by(edge.raised_by)
    assert name in starting(edge.received_by)
    assert [role for role in Role if name in produced_by(role)] == [edge.raised_by]


@pytest.mark.parametrize("role", Role)
def test_a_dag_emits_its_handover_and_its_loops_and_nothing_else(role: Role) -> None:
    handovers = {HANDOVER_ASSETS[stage].name for stage in HANDOVER_ASSETS if _given_by(role) is stage}
    loops = {LOOP_ASSETS[edge].name for edge in loops_from(role)}
    assert produced_by(role) == handovers | loops


@pytest.mark.parametrize("role", Role)
def test_every_asset_is_emitted_by_one_task(role: Role) -> None:
    outlets = [outlet.name for task in DAGS[role].tasks for outlet in task.outlets]
    assert len(outlets) == len(set(outlets))


@pytest.mark.parametrize("role", Role)
def test_dags_are_unpaused_described_and_retried(role: Role) -> None:
    dag = DAGS[role]
    assert dag.is_paused_upon_creation is False
    assert "**Runs**" in dag.doc_md
    assert all(task.retries == 2 for task in dag.tasks)
    assert {"use_case", "reason", "as_of", "override"} <= set(dag.params)


@pytest.mark.parametrize("role", Role)
def test_every_loop_can_be_raised_from_the_form_of_its_role(role: Role) -> None:
    form = DAGS[role].params
    edges = [edge.value for edge in Edge if edge.raised_by is role]
    offered = form.get_param("loop").schema["enum"] if "loop" in form else [None]
    assert offered == [*edges, None]
    assert ("cycle" in form) is bool(edges and role is not Role.MONITORING)


def test_reminders_draw_no_edge() -> None:
    remind = DAGS[Role.MONITORING].get_task("remind")
    assert (remind.outlets, remind.trigger_rule) == ([], "all_done")
    assert set(remind.upstream_task_ids) == {"check"}
    assert not remind.downstream_task_ids


def test_parsing_imports_nothing_heavy() -> None:
    import subprocess

    names = "', '".join(f"dags.{role}" for role in Role)
    code = f"import importlib, sys; [importlib.import_module(n) for n in ('{names}',)]; print([m for m in ('pandas', 'sklearn', 'numpy', 'deltalake', 'matplotlib') if m in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip().splitlines()[-1] == "[]"


def _given_by(role: Role) -> Any:
    receivers = [other for other in Role if other in TAKES]
    givers = {Role.REQUIREMENTS: Role.DATA_ENGINEERING, Role.DATA_ENGINEERING: Role.DATA_SCIENCE,
              Role.DATA_SCIENCE: Role.MLOPS, Role.MLOPS: Role.MONITORING}  # fmt: skip
    receiver = givers.get(role)
    return TAKES[receiver] if receiver in receivers else None


def test_roles_receive_what_the_design_says() -> None:
    assert {edge.value for edge in loops_to(Role.REQUIREMENTS)} == {
        "data_engineering→requirements", "data_science→requirements", "monitoring→requirements"
    }  # fmt: skip
    assert {edge.value for edge in loops_to(Role.DATA_SCIENCE)} == {
        "data_science→data_science", "mlops→data_science", "monitoring→data_science"
    }  # fmt: skip
