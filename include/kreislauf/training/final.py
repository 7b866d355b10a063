"""After the search: held-out predictions of the best configurations and their ensembles, and the final fits."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from sklearn.pipeline import Pipeline

from include.kreislauf.preparation.splits import Fold, Splits
from include.kreislauf.requirements.science import Training
from include.kreislauf.training.baselines import baselines
from include.kreislauf.training.calibration import Method, method_for
from include.kreislauf.training.design import Rows
from include.kreislauf.training.ensembles import assemble, combined, ensembles, weights_of
from include.kreislauf.training.families import Candidate
from include.kreislauf.training.parallel import deadline, limited
from include.kreislauf.training.search import RunJobs, Searched
from include.kreislauf.training.trials import Floats, Job, fit, reason, run_all, seconds_of

ByFold = dict[str, Floats]
FindModel = Callable[[Candidate], Pipeline | None]


@dataclass(frozen=True)
class Trained:
    """What a training came to.

    Parameters
    ----------
    candidates: those that can be handed over: the best of each family, then the ensembles.
    models: each of them fitted on every row with known target.
    predictions: see :meth:`~include.kreislauf.training.files.CandidateSet.predictions`.
    failed: by candidate, why it came to nothing.
    calibration: how the probabilities of the models are corrected, and why not as the contract wants it.
    """

    candidates: tuple[Candidate, ...]
    models: dict[str, Pipeline] = field(repr=False)
    predictions: pd.DataFrame = field(repr=False)
    failed: dict[str, str]
    calibration: tuple[str, str] = ("none", "")


def finish(
    rows: Rows, splits: Splits, searched: Sequence[Searched], training: Training, *, n_jobs: int = 1,
    run_jobs: RunJobs = run_all, earlier_models: FindModel = lambda _: None,
) -> Trained:  # fmt: skip
    """Predict the held-out folds with the best of each family, each by a model that learnt from earlier rows only.

    Parameters
    ----------
    earlier_models: finds a candidate's model that an earlier training has fitted on the same rows.

    Source: Tashman, Out-of-sample tests of forecasting accuracy, International Journal of Forecasting 16 (2000).
    """
    failed = {name: why for one in searched for name, why in one.failed.items()}
    best = [one for one in searched if one.best]
    finalists = [one.best for one in best if one.best]
    held_out, broken = _held_out(rows, splits.held_out, finalists, training, n_jobs, run_jobs)
    failed |= broken
    models, unfit = _final_models(
        rows, [one for one in finalists if one.name not in broken], training, n_jobs, earlier_models
    )
    failed |= unfit
    alive = [one for one in best if one.best and one.best.name in models]
    earlier = {one.best.name: one.predictions for one in alive if one.best}
    outcomes = {fold.label: rows.outcomes[fold.predict] for fold in splits.search}
    made = ensembles(training.ensembles, alive, outcomes)
    candidates = tuple(one.best for one in alive if one.best) + tuple(made)
    held_out = {name: found for name, found in held_out.items() if name in models}
    for one in made:
        held_out[one.name] = _combined(one, held_out)
        earlier[one.name] = _combined(one, earlier)
    models |= {one.name: assemble(one, models, rows) for one in made}
    parts = [
        _long(rows, part, folds, {**chosen, **baselines(rows, folds)})
        for part, folds, chosen in (("search", splits.search, earlier), ("held_out", splits.held_out, held_out))
    ]  # fmt: skip
    calibration = method_for(rows, np.arange(len(rows.frame)), training.calibration)
    return Trained(candidates, models, pd.concat(parts, ignore_index=True), failed, calibration)


def _held_out(
    rows: Rows, folds: Sequence[Fold], finalists: Sequence[Candidate], training: Training, n_jobs: int,
    run_jobs: RunJobs,
) -> tuple[dict[str, ByFold], dict[str, str]]:  # fmt: skip
    jobs = [
        Job(one, fold, seconds=training.candidate_seconds, calibration=_wanted(rows, training))
        for one in finalists for fold in folds
    ]  # fmt: skip
    held_out: dict[str, ByFold] = {one.name: {} for one in finalists}
    failed: dict[str, str] = {}
    for trial in run_jobs(rows, jobs, training.seed, n_jobs):
        if trial.failed:
            failed[trial.candidate] = f"{trial.fold.label}: {trial.failed}"
        held_out[trial.candidate][trial.fold.label] = trial.predictions
    return {name: found for name, found in held_out.items() if name not in failed}, failed


def _combined(candidate: Candidate, predictions: Mapping[str, ByFold]) -> ByFold:
    members = [predictions[name] for name in weights_of(candidate)]
    shared = [label for label in members[0] if all(label in one for one in members)]
    return {
        label: combined(candidate, {name: predictions[name][label] for name in weights_of(candidate)})
        for label in shared
    }


def _final_models(
    rows: Rows, candidates: Sequence[Candidate], training: Training, n_jobs: int, earlier_models: FindModel
) -> tuple[dict[str, Pipeline], dict[str, str]]:
    """By candidate the model fitted on all rows, and for those that failed why."""
    known = {one.name: model for one in candidates if (model := earlier_models(one)) is not None}
    left = [one for one in candidates if one.name not in known]
    fitted = Parallel(n_jobs=n_jobs)(delayed(limited(_fitted))(rows, one, training) for one in left)
    made = {one.name: model for one, model in zip(left, fitted, strict=True)}
    made |= {name: pickle.dumps(model) for name, model in known.items()}
    found = {one.name: made[one.name] for one in candidates}
    failed = {name: f"on all rows: {why}" for name, why in found.items() if isinstance(why, str)}
    models = {name: pickle.loads(made) for name, made in found.items() if isinstance(made, bytes)}  # noqa: S301, TID251 - made here
    return models, failed


def _fitted(rows: Rows, candidate: Candidate, training: Training) -> bytes | str:
    """The pickled model: in files it is then the same to the last byte, whichever process it was fitted in."""
    calibration = _wanted(rows, training)
    try:
        with deadline(seconds_of(training.candidate_seconds, calibration)):
            return pickle.dumps(fit(rows, candidate, np.arange(len(rows.frame)), training.seed, calibration))
    except Exception as error:  # noqa: BLE001 - a candidate may fail in any way, and the others go on
        return reason(error)


def _wanted(rows: Rows, training: Training) -> Method:
    return training.calibration if rows.classes else "none"


def _long(rows: Rows, part: str, folds: Sequence[Fold], predictions: Mapping[str, ByFold]) -> pd.DataFrame:
    """One row per model and predicted row."""
    frames = [
        _of_fold(rows, fold, found[fold.label]).assign(model=name, part=part, fold=fold.label, time=fold.time)
        for name, found in predictions.items() for fold in folds if fold.label in found
    ]  # fmt: skip
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()


def _of_fold(rows: Rows, fold: Fold, predictions: Floats) -> pd.DataFrame:
    keys = ["entity", "period"] if rows.design.period else ["entity"]
    frame = rows.frame[keys].iloc[fold.predict].reset_index(drop=True)
    frame["row"] = fold.predict
    frame["block"] = [rows.blocks[one] for one in fold.predict.tolist()]
    frame["target"] = rows.outcomes[fold.predict]
    if predictions.ndim == 1:
        return frame.assign(prediction=predictions)
    return frame.assign(**{f"p{number}": predictions[:, number] for number in range(predictions.shape[1])})
