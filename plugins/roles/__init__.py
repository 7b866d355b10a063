"""Airflow's roles for the people of the ring, under the FAB auth manager: ``python -m plugins.roles``."""
