"""A replay of the data scientist's work on a recorded panel: each January a search with what was known, then a year of
predictions, each by a model that is fitted anew with what was known then. Nothing is chosen on the rows that are judged.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import pandas as pd

from include.kreislauf.preparation.features import FeatureModule, load_features
from include.kreislauf.preparation.splits import Fold, Splits, rolling_origin
from include.kreislauf.requirements.science import Family, Training
from include.kreislauf.settings import ROOT
from include.kreislauf.statistics.metrics import METRICS
from include.kreislauf.training.design import Design, Rows
from include.kreislauf.training.families import Candidate, configurations
from include.kreislauf.training.final import finish
from include.kreislauf.training.search import search

MIN_QUARTERS, MIN_MENTIONS = 20, 5.0
FAMILIES = ("ridge", "hist_gradient_boosting", "random_forest", "extra_trees")
TRAINING = Training(
    candidates=tuple(Family(family=name) for name in FAMILIES), ensembles=("mean", "stack"), configurations=8,
    held_out_periods=4, search_periods=8, seed=7,
)  # fmt: skip
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
    return Design(tuple(module.NUMERIC), tuple(module.CATEGORICAL), period="quarter", purge=horizon)


def replay(rows: Rows, question: Question, n_jobs: int) -> pd.DataFrame:
    """Predictions of all candidates and baselines, columns as of ``CandidateSet.predictions``, and ``year``.

    Of each year the judged rows (part ``held_out``) and those of its search, which calibrate its intervals.
    """
    folds = rolling_origin(rows.times, rows.blocks, question.horizon, TRAINING.min_rows)
    judged = [fold for fold in folds if fold.label >= question.first.isoformat()]
    parts = []
    for year in sorted({fold.label[:4] for fold in judged}):
        now = tuple(fold for fold in judged if fold.label[:4] == year)
        parts.append(_year(rows, splits_before(folds, now, question.horizon), n_jobs).assign(year=year))
    return pd.concat(parts, ignore_index=True)


def splits_before(folds: Sequence[Fold], now: tuple[Fold, ...], horizon: int) -> Splits:
    """The folds to judge, and for the search the latest ones whose outcomes were known before."""
    known = [fold for fold in folds if fold.time + horizon <= now[0].time]
    return Splits(tuple(known[-TRAINING.search_periods :]), now)


def tried(count: int) -> dict[str, tuple[Candidate, ...]]:
    """So many configurations of each family."""
    return {
        one.family: configurations(one, "regression", count, TRAINING.seed) for one in TRAINING.candidates
    }


def _year(rows: Rows, splits: Splits, n_jobs: int) -> pd.DataFrame:
    spaces = tried(TRAINING.configurations)
    found = search(rows, spaces, splits.search, METRIC, seed=TRAINING.seed, n_jobs=n_jobs)
    trained = finish(rows, splits, list(found.values()), TRAINING, n_jobs=n_jobs)
    best = ", ".join(one.best.name for one in found.values() if one.best)
    print(f"  {splits.held_out[0].label}: {len(splits.search)} periods searched, best {best}", flush=True)
    return trained.predictions


def of_kind(
    predictions: pd.DataFrame, kind: str, technologies: Collection[str], part: str = "held_out"
) -> pd.DataFrame:
    """The rows of one family, ensemble or baseline, of some technologies; all are learnt from."""
    kinds = predictions["model"].str.split(":").str[0]
    chosen = (kinds == kind) & predictions["entity"].isin(technologies) & (predictions["part"] == part)
    return predictions[chosen].sort_values(["period", "entity"], ignore_index=True)
