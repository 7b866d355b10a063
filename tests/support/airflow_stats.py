"""Sends one of each of Airflow's metrics by Airflow's own StatsD client, with the tags that it sends itself.

``python -m tests.support.airflow_stats``, with Airflow's settings in the environment.
"""

from __future__ import annotations

from typing import Any

from tests.support.statsd import send_all

SENTINEL = "airflow_all_sent"
TAGS = {
    "dag_id": "mlops", "task_id": "group.release", "state": "success", "run_id": "manual__2026-06-01T00:00:00+00:00",
    "job_id": "7", "queue": "default", "pool_name": "default_pool", "executor_class_name": "CeleryExecutor",
    "hostname": "here", "task_type": "PythonOperator", "operator_name": "PythonOperator", "file_name": "mlops",
    "bundle_name": "dags-folder", "return_code": "0", "run_type": "manual", "executor": "CeleryExecutor",
}  # fmt: skip
OF_TASK = ("dag_id", "task_id")
OF_NAME = {
    "ti.finish": (*OF_TASK, "state"), "ti.start": OF_TASK, "task.duration": OF_TASK, "ti_failures": OF_TASK,
    "task_instances_without_heartbeats_killed": OF_TASK, "task.queued_duration": (*OF_TASK, "queue"),
    "task.scheduled_duration": (*OF_TASK, "queue"), "dagrun.duration.success": ("dag_id", "run_type"),
    "dagrun.duration.failed": ("dag_id", "run_type"), "scheduler.executor_heartbeat_duration": ("executor",),
    "task_instance_created": ("task_type", "dag_id", "run_type"), "scheduler_heartbeat": (),
}  # fmt: skip
"""Tags of the metrics that the dashboards and alerts name, as Airflow's source gives them."""


def main() -> None:
    """Send them, and one more at the end."""
    from airflow.observability.metrics import stats_utils
    from airflow.sdk._shared.observability.metrics import stats

    stats.initialize(factory=stats_utils.get_stats_factory(), export_legacy_names=False)

    def send(metric: dict[str, Any], name: str) -> None:
        wanted = OF_NAME.get(name, metric["name_variables"])
        tags = {key: TAGS[key] for key in (*wanted, "run_id", "job_id") if key in TAGS}
        match metric["type"]:
            case "counter":
                stats.incr(name, tags=tags)
            case "gauge":
                stats.gauge(name, 2, tags=tags)
            case _:
                stats.timing(name, 1500.0, tags=tags)

    send_all(send)
    for state in ("failed", "up_for_retry"):
        stats.incr("ti.finish", tags={key: TAGS[key] for key in OF_TASK} | {"state": state})
    stats.incr("all_sent_total")


if __name__ == "__main__":
    main()
