"""Settings: read from the environment, with defaults that fit the embedded stack."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import ValidationError

from include.kreislauf import __version__
from include.kreislauf.errors import SettingsError
from include.kreislauf.settings import ROOT, Settings, get_settings
from include.kreislauf.store.database import get_store


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for field in Settings.model_fields:
        monkeypatch.delenv(f"KREISLAUF_{field.upper()}", raising=False)


def test_without_variables_everything_is_below_the_project():
    settings = get_settings()
    assert settings.home == ROOT / "var"
    assert settings.store == f"sqlite:///{ROOT / 'var' / 'kreislauf.db'}"
    assert settings.tables == str(ROOT / "var" / "tables")
    assert settings.artefacts == ROOT / "var" / "artefacts"
    assert (settings.use_cases / "technology_radar" / "contract.yaml").is_file()
    assert settings.code == __version__
    assert settings.clock == "wall"


def test_what_is_not_set_by_itself_follows_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("KREISLAUF_HOME", str(tmp_path))
    settings = get_settings()
    assert settings.store == f"sqlite:///{tmp_path}/kreislauf.db"
    assert settings.tables == f"{tmp_path}/tables"
    assert settings.artefacts == tmp_path / "artefacts"
    assert settings.tracking == f"sqlite:///{tmp_path}/mlflow.db"


@pytest.mark.parametrize(("given", "url"), [("none", ""), ("http://mlflow:5000", "http://mlflow:5000")])
def test_tracking_is_elsewhere_or_off(monkeypatch: pytest.MonkeyPatch, given: str, url: str):
    monkeypatch.setenv("KREISLAUF_TRACKING_URL", given)
    assert get_settings().tracking == url


VALUES = {
    "home": "/srv/kreislauf", "store_url": "postgresql://db/kreislauf", "tables_url": "s3://bucket/tables",
    "use_cases": "/srv/use_cases", "data": "s3://bucket/data", "clock": "given",
    "monitoring_schedule": "", "requirements_schedule": "0 0 * * *", "code_version": "abc123",
    "allowed_hosts": "api.github.com,http://127.0.0.1:8123", "mirrors": '{"https://a": "https://b"}', "request_deadline": "60.0",
    "spool_megabytes": "32", "log_days": "30", "outcomes_per_minute": "600",
    "training_jobs": "3", "map_training": "True", "dask_scheduler": "tcp://scheduler:8786", "tracking_url": "http://mlflow:5000",
    "signing_key": "/run/secrets/release.key", "trusted_keys": "/etc/kreislauf/trusted",
    "stranded_minutes": "10.0", "keys_required": "True", "delivery_interval": "30.0", "spool": "/var/spool/kreislauf",
    "pool_collection": "7", "pool_training": "2", "log_format": "json",
    "canary": "True", "canary_schedule": "0 6 * * *", "service_url": "http://prediction-service:8000",
}  # fmt: skip


@pytest.mark.parametrize("field", Settings.model_fields)
def test_every_setting_has_its_variable(monkeypatch: pytest.MonkeyPatch, field: str):
    monkeypatch.setenv(f"KREISLAUF_{field.upper()}", VALUES[field])
    assert str(getattr(get_settings(), field)) == VALUES[field]


def test_urls_of_the_installation_go_before_the_defaults(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("KREISLAUF_STORE_URL", "postgresql://db/kreislauf")
    monkeypatch.setenv("KREISLAUF_TABLES_URL", "s3://bucket/tables/")
    monkeypatch.setenv("KREISLAUF_CODE_VERSION", "abc123")
    settings = get_settings()
    assert (settings.store, settings.tables) == ("postgresql://db/kreislauf", "s3://bucket/tables")
    assert settings.code == "abc123"


def test_settings_are_kept_until_a_variable_changes(monkeypatch: pytest.MonkeyPatch):
    before = get_settings()
    assert get_settings() is before
    monkeypatch.setenv("KREISLAUF_DATA", "/elsewhere")
    assert get_settings().data == "/elsewhere"
    monkeypatch.delenv("KREISLAUF_DATA")
    assert get_settings() == before


def test_variables_of_others_do_not_matter(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("KREISLAUF_DB_PASSWORD", "secret")
    monkeypatch.setenv("HOME_URL", "x")
    assert "secret" not in repr(get_settings())


def test_a_wrong_value_names_the_variable_and_what_is_allowed(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("KREISLAUF_CLOCK", "sundial")
    with pytest.raises(SettingsError, match="sundial") as caught:
        get_settings()
    assert caught.value.where == "KREISLAUF_CLOCK"
    assert caught.value.allowed == "'wall' or 'given'"


@pytest.mark.parametrize("seconds", ["0", "-1", "100000", "soon", "nan"])
def test_a_request_has_some_time_but_not_for_ever(monkeypatch: pytest.MonkeyPatch, seconds: str):
    monkeypatch.setenv("KREISLAUF_REQUEST_DEADLINE", seconds)
    with pytest.raises(SettingsError) as caught:
        get_settings()
    assert caught.value.where == "KREISLAUF_REQUEST_DEADLINE"


def test_settings_cannot_be_changed():
    with pytest.raises(ValidationError, match="frozen"):
        get_settings().home = Path("/elsewhere")


def test_now_is_in_utc():
    assert get_settings().now().utcoffset() == timedelta(0)


def test_the_store_is_the_one_that_the_settings_name(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("KREISLAUF_HOME", str(tmp_path / "home"))
    store = get_store()
    store.upgrade()
    assert (tmp_path / "home" / "kreislauf.db").is_file()
    store.engine.dispose()
