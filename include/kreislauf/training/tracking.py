"""Experiment tracking: every candidate of every training is an MLflow run.

The experiment is the use case. One training is a parent run, each of its candidates a nested run below it. Runs are
found again by their tags, so that a repeated task adds nothing. Tracking is a record for people: no decision depends
on it, and no error of the tracking server ends a training.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlsplit

from include.kreislauf.errors import TrainingError
from include.kreislauf.settings import Settings

log = logging.getLogger(__name__)

PREFIX = "kreislauf."
TRAINING, CANDIDATE, FOLDS, FAILED = (PREFIX + name for name in ("training", "candidate", "folds", "failed"))
MAX_PARAM, MAX_TAG, MAX_KEY = 6000, 8000, 250
"""Characters that MLflow keeps of a parameter's value, of a tag's value, and of a name."""

# No usage data may leave this machine; MLflow reads these when it is imported.
_ALWAYS = {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true"}
_UNLESS_SET = {
    "GIT_PYTHON_REFRESH": "quiet",
    "MLFLOW_CONFIGURE_LOGGING": "false",  # it would take over the loggers of SQLAlchemy and Alembic
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",  # its own 7 retries of 120 s would hold a training for a quarter of an hour
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
}


@dataclass(frozen=True)
class TrackedRun:
    """What is kept of one candidate.

    Parameters
    ----------
    name: the candidate's, such as ``ridge:alpha30``.
    params: what it was trained with. Values of more than 6000 characters are cut; ``params.json`` has them whole.
    metrics: over all folds.
    by_fold: label (date, "fold 3") and metrics of each fold, oldest first: metric ``fold/<name>`` with steps 0, 1, ...;
        the labels are the tag ``kreislauf.folds``.
    failed: why it failed; the run then ends as FAILED with this as tag ``kreislauf.failed``.
    artefacts: content by file name.
    tags: further tags; names without a prefix get ``kreislauf.``.
    """

    name: str
    params: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    by_fold: Sequence[tuple[str, Mapping[str, float]]] = ()
    failed: str = ""
    artefacts: Mapping[str, bytes] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Tracking:
    """Where a training was tracked.

    Parameters
    ----------
    run_ids: MLflow run of each candidate by name; empty if nothing was tracked.
    parent: MLflow run of the training.
    note: why nothing was tracked; empty if all went well.
    """

    run_ids: dict[str, str] = field(default_factory=dict)
    parent: str = ""
    note: str = ""


class _NotTracked(TrainingError):
    """The tracking server or database did not take what it was given."""


def track(
    settings: Settings, use_case: str, training: str, runs: Sequence[TrackedRun], tags: Mapping[str, str]
) -> Tracking:
    """Log a training and its candidates. Called again, also by two processes at once, it adds only what is missing.

    Parameters
    ----------
    use_case: names the experiment.
    training: names the training within it: ``cycle-attempt``.
    runs: one per candidate; names do not repeat.
    tags: of the training and each candidate: contract hash, versions of data, features and code, cycle, attempt.
    """
    if not settings.tracking:
        return Tracking(note="tracking is off (KREISLAUF_TRACKING_URL=none)")
    try:
        with _client(settings) as client:
            experiment = _experiment(client, settings, use_case)
            return _track(client, experiment, runs, {**_prefixed(tags), TRAINING: training})
    except _NotTracked as error:
        log.warning("training %s is not tracked: %s", training, error.text)
        return Tracking(note=error.text)


def annotate(
    settings: Settings,
    run_id: str,
    metrics: Mapping[str, float],
    tags: Mapping[str, str],
    artefacts: Mapping[str, bytes],
) -> None:
    """Add to a tracked run what was found out later. Does nothing without a run; an error is only logged."""
    if not (settings.tracking and run_id):
        return
    try:
        with _client(settings) as client:
            known = client.get_run(run_id).data.metrics
            new = {name: value for name, value in metrics.items() if known.get(_key(name)) != value}
            client.log_batch(run_id, metrics=_metrics(new, 0), tags=_tags(_prefixed(tags)))
            _log_artefacts(client, run_id, artefacts)
    except _NotTracked as error:
        log.warning("run %s is not annotated: %s", run_id, error.text)


def forget(settings: Settings, use_case: str, trainings: Sequence[str]) -> None:
    """Delete the runs of some trainings with their artefacts; an error is only logged."""
    if not (settings.tracking and trainings):
        return
    try:
        with _client(settings) as client:
            found = client.get_experiment_by_name(use_case)
            for training in trainings if found else ():
                for run_id in _known(client, found.experiment_id, training).values():
                    _delete(client, settings, run_id)
    except _NotTracked as error:
        log.warning("trainings of %s are not deleted: %s", use_case, error.text)


def _delete(client: Any, settings: Settings, run_id: str) -> None:
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    where = client.get_run(run_id).info.artifact_uri
    get_artifact_repository(where, tracking_uri=settings.tracking).delete_artifacts()
    client.delete_run(run_id)


@contextmanager
def _client(settings: Settings) -> Iterator[Any]:
    """MLflow's client, while no other process of this home uses one.

    MLflow has no unique keys that would stop two processes from making the same run, and its SQLite schema cannot be
    made by two at once.
    """
    os.environ.update(_ALWAYS)
    for name, value in _UNLESS_SET.items():
        os.environ.setdefault(name, value)
    from mlflow.exceptions import MlflowException
    from mlflow.tracking import MlflowClient
    from sqlalchemy.exc import SQLAlchemyError

    with _quiet("mlflow", "alembic"):
        try:
            settings.home.mkdir(parents=True, exist_ok=True)
            with (settings.home / "mlflow.lock").open("a") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                yield MlflowClient(settings.tracking)
        # ImportError: a database driver or an object store's package is not installed
        except (MlflowException, SQLAlchemyError, OSError, ImportError) as error:
            raise _failure(error, settings.tracking) from error


@contextmanager
def _quiet(*names: str) -> Iterator[None]:
    with ExitStack() as stack:
        for logger in map(logging.getLogger, names):
            stack.callback(logger.setLevel, logger.level)
            logger.setLevel(logging.WARNING)
        yield


def _failure(error: Exception, url: str) -> _NotTracked:
    secret = f":{urlsplit(url).password}@"
    what = (str(error).splitlines() or [type(error).__name__])[0][:500]
    return _NotTracked(
        f"the tracking server refused or did not answer: {what}".replace(secret, ":***@"),
        where=url.replace(secret, ":***@"),
        next_step="start the server, or correct KREISLAUF_TRACKING_URL",
    )


def _experiment(client: Any, settings: Settings, use_case: str) -> str:
    if (found := client.get_experiment_by_name(use_case)) is not None:
        return str(found.experiment_id)
    # a server knows best where it keeps its artefacts
    local = (
        None if settings.tracking_url else (settings.home / "mlflow-artefacts" / use_case).resolve().as_uri()
    )
    return str(client.create_experiment(use_case, artifact_location=local))


def _track(client: Any, experiment: str, runs: Sequence[TrackedRun], tags: Mapping[str, str]) -> Tracking:
    known = _known(client, experiment, tags[TRAINING])
    parent = known.get("") or _create(client, experiment, tags[TRAINING], {**tags, CANDIDATE: ""})
    below = {**tags, "mlflow.parentRunId": parent}
    ids = {run.name: known.get(run.name) or _log_run(client, experiment, run, below) for run in runs}
    client.set_terminated(parent)
    return Tracking(ids, parent)


def _known(client: Any, experiment: str, training: str) -> dict[str, str]:
    """Runs of this training by candidate, the parent under "". What a killed process left half done is removed."""
    known: dict[str, str] = {}
    page = None
    while page is None or page.token:
        page = client.search_runs(
            [experiment], filter_string=f"tags.`{TRAINING}` = '{training}'", max_results=1000,
            order_by=["attributes.start_time ASC"], page_token=page and page.token,
        )  # fmt: skip
        for run in page:
            name = run.data.tags.get(CANDIDATE, "")
            if name and run.info.status == "RUNNING":
                client.delete_run(run.info.run_id)
            else:
                known.setdefault(name, run.info.run_id)
    return known


def _log_run(client: Any, experiment: str, run: TrackedRun, tags: Mapping[str, str]) -> str:
    labels = json.dumps([label for label, _ in run.by_fold])
    own = {CANDIDATE: run.name, FOLDS: labels, **({FAILED: run.failed} if run.failed else {})}
    run_id = _create(client, experiment, run.name, {**tags, **_prefixed(run.tags), **own})
    metrics = _metrics(run.metrics, 0)
    for step, (_, values) in enumerate(run.by_fold):
        metrics += _metrics({f"fold/{name}": value for name, value in values.items()}, step)
    client.log_batch(run_id, metrics=metrics, params=_params(run.params))
    whole = {"params.json": json.dumps(dict(run.params), default=str, indent=1).encode()}
    long = any(len(str(value)) > MAX_PARAM for value in run.params.values())
    _log_artefacts(client, run_id, {**(whole if long else {}), **run.artefacts})
    client.set_terminated(run_id, "FAILED" if run.failed else "FINISHED")
    return run_id


def _create(client: Any, experiment: str, name: str, tags: Mapping[str, str]) -> str:
    cut = {tag.key: tag.value for tag in _tags(tags)}
    return str(client.create_run(experiment, tags=cut, run_name=name).info.run_id)


def _metrics(values: Mapping[str, float], step: int) -> list[Any]:
    from mlflow.entities import Metric

    now = int(time.time() * 1000)
    return [Metric(_key(name), float(value), now, step) for name, value in values.items()]


def _params(values: Mapping[str, Any]) -> list[Any]:
    from mlflow.entities import Param

    return [Param(_key(name), _cut(value, MAX_PARAM)) for name, value in values.items()]


def _tags(values: Mapping[str, str]) -> list[Any]:
    from mlflow.entities import RunTag

    return [RunTag(_key(name), _cut(value, MAX_TAG)) for name, value in values.items()]


def _prefixed(tags: Mapping[str, str]) -> dict[str, str]:
    return {name if name.startswith((PREFIX, "mlflow.")) else PREFIX + name: str(tags[name]) for name in tags}


def _key(name: str) -> str:
    """A name as MLflow allows it."""
    return re.sub(r"[^\w./: -]", "_", name)[:MAX_KEY]


def _cut(value: Any, length: int) -> str:
    text = str(value)
    return text if len(text) <= length else text[: length - 1] + "…"


def _log_artefacts(client: Any, run_id: str, artefacts: Mapping[str, bytes]) -> None:
    if not artefacts:
        return
    with TemporaryDirectory() as folder:
        for name, content in artefacts.items():
            (Path(folder) / name).parent.mkdir(parents=True, exist_ok=True)
            (Path(folder) / name).write_bytes(content)
        client.log_artifacts(run_id, folder)
