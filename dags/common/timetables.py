"""The timetable of the DAGs that run by asset events and by the clock."""

from __future__ import annotations

from typing import Any

from airflow.timetables.base import DagRunInfo, DataInterval, TimeRestriction
from airflow.timetables.simple import PartitionedAssetTimetable
from airflow.timetables.trigger import CronPartitionTimetable
from airflow.utils.types import DagRunType
from pendulum import DateTime

DUE_PREFIX = "due|"
"""Partition keys of runs that the clock started begin with this; no cycle's key does."""


class CyclesOrClockTimetable(PartitionedAssetTimetable):
    """One run per cycle and asset event, and one run per tick of a cron expression.

    Airflow 3.3 has either: ``AssetOrTimeSchedule`` knows no partition keys, and with plain asset events a run that
    is at work swallows the next event. A tick's run carries the key ``due|<time>``: it belongs to no cycle and looks
    at all use cases.

    Parameters
    ----------
    assets: condition of assets, as of ``PartitionedAssetTimetable``.
    cron: cron expression in UTC.
    """

    def __init__(self, *, assets: Any, cron: str) -> None:
        super().__init__(assets=assets)
        self._cron = cron
        self._clock = CronPartitionTimetable(
            cron, timezone="UTC", key_format=f"{DUE_PREFIX}%Y-%m-%dT%H:%M:%SZ"
        )
        self.can_be_scheduled = True
        self.periodic = True
        self.description = f"Triggered by assets, and {cron}"

    @property
    def summary(self) -> str:
        """What the list of DAGs shows."""
        return f"Cycles, and {self._cron}"

    def serialize(self) -> dict[str, Any]:
        """The parameters, as JSON."""
        return {"assets": super().serialize()["asset_condition"], "cron": self._cron}

    @classmethod
    def deserialize(cls, data: dict[str, Any]) -> CyclesOrClockTimetable:
        """The timetable again."""
        from airflow.serialization.decoders import decode_asset_like

        return cls(assets=decode_asset_like(data["assets"]), cron=data["cron"])

    def validate(self) -> None:
        """Refuse a cron expression that does not parse."""
        self._clock.validate()

    def next_dagrun_info_v2(
        self, *, last_dagrun_info: DagRunInfo | None, restriction: TimeRestriction
    ) -> DagRunInfo | None:
        """The next tick, with its key."""
        return self._clock.next_dagrun_info_v2(last_dagrun_info=last_dagrun_info, restriction=restriction)

    def generate_run_id(
        self, *, run_type: DagRunType, run_after: DateTime, data_interval: DataInterval | None, **extra: Any
    ) -> str:
        """Ids of ticks and of other runs, each as their own timetable makes them."""
        facts: dict[str, Any] = {"run_type": run_type, "run_after": run_after, "data_interval": data_interval}
        if run_type == DagRunType.SCHEDULED:  # without the key: a run id may not contain its "|"
            return self._clock.generate_run_id(**facts)
        return super().generate_run_id(**facts, **extra)
