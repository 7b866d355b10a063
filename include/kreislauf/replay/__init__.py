"""The whole loop over history or over a simulated world, without Airflow: what would have happened under which policy."""
