"""The workflow page inside Airflow: a page, its files and a JSON API, all behind Airflow's own login."""
