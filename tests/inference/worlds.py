"""Rows with gaps and unseen categories, and fitted pipelines of every kind, for the tests of the compiled path."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from hypothesis import strategies as st
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import (
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestRegressor,
    VotingClassifier,
    VotingRegressor,
)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import ElasticNet, LinearRegression, LogisticRegression, Ridge
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler

from include.kreislauf.inference.compiling import compile_model
from include.kreislauf.inference.predictor import Predictor

NUMERIC, CATEGORICAL = ("a", "b", "gap"), ("c", "d")
COLUMNS = [*NUMERIC, *CATEGORICAL]
Row = dict[str, Any]


def frame(rows: list[Row]) -> pd.DataFrame:
    """Rows as the service hands them to scikit-learn."""
    made = pd.DataFrame(rows, columns=COLUMNS)
    return made.astype({**dict.fromkeys(NUMERIC, float), **dict.fromkeys(CATEGORICAL, "str")})


@functools.cache
def training(classes: int = 0) -> tuple[pd.DataFrame, Any]:
    """400 rows; ``gap`` is often missing, ``d`` sometimes."""
    rng = np.random.default_rng(5)
    rows = frame([
        {"a": a, "b": b, "gap": None if gap < -0.5 else gap, "c": c, "d": None if d == "none" else d}
        for a, b, gap, c, d in zip(
            *rng.normal(size=(3, 400)), rng.choice(["x", "y", "z"], 400), rng.choice(["u", "v", "none"], 400),
            strict=True,
        )
    ])  # fmt: skip
    target = rows["a"] * 2 + np.sin(3 * rows["b"]) + rows["gap"].fillna(1.0) + (rows["c"] == "x")
    if classes:
        return rows, pd.qcut(target, classes, labels=False).astype(float).to_numpy()
    return rows, target.to_numpy()


NUMBERS = st.one_of(
    st.floats(-1e6, 1e6),
    st.integers(-100, 100),
    st.sampled_from([None, float("nan"), 0.0, -0.0]),
    st.sampled_from(training()[0]["a"].tolist()),
)
CATEGORIES = st.sampled_from(["x", "y", "z", "u", "v", "unseen", "", None])
ROW = st.fixed_dictionaries({**dict.fromkeys(NUMERIC, NUMBERS), **dict.fromkeys(CATEGORICAL, CATEGORIES)})
ROWS = st.lists(ROW, min_size=1, max_size=15)
FULL = st.fixed_dictionaries({
    "a": st.floats(-1e6, 1e6), "b": st.floats(-1e6, 1e6), "gap": NUMBERS,
    "c": st.sampled_from(["x", "y", "z", "unseen"]), "d": CATEGORIES,
})  # fmt: skip
"""Rows in which only ``gap`` and ``d`` may be missing."""


def hot(**given: Any) -> OneHotEncoder:
    """An encoder that takes unseen categories."""
    return OneHotEncoder(**{"handle_unknown": "ignore", **given})


def imputed(strategy: str, **given: Any) -> SimpleImputer:
    return SimpleImputer(strategy=strategy, **given)


def columns(numbers: Any, texts: Any, **given: Any) -> ColumnTransformer:
    return ColumnTransformer([("n", numbers, list(NUMERIC)), ("t", texts, list(CATEGORICAL))], **given)


def codes() -> OrdinalEncoder:
    return OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)


ENCODERS: dict[str, Callable[[], Any]] = {
    "passthrough": lambda: columns("passthrough", hot()),
    "scaled": lambda: columns(StandardScaler(), hot(sparse_output=False)),
    "scaled without a mean": lambda: columns(StandardScaler(with_mean=False), hot(drop="first")),
    "scaled without a scale": lambda: columns(StandardScaler(with_std=False), hot(drop="if_binary")),
    "mean": lambda: columns(imputed("mean"), codes()),
    "median, flagged, scaled": lambda: columns(
        make_pipeline(imputed("median", add_indicator=True), StandardScaler()), hot()
    ),
    "constant": lambda: columns(imputed("constant", fill_value=-7.5), codes()),
    "scaled, then filled": lambda: columns(
        make_pipeline(StandardScaler(), imputed("constant", fill_value=0.5, add_indicator=True)), hot()
    ),
    "filled categories": lambda: columns(imputed("mean"), make_pipeline(imputed("most_frequent"), hot())),
    "a word for missing": lambda: columns(
        imputed("mean"), make_pipeline(imputed("constant", fill_value="?"), hot())
    ),
    "codes with gaps, filled": lambda: columns("passthrough", make_pipeline(codes(), imputed("median"))),
    "scaled as a whole": lambda: make_pipeline(
        columns("passthrough", hot(sparse_output=False)), imputed("mean"), StandardScaler()
    ),
    "a feature twice, another dropped": lambda: ColumnTransformer(
        [("one", StandardScaler(), ["a"]), ("two", "passthrough", ["a", "gap"]), ("away", "drop", ["b"]),
         ("t", hot(), ["d"]), ("codes", codes(), ["d", "c"])],
    ),
    "remainder, by position": lambda: ColumnTransformer(
        [("t", hot(), [3, 4]), ("n", imputed("mean"), [2])], remainder="passthrough"
    ),
}  # fmt: skip


def boosted(classes: int = 0) -> Any:
    kind = HistGradientBoostingClassifier if classes else HistGradientBoostingRegressor
    return kind(max_iter=10, max_leaf_nodes=8, random_state=0)


MODELS: dict[str, tuple[Callable[[], Any], int]] = {
    "least squares": (LinearRegression, 0),
    "elastic net": (lambda: ElasticNet(0.01), 0),
    "logistic": (LogisticRegression, 2),
    "logistic, three classes": (LogisticRegression, 3),
    "histogram boosting": (boosted, 0),
    "histogram boosting of counts": (lambda: HistGradientBoostingRegressor(loss="poisson", max_iter=8), 0),
    "histogram boosting, two classes": (lambda: boosted(2), 2),
    "histogram boosting, three classes": (lambda: boosted(3), 3),
    "boosting": (lambda: GradientBoostingRegressor(n_estimators=15), 0),
    "boosting, two classes": (lambda: GradientBoostingClassifier(n_estimators=15), 2),
    "boosting, three classes": (lambda: GradientBoostingClassifier(n_estimators=10), 3),
    "voting": (
        lambda: VotingRegressor(
            [
                ("r", Ridge()),
                ("f", RandomForestRegressor(7, random_state=0)),
                ("h", boosted()),
                ("o", "drop"),
            ],
            weights=[1, 2.5, 0.3, 9],
        ),
        0,
    ),
    "voting without weights": (lambda: VotingRegressor([("r", Ridge()), ("h", boosted())]), 0),
    "voting, three classes": (
        lambda: VotingClassifier(
            [("l", LogisticRegression()), ("h", boosted(3))], voting="soft", weights=[2, 1]
        ),
        3,
    ),
}


@functools.cache
def fitted(encoder: str, model: str) -> tuple[Pipeline, Predictor]:
    """A pipeline of this module's encoders and models, and it compiled."""
    made, classes = MODELS[model]
    rows, target = training(classes)
    if "counts" in model:
        target = np.exp(target / 3)
    pipeline = Pipeline([("encode", ENCODERS[encoder]()), ("model", made())]).fit(rows, target)
    return pipeline, compile_model(pipeline, NUMERIC, CATEGORICAL).predictor()
