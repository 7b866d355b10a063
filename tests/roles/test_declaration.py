"""The declaration follows the ring, and FAB's permissions follow the declaration."""

from __future__ import annotations

import pytest

from include.kreislauf.handovers import PEOPLE, Edge, Role
from plugins.roles.declaration import CANARY, EVERYTHING, ROLES, WATCHER, AirflowRole, Right
from plugins.roles.permissions import permissions_of

PERSONS = [role for role in ROLES if role.person]
DECLARED = pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)


def test_the_names_are_those_of_the_ring() -> None:
    assert [role.name for role in ROLES] == [
        "Product Owner", "Data Engineer", "Data Scientist", "MLOps Engineer", "Watcher",
    ]  # fmt: skip
    assert {*PEOPLE} == {*Role}


@pytest.mark.parametrize("dag_id", [*Role, CANARY])
def test_every_dag_has_one_owner_and_everybody_sees_it(dag_id: str) -> None:
    assert len([role for role in PERSONS if role.may(Right.WORK, dag_id)]) == 1
    assert len([role for role in PERSONS if role.may(Right.START, dag_id)]) == 1
    assert all(role.may(Right.SEE, dag_id) for role in ROLES)
    assert not any(role.may(right, "elsewhere") for role in ROLES for right in Right)


def test_only_mlops_promotes_rolls_back_and_raises_loops_from_monitoring() -> None:
    assert [role.name for role in ROLES if role.may(Right.START, "mlops")] == ["MLOps Engineer"]
    opening = [edge for edge in Edge if edge.opens_cycle]
    assert [role.name for role in PERSONS if {*opening} & {*role.raises}] == ["MLOps Engineer"]


def test_every_loop_has_one_role_that_raises_it_by_hand() -> None:
    raised = [edge for role in PERSONS for edge in role.raises]
    assert sorted(raised) == sorted(Edge)


def test_the_watcher_only_starts() -> None:
    assert {"monitoring", CANARY} == WATCHER.starts
    assert not any(WATCHER.may(Right.WORK, dag_id) for dag_id in EVERYTHING)
    written = {pair for pair in permissions_of(WATCHER) if pair[0] != "can_read"}
    assert written == {
        ("can_edit", "DAG:monitoring"), ("can_edit", "DAG:canary"),
        ("can_create", "DAG Run:monitoring"), ("can_create", "DAG Run:canary"),
    }  # fmt: skip


@DECLARED
def test_nobody_gets_a_right_over_all_dags_or_one_to_delete(role: AirflowRole) -> None:
    found = permissions_of(role)
    for action in ("can_read", "can_edit", "can_delete"):
        assert (action, "DAGs") not in found
    assert not [pair for pair in found if pair[0] == "can_delete"]


@DECLARED
@pytest.mark.parametrize("resource", [
    "Assets", "XComs", "Pools", "Variables", "Connections", "Configurations", "Users", "Roles", "Audit Logs",
])  # fmt: skip
def test_nobody_writes_what_belongs_to_all(role: AirflowRole, resource: str) -> None:
    assert not permissions_of(role) & {
        (action, resource) for action in ("can_create", "can_edit", "can_delete")
    }
    secret = {"Variables", "Connections", "Configurations", "Users", "Roles", "Audit Logs"}
    assert resource not in secret or ("can_read", resource) not in permissions_of(role)
