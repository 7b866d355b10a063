"""A quick run on a sample, by the same code as a training and an evaluation: what can be reached with these columns."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from math import inf, nan

import pandas as pd

from include.kreislauf.collection.table import checked
from include.kreislauf.drafting.levels import Reached
from include.kreislauf.drafting.table import DraftError, Table
from include.kreislauf.errors import KreislaufError, TrainingError
from include.kreislauf.evaluation.gates import Thresholds, decide
from include.kreislauf.evaluation.models import Decision, Estimate, Report
from include.kreislauf.evaluation.report import Question, build_report
from include.kreislauf.preparation.declared import DeclaredFeatures
from include.kreislauf.preparation.features import columns_of, day_of
from include.kreislauf.preparation.schemas import check_features
from include.kreislauf.requirements.contract import Contract
from include.kreislauf.requirements.science import Training
from include.kreislauf.requirements.sources import Rows as SourceRows
from include.kreislauf.statistics.metrics import Metric, metric
from include.kreislauf.training.design import Design, Rows
from include.kreislauf.training.families import configurations
from include.kreislauf.training.final import Trained, finish
from include.kreislauf.training.search import Limits, search

MOST_ROWS, MOST_CELLS = 5_000, 500_000
BUDGET_SECONDS, FIT_SECONDS = 40.0, 15.0
"""Wall clock of the search, and of one fit; what is not done by then is left out."""
TRIED = 2
"""Configurations of each family."""


@dataclass(frozen=True)
class Tried:
    """What a quick run came to.

    Parameters
    ----------
    reached: by the model that undercuts the best baseline most.
    rows: how many were used.
    report: of all models, as an evaluation makes it.
    """

    reached: Reached
    rows: int
    report: Report

    def decide(self, contract: Contract) -> Decision:
        """What the gates say with the thresholds of a contract."""
        return decide(self.report, Thresholds.of(contract))


def try_out(table: Table, contract: Contract, now: datetime, n_jobs: int = 1) -> Tried:
    """Train and evaluate on a part of the sample.

    Parameters
    ----------
    contract: one that any candidate passes; its families, folds and metrics are used.

    Raises
    ------
    DraftError: the rows do not carry it, or every model failed; says why.
    """
    asked = contract.training.model_copy(
        update={"candidate_seconds": FIT_SECONDS, "budget_seconds": BUDGET_SECONDS, "ensembles": ()}
    )
    try:
        frame, module = _features(table, contract, now)
        rows = Rows.of(frame, Design.of(contract.problem, *columns_of(frame, module)))
        trained = _train(rows, asked, metric(contract.performance.metric), n_jobs)
        if not trained.models:
            raise TrainingError("; ".join(f"{name}: {why}" for name, why in trained.failed.items()))
        report = _report(trained, contract)
    except KreislaufError as error:
        raise DraftError(
            f"the quick run came to nothing: {error.what}", where=error.where or table.place.text, allowed=error.allowed,
            next_step=error.next_step or "correct the data, or the roles of the columns",
        ) from error  # fmt: skip
    return Tried(_reached(report), len(rows.frame), report)


def _features(table: Table, contract: Contract, now: datetime) -> tuple[pd.DataFrame, DeclaredFeatures]:
    """A part of the sample as collection and preparation make features of it."""
    (source,) = contract.sources
    assert isinstance(source, SourceRows)  # noqa: S101 - a draft has no other
    most = max(1_000, min(MOST_ROWS, MOST_CELLS // len(source.columns)))
    part = table.frame
    if len(part) > most and contract.problem.time is None:
        part = part.sample(most, random_state=contract.training.seed).sort_index()
    raw = checked(part, source, contract.problem, table.place.text, now)
    module = DeclaredFeatures(contract)
    built = module.build(raw, day_of(now, contract.problem))
    return check_features(built, module, contract.problem), module


def _train(rows: Rows, training: Training, judged_by: Metric, n_jobs: int) -> Trained:
    splits = rows.splits(training)
    if not splits.held_out:
        raise TrainingError("too few rows with known target to hold some out", next_step="collect more")
    tried = {
        one.family: configurations(one, rows.design.task, min(TRIED, training.configurations), training.seed)
        for one in training.candidates
    }
    limits = Limits(training.budget_seconds, training.candidate_seconds)
    found = search(rows, tried, splits.search, judged_by, seed=training.seed, n_jobs=n_jobs, limits=limits)
    return finish(rows, splits, list(found.values()), training, n_jobs=n_jobs)


def _report(trained: Trained, contract: Contract) -> Report:
    """Beside the baseline that is hardest to beat."""
    first = build_report(trained.predictions, trained.candidates, Question.of(contract))
    best = min(first.baselines, key=lambda one: one.error).name
    if best == contract.performance.baseline:
        return first
    judged_by = contract.performance.model_copy(update={"baseline": best})
    return build_report(trained.predictions, trained.candidates, Question.of(contract, performance=judged_by))


def _reached(report: Report) -> Reached:
    best = max(report.candidates, key=lambda one: one.gain.value or -inf)
    base = report.scores(report.baseline)
    return Reached(
        best.name, report.baseline, _ends(best.gain), _ends(best.business),
        base.business.value if base.business.value is not None else nan, best.n_rows,
    )  # fmt: skip


def _ends(found: Estimate) -> tuple[float, float, float]:
    """Value, low and high; what is not known is infinite."""
    return (
        nan if found.value is None else found.value,
        -inf if found.low is None else found.low,
        inf if found.high is None else found.high,
    )
