"""Has Airflow make the ring's pools where they are missing."""

from airflow.plugins_manager import AirflowPlugin

from dags.common import pools


class KreislaufPools(AirflowPlugin):
    """Listens for components that start."""

    name = "kreislauf_pools"
    listeners = [pools]  # noqa: RUF012 - Airflow's form
