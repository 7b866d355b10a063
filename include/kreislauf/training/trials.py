"""One fit of one candidate on one fold: guarded, timed, and never the end of the others."""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from joblib import Parallel, delayed
from joblib.externals.loky.process_executor import TerminatedWorkerError
from sklearn.exceptions import ConvergenceWarning
from sklearn.pipeline import Pipeline

from include.kreislauf.errors import TrainingError
from include.kreislauf.preparation.splits import Fold
from include.kreislauf.training.calibration import FITS, Method, calibrated, method_for
from include.kreislauf.training.design import Rows
from include.kreislauf.training.families import Candidate, pipeline, reduced
from include.kreislauf.training.parallel import TookTooLong, deadline, limited

Floats = npt.NDArray[np.float64]
WINSOR = 0.03
"""Share of numeric training targets at either end pulled in to the quantile before a fit, never in scoring."""
WEEK = 7 * 86_400.0
TIME_UP = "left out: the time of the search was up"


@dataclass(frozen=True)
class Job:
    """What is to be fitted.

    Parameters
    ----------
    size: share of the candidate's size, see :func:`~include.kreislauf.training.families.reduced`.
    seconds: wall clock after which one fit counts as failed.
    until: wall clock (UNIX time) after which it is not begun any more.
    calibration: how probabilities are corrected.
    """

    candidate: Candidate
    fold: Fold
    size: float = 1.0
    seconds: float = WEEK
    until: float = float("inf")
    calibration: Method = "none"


@dataclass(frozen=True)
class Trial:
    """What came of it.

    Parameters
    ----------
    predictions: shape (n,) numbers or (n, classes) probabilities, of the fold's rows; empty if it failed.
    seconds: CPU time.
    failed: why, in one sentence; empty if all went well.
    """

    candidate: str
    fold: Fold
    predictions: Floats
    seconds: float
    failed: str = ""


def run_all(rows: Rows, jobs: Sequence[Job], seed: int, n_jobs: int) -> list[Trial]:
    """All jobs, on joblib's current backend, in their order.

    A job that takes its process along fails alone: the jobs are then repeated candidate by candidate.
    """
    try:
        return _in_parallel(rows, jobs, seed, n_jobs)
    except TerminatedWorkerError:
        by_candidate: dict[str, list[Job]] = {}
        for job in jobs:
            by_candidate.setdefault(job.candidate.name, []).append(job)
        done = {name: _alone(rows, own, seed, n_jobs) for name, own in by_candidate.items()}
        return [done[job.candidate.name].pop(0) for job in jobs]


def seconds_of(seconds: float, calibration: Method) -> float:
    """Wall clock of a candidate whose single fits may take so long."""
    return seconds if calibration == "none" else seconds * FITS


def fit(
    rows: Rows, candidate: Candidate, learn: npt.NDArray[np.int64], seed: int, calibration: Method = "none"
) -> Pipeline:
    """The candidate, fitted on some rows, with its probabilities corrected as far as the rows carry that.

    Raises
    ------
    TrainingError: there is no row to learn from.
    """
    if not learn.size:
        raise TrainingError(
            "no row with known target to learn from", where=candidate.name,
            next_step="collect more periods, or hold out fewer",
        )  # fmt: skip
    outcomes = rows.outcomes[learn]
    if rows.design.task == "regression":
        outcomes = np.clip(outcomes, *np.quantile(outcomes, [WINSOR, 1 - WINSOR]))
    model = pipeline(candidate, rows.design, seed)
    method, _ = method_for(rows, learn, calibration)
    model.set_params(model=calibrated(model["model"], rows, learn, method))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the score says what it is worth
        # astype: what came from another process has a dtype object of its own, which the model's pickle would show
        model.fit(rows.features(learn), outcomes.astype(np.float64))
    if method != "none":
        model["model"].cv = None  # the positions of all rows, which would be kept with each model
    return model


def predict(model: Pipeline, rows: Rows, positions: npt.NDArray[np.int64]) -> Floats:
    """Numbers, shape (n,), or probabilities of all classes, (n, classes), those unseen in training 0."""
    return shown(model, rows, rows.features(positions))


def shown(model: Pipeline, rows: Rows, features: pd.DataFrame) -> Floats:
    """As :func:`predict`, for features that may have been changed."""
    if rows.design.task == "regression":
        return np.asarray(model.predict(features), dtype=np.float64)
    found = np.zeros((len(features), len(rows.classes)))
    found[:, model.classes_.astype(np.intp)] = model.predict_proba(features)
    return found


def reason(error: Exception) -> str:
    """Why a candidate failed, in one sentence."""
    return error.text if isinstance(error, TrainingError) else f"{type(error).__name__}: {error}"


def _in_parallel(rows: Rows, jobs: Iterable[Job], seed: int, n_jobs: int) -> list[Trial]:
    trials: list[Trial] = Parallel(n_jobs=n_jobs)(delayed(limited(run))(rows, job, seed) for job in jobs)
    return trials


def _alone(rows: Rows, jobs: list[Job], seed: int, n_jobs: int) -> list[Trial]:
    try:
        return _in_parallel(rows, jobs, seed, n_jobs)
    except TerminatedWorkerError as error:
        why = f"its process ended: {str(error).splitlines()[0]}"
        return [Trial(job.candidate.name, job.fold, np.empty(0), 0.0, why) for job in jobs]


def run(rows: Rows, job: Job, seed: int) -> Trial:
    """One job; whatever goes wrong becomes the trial's ``failed``."""
    started = time.process_time()
    predictions, failed = np.empty(0), ""
    if time.time() >= job.until:
        failed = TIME_UP
    else:
        try:
            with deadline(min(seconds_of(job.seconds, job.calibration), job.until - time.time())):
                predictions = _fit_and_predict(rows, job, seed)
        except Exception as error:  # noqa: BLE001 - a candidate may fail in any way, and the others go on
            failed = TIME_UP if isinstance(error, TookTooLong) and time.time() >= job.until else reason(error)
    return Trial(job.candidate.name, job.fold, predictions, time.process_time() - started, failed)


def _fit_and_predict(rows: Rows, job: Job, seed: int) -> Floats:
    model = fit(rows, reduced(job.candidate, job.size), job.fold.learn, seed, job.calibration)
    predictions = predict(model, rows, job.fold.predict)
    if not np.isfinite(predictions).all():
        raise TrainingError("predictions are not finite", where=job.candidate.name)
    return predictions
