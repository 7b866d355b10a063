"""Registers the ring's timetable with Airflow, so that the scheduler can load it."""

from airflow.plugins_manager import AirflowPlugin

from dags.common.timetables import CyclesOrClockTimetable


class KreislaufTimetables(AirflowPlugin):
    """Timetables of the bundle."""

    name = "kreislauf_timetables"
    timetables = [CyclesOrClockTimetable]  # noqa: RUF012 - Airflow's form
