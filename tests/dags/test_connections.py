"""Connections of Airflow as a collection sees them."""

from __future__ import annotations

import pytest

from dags.common.collection_tasks import connection_url


@pytest.mark.parametrize(
    ("connection", "url"),
    [
        ("postgres://reader:p%40ss%2Fword@db.example:5433/plant", "postgresql+psycopg://reader:p%40ss%2Fword@db.example:5433/plant"),
        ("sqlite://%2Fdata%2Fplant.db", "sqlite:////data/plant.db"),
        ("sqlite:///data/plant.db", "sqlite:////data/plant.db"),
        ("http://prometheus:9090", "http://prometheus:9090"),
        ("http://me:p%40ss@prometheus:9090/https", "https://me:p%40ss@prometheus:9090"),
        ('{"conn_type": "http", "host": "https://metrics.example/prometheus", "password": "token"}',
         "https://:token@metrics.example/prometheus"),
    ],
)  # fmt: skip
def test_a_connection_becomes_a_url(monkeypatch: pytest.MonkeyPatch, connection: str, url: str) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_PLANT", connection)
    assert connection_url("plant") == url


def test_a_connection_that_is_not_there_is_none() -> None:
    assert connection_url("no_such_connection") is None
