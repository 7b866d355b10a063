"""Every asset of the ring, derived from the roles and edges: one per handover, one per loop."""

from __future__ import annotations

import functools
import operator
from typing import Any

from airflow.sdk import Asset, PartitionedAssetTimetable
from airflow.sdk.definitions.asset import BaseAsset

from include.kreislauf.handovers import TAKES, Edge, Role, Stage
from include.kreislauf.settings import get_settings

HANDOVER_ASSETS: dict[Stage, Asset] = {
    Stage.REQUIREMENTS: Asset("signed_contract", uri="kreislauf://signed_contract", group="handover"),
    Stage.COLLECTION: Asset("raw_data", uri="kreislauf://raw_data", group="handover"),
    Stage.EVALUATION: Asset("candidate_model", uri="kreislauf://candidate_model", group="handover"),
    Stage.DEPLOYMENT: Asset("live_release", uri="kreislauf://live_release", group="handover"),
}

LOOP_ASSETS: dict[Edge, Asset] = {
    edge: Asset(
        f"loop/{edge.value}", uri=f"kreislauf://loop/{edge.raised_by}/{edge.received_by}", group="loop"
    )
    for edge in Edge
}


def loops_to(role: Role) -> list[Edge]:
    """Edges that a role receives."""
    return [edge for edge in Edge if edge.received_by is role]


def loops_from(role: Role) -> list[Edge]:
    """Edges that a role may raise."""
    return [edge for edge in Edge if edge.raised_by is role]


def assets_starting(role: Role) -> BaseAsset:
    """Any of the assets that start a role's DAG."""
    handover = [HANDOVER_ASSETS[TAKES[role]]] if role in TAKES else []
    assets: list[BaseAsset] = [*handover, *(LOOP_ASSETS[edge] for edge in loops_to(role))]
    return functools.reduce(operator.or_, assets)


def timetable(role: Role, cron: str = "") -> Any:
    """One run of a role's DAG per cycle, whichever asset started it; and one per tick of ``cron``, where given."""
    if cron and get_settings().clock == "wall":
        from dags.common.timetables import (
            CyclesOrClockTimetable,
        )  # imports Airflow's core: only where it is needed

        return CyclesOrClockTimetable(assets=assets_starting(role), cron=cron)
    return PartitionedAssetTimetable(assets=assets_starting(role))
