"""Feature frames, light families, and candidates that go wrong, for the tests of training."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from include.kreislauf.requirements import science
from include.kreislauf.statistics.metrics import Metric, metric
from include.kreislauf.training.design import Design, Rows
from include.kreislauf.training.families import Candidate, configurations
from include.kreislauf.training.trials import Floats

SEED = 7
DESIGN = Design(("x", "noise"), ("kind",))
TIMELESS = Design(("x", "noise"), ("kind",), period=None)
NAMES = ("yes", "no", "maybe")
BY_CLASS = Design(("x", "noise"), ("kind",), NAMES[:2])
TIMELESS_BY_CLASS = Design(("x", "noise"), ("kind",), NAMES[:2], period=None)
LIGHT: dict[str, dict[str, tuple[Any, ...]]] = {
    "ridge": {"alpha": (1.0,)},
    "nearest_neighbours": {"n_neighbors": (10,)},
    "random_forest": {"n_estimators": (8,), "min_samples_leaf": (4,)},
    "extra_trees": {"n_estimators": (8,), "min_samples_leaf": (4,)},
    "hist_gradient_boosting": {"max_iter": (20,), "learning_rate": (0.2,)},
}
"""By family a space whose default is cheap."""
MAE, LOG_LOSS = metric("mae"), metric("log_loss")


def frame(periods: int = 20, entities: int = 12, seed: int = 0) -> pd.DataFrame:
    """Quarters from 2012 on; targets follow x, the last period has no target yet."""
    rng = np.random.default_rng(seed)
    starts = pd.date_range("2012-01-01", periods=periods, freq="QS")
    keys = [(f"e{i:02d}", start) for i in range(entities) for start in starts]
    rows = pd.DataFrame(keys, columns=["entity", "period"])
    rows["x"], rows["noise"] = rng.normal(size=(2, len(rows)))
    rows["kind"] = np.where(rows["entity"] < "e06", "a", "b")
    rows["target"] = 0.1 * rows["x"] + rng.normal(0, 0.02, len(rows))
    rows.loc[rows["period"] == starts[-1], "target"] = np.nan
    return rows


def timeless(rows: int = 150, entities: int = 0, seed: int = 0) -> pd.DataFrame:
    """Rows without time; with ``entities`` there are several rows of each."""
    made = frame(1, rows, seed).drop(columns="period")
    made["target"] = 0.1 * made["x"] + 0.05
    made["kind"] = np.where(made["noise"] < 0, "a", "b")
    made["entity"] = [f"e{number % (entities or rows):03d}" for number in range(rows)]
    return made


def classed(rows: pd.DataFrame, classes: int = 2) -> pd.DataFrame:
    """The frame with positions of as many equally frequent classes as target, by the size of the number that it was."""
    place = np.floor((rows["target"].rank(pct=True) * classes).sub(1e-9))
    return rows.assign(target=place)


def class_rows(classes: int = 2, *, time: bool = True, data: pd.DataFrame | None = None) -> Rows:
    """Rows with a target of so many classes."""
    known = (frame() if time else timeless()) if data is None else data
    return Rows.of(
        classed(known, classes),
        Design(("x", "noise"), ("kind",), NAMES[:classes], "quarter" if time else None),
    )


def asked(*families: str, **fields: Any) -> science.Training:
    """The contract's section, with light families."""
    candidates = [{"family": one, "space": LIGHT[one]} for one in families]
    given = {"held_out_periods": 4, "search_periods": 4, "configurations": 1, "seed": SEED, **fields}
    return science.Training.model_validate({"candidates": candidates, **given})


def light(family: str, count: int = 1, task: Any = "regression", **space: Any) -> tuple[Candidate, ...]:
    """Configurations of a family that are cheap to fit."""
    declared = science.Family.model_validate({"family": family, "space": {**LIGHT[family], **space}})
    return configurations(declared, task, count, SEED)


def metric_of(rows: Rows) -> Metric:
    """What the rows are judged by."""
    return LOG_LOSS if rows.classes else MAE


# Weights of neighbours that go wrong. Functions of a module, so that other processes find them.


def raising(distances: Floats) -> Floats:
    raise ZeroDivisionError("a bug in the family")


def hanging(distances: Floats) -> Floats:
    time.sleep(60)
    return distances


def not_a_number(distances: Floats) -> Floats:
    return np.full_like(distances, np.nan)


def deadly(distances: Floats) -> Floats:
    os._exit(1)


def broken(weights: Any, name: str = "") -> Candidate:
    """A candidate that goes wrong when it predicts."""
    params = {"n_neighbors": 5, "weights": weights, "p": 2}
    return Candidate(f"nearest_neighbours:{name or weights.__name__}", "nearest_neighbours", params)


class Counting:
    """Weights of neighbours that note each use in a file: what really ran, in whichever process."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __call__(self, distances: Floats) -> Floats:
        with self.path.open("a") as file:
            file.write("used\n")
        return np.ones_like(distances)

    @property
    def count(self) -> int:
        return len(self.path.read_text().splitlines()) if self.path.exists() else 0
