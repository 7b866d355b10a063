"""A replay of the data scientist's work on a recorded panel: each January a search with what was known, then a year of
predictions, each by a model that is fitted anew with what was known then. Nothing is chosen on the rows that are judged.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

import numpy as np
import pandas as pd

from include.kreislauf.preparation.features import FeatureModule, load_features
from include.kreislauf.preparation.splits import Splits, rolling_origin
from include.kreislauf.requirements.science import Family, Training
from include.kreislauf.settings import ROOT
from include.kreislauf.statistics.metrics import METRICS
from include.kreislauf.training.design import Design, Rows
from include.kreislauf.training.families import configurations
from include.kreislauf.training.final import finish
from include.kreislauf.training.search import search

MIN_QUARTERS, MIN_MENTIONS = 20, 5.0
FAMILIES = ("ridge", "hist_gradient_boosting", "random_forest", "extra_trees")
SEED = 7
METRIC = METRICS["mae"]


@dataclass(frozen=True)
class Question:
    """What is asked: the change of the index over ``horizon`` quarters, from the quarter ``first`` on."""

    horizon: int
    first: date = date(2016, 1, 1)


def chosen_technologies(panel: pd.DataFrame) -> list[str]:
    """At least 20 quarters seen by all three sources, and in them 5 job mentions a quarter on average."""
    github = panel["gh_pull_requests_share"].where(panel["kind"].eq("language"), panel["gh_repo_new_stars"])
    common = panel[(github > 0) & (panel["so_share_first"] > 0) & (panel["jobs_share"] > 0)]
    found = common.groupby("tech")["jobs_with_tech"].agg(["size", "mean"])
    return sorted(found.index[(found["size"] >= MIN_QUARTERS) & (found["mean"] >= MIN_MENTIONS)])


def features(panel: pd.DataFrame, horizon: int) -> tuple[pd.DataFrame, Design]:
    """The use case's own features, with the index as the plain mean of three log shares."""
    module: Any = load_features(ROOT / "include" / "use_cases", "technology_radar")
    module.HORIZON, module.JOBS_FLOOR, module.MIN_JOB_MENTIONS = horizon, 0.0, 0.0
    rows = module.build(panel, date(2100, 1, 1))
    return rows, design_of(module, horizon)


def design_of(module: FeatureModule, horizon: int) -> Design:
    """Columns and calendar of the use case."""
    return Design(tuple(module.NUMERIC), tuple(module.CATEGORICAL), "regression", "quarter", horizon)


def replay(rows: Rows, question: Question, n_jobs: int, configurations_each: int = 8) -> pd.DataFrame:
    """Predictions of the chosen candidate and of persistence, columns as of ``CandidateSet.predictions``."""
    training = Training(
        candidates=tuple(Family(family=name) for name in FAMILIES), ensembles=("mean", "stack"),
        configurations=configurations_each, held_out_periods=4, search_periods=8, seed=SEED,
    )  # fmt: skip
    folds = rolling_origin(rows.times, rows.blocks, question.horizon, training.min_rows)
    judged = [fold for fold in folds if fold.label >= question.first.isoformat()]
    years = sorted({fold.label[:4] for fold in judged})
    parts = []
    for year in years:
        now = [fold for fold in judged if fold.label[:4] == year]
        known = [fold for fold in folds if fold.time + question.horizon <= now[0].time]
        splits = Splits(tuple(known[-training.search_periods :]), tuple(now))
        parts.append(_year(rows, splits, training, n_jobs).assign(year=year))
    return pd.concat(parts, ignore_index=True)


def _year(rows: Rows, splits: Splits, training: Training, n_jobs: int) -> pd.DataFrame:
    tried = {
        one.family: configurations(one, "regression", training.configurations, training.seed)
        for one in training.candidates
    }
    found = search(rows, tried, splits.search, METRIC, seed=training.seed, n_jobs=n_jobs)
    trained = finish(rows, splits, list(found.values()), training, n_jobs=n_jobs)
    chosen = best_in_search(trained.predictions, [one.name for one in trained.candidates])
    names = trained.predictions["model"]
    print(f"  {splits.held_out[0].label}: {len(splits.search)} folds searched, chosen {chosen}", flush=True)
    held_out = trained.predictions[trained.predictions["part"] == "held_out"]
    return held_out.assign(chosen=names.loc[held_out.index].eq(chosen))


def best_in_search(predictions: pd.DataFrame, names: Iterable[str]) -> str:
    """The candidate with the smallest error in the search; without one, the last: the broadest ensemble."""
    seen = predictions[predictions["part"] == "search"]
    errors = {
        name: float(np.abs(own["target"] - own["prediction"]).mean())
        for name in names if len(own := seen[seen["model"] == name])
    }  # fmt: skip
    return min(errors, key=lambda name: errors[name]) if errors else next(n for n in names if n.startswith("mean:"))


def restricted(predictions: pd.DataFrame, technologies: list[str]) -> pd.DataFrame:
    """Only some technologies are judged; all are learnt from."""
    return predictions[predictions["entity"].isin(technologies)].reset_index(drop=True)


def with_horizon(question: Question, horizon: int) -> Question:
    """The same question for another horizon."""
    return replace(question, horizon=horizon)
