"""Settings of one installation, read from ``KREISLAUF_*`` environment variables.

A use case's own settings stand in its contract; here is only what differs from one installation to the next.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from include.kreislauf.errors import SettingsError

ROOT = Path(__file__).resolve().parents[2]
CANARY = "kreislauf_canary"
"""The use case of the canary; its folder is not among people's."""
PUBLIC_SOURCES = (
    "data.gharchive.org", "api.github.com", "api.stackexchange.com", "hn.algolia.com",
    "hacker-news.firebaseio.com", "rest.arbeitsagentur.de", "api.adzuna.com",
)  # fmt: skip


class Settings(BaseSettings):
    """Where things are kept, and which clock counts.

    Environment variables carry the prefix ``KREISLAUF_``: ``KREISLAUF_STORE_URL`` sets ``store_url``.
    """

    model_config = SettingsConfigDict(env_prefix="KREISLAUF_", frozen=True, extra="ignore")

    home: Path = Field(ROOT / "var", description="Folder of everything the installation writes.")
    store_url: str = Field(
        "", description="SQLAlchemy URL of the workflow store; default: SQLite under home."
    )
    tables_url: str = Field(
        "", description="Folder or object-store URL of the Delta tables; default: under home."
    )
    use_cases: Path = Field(ROOT / "include" / "use_cases", description="Folder of the use cases.")
    data: str = Field("", description="Folder or URL that {data} in a contract's source URLs stands for.")
    allowed_hosts: str = Field(
        ",".join(PUBLIC_SOURCES),
        description="Servers that sources may ask: names (https), or a server with scheme and port, private or not.",
    )
    mirrors: str = Field(
        "", description="JSON object: URLs that start with a key are asked for at its value instead."
    )
    request_deadline: float = Field(
        300, gt=0, le=86_400, description="Seconds for one request to a source, with all its retries."
    )
    keys_required: bool = Field(
        False, description="Whether the prediction service refuses everybody while there is no API key."
    )
    delivery_interval: float = Field(
        15, gt=0, le=3600, description="Seconds between two looks at a release that is tried on live traffic."
    )
    spool: str = Field(
        "",
        description="Folder where the prediction service keeps what it acknowledged while the store is away; "
        "default: under home. On a disk that outlives the process.",
    )
    spool_megabytes: int = Field(
        64,
        ge=1,
        le=100_000,
        description="The most that one process of the prediction service keeps in its spool.",
    )
    outcomes_per_minute: int = Field(
        60_000,
        ge=0,
        description="Outcomes and reports that one API key may send to one process of the prediction service in a "
        "minute; 0: as many as it likes.",
    )
    log_days: int = Field(
        400, ge=1, description="Days that predictions stay in the store before `log archive` takes them out."
    )
    training_jobs: int = Field(
        0, ge=0, description="Candidates trained at once; 0: as many as CPUs this process may use."
    )
    map_training: bool = Field(
        False,
        description="Whether each model family is searched by an Airflow task of its own, on any worker.",
    )
    pool_collection: int = Field(
        0, ge=0,
        description="Tasks that read sources at a time; 0: what training and a little light work leave of all slots.",
    )  # fmt: skip
    pool_training: int = Field(
        0, ge=0, description="Tasks that search or train models at a time; 0: a quarter of all slots."
    )  # fmt: skip
    log_format: Literal["text", "json"] = Field(
        "text",
        description="How the service and the commands log: lines for people, or one JSON object a line.",
    )
    dask_scheduler: str = Field(
        "", description="Dask scheduler to train on, e.g. tcp://host:8786; empty: processes of this machine."
    )
    tracking_url: str = Field(
        "", description="MLflow tracking server or database URL; default: SQLite under home; none: off."
    )
    signing_key: str = Field(
        "", repr=False,
        description="Key that signs releases: PEM text, or path of a PEM file; default: made under home.",
    )  # fmt: skip
    trusted_keys: str = Field(
        "",
        description="PEM file, or folder of *.pub files, with the keys whose releases are loaded; default: under home.",
    )
    clock: Literal["wall", "given"] = Field(
        "wall", description="given: time comes only with requests and events (replay, simulation)."
    )
    monitoring_schedule: str = Field(
        "0 * * * *", description="Cron expression (UTC) of the due check; empty, or clock given: none."
    )
    stranded_minutes: float = Field(
        5, gt=0, le=10_000,
        description="So long a handover or a loop may wait for its receiver before monitoring emits it again.",
    )  # fmt: skip
    requirements_schedule: str = Field(
        "*/10 * * * *", description="Cron expression (UTC) of the look for changed contracts; likewise."
    )
    canary: bool = Field(
        False,
        description="Whether there are the canary's DAG and its use case, which prove that the ring works.",
    )
    canary_schedule: str = Field(
        "", description="Cron expression (UTC) of the canary; empty: it runs when it is asked to."
    )
    service_url: str = Field(
        "", description="Address of the prediction service, for the canary; empty: it asks none."
    )
    code_version: str = Field(
        "", description="Commit of the code, set by the image build; default: the package's."
    )

    @property
    def store(self) -> str:
        """SQLAlchemy URL of the workflow store."""
        return self.store_url or f"sqlite:///{self.home / 'kreislauf.db'}"

    @property
    def tables(self) -> str:
        """Base URL of the Delta tables, without a trailing slash."""
        return (self.tables_url or str(self.home / "tables")).rstrip("/")

    @property
    def artefacts(self) -> Path:
        """Folder of trained models and of releases."""
        return self.home / "artefacts"

    @property
    def keys(self) -> Path:
        """Folder of the keys that the installation made for itself."""
        return self.home / "keys"

    @property
    def spool_folder(self) -> Path:
        """Folder of the prediction service's spool."""
        return Path(self.spool) if self.spool else self.home / "spool"

    @property
    def spool_bytes(self) -> int:
        """The most that one process keeps in its spool."""
        return self.spool_megabytes << 20

    @property
    def tracking(self) -> str:
        """MLflow tracking URL; empty if runs are not tracked."""
        if self.tracking_url == "none":
            return ""
        return self.tracking_url or f"sqlite:///{self.home / 'mlflow.db'}"

    @property
    def code(self) -> str:
        """Version of the code that every handover carries."""
        from include.kreislauf import __version__

        return self.code_version or __version__

    def now(self) -> datetime:
        """The wall clock, in UTC. Only the edges (DAG tasks, command line, service) may ask for it."""
        return datetime.now(UTC)


@lru_cache(maxsize=1)
def _cached(_environment: tuple[tuple[str, str], ...]) -> Settings:
    try:
        return Settings()
    except ValidationError as error:
        first = error.errors()[0]
        raise SettingsError(
            f"{first['msg']} (found {first['input']!r})", where=f"KREISLAUF_{first['loc'][0]}".upper(),
            allowed=str(first.get("ctx", {}).get("expected", "")), next_step="correct the environment variable",
        ) from error  # fmt: skip


def get_settings() -> Settings:
    """The settings of this process; read anew when a ``KREISLAUF_*`` variable has changed.

    Raises
    ------
    SettingsError: a variable's value is not allowed; names the variable.
    """
    return _cached(tuple(sorted(item for item in os.environ.items() if item[0].startswith("KREISLAUF_"))))
