"""Airflow for tests that only look at DAGs."""

import tests.support.airflow_home  # noqa: F401 - before anything imports Airflow
