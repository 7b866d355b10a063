"""Airflow and the prediction service as processes of one computer: behind `make run` and the ring tests."""
