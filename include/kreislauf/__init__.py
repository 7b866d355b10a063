"""Kreislauf: the domain of the closed-loop AI engineering workflow. No module in here imports Airflow."""

__version__ = "0.1.0"
