"""The model that every server of ``make bench-service`` serves, the rows it is asked, and what it must answer."""

from __future__ import annotations

import copy
import json
import shutil
from functools import lru_cache
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from threadpoolctl import threadpool_limits

NUMERIC = [f"n{number}" for number in range(14)]
CATEGORICAL = {f"c{number}": [f"c{number}_{value}" for value in range(3 + 2 * number)] for number in range(6)}
COLUMNS = [*NUMERIC, *CATEGORICAL]
LEARNT, ASKED = 5000, 256
STEP = 1000.0
"""By how much the answers of one version differ from those of the version before."""


@lru_cache(maxsize=1)
def data() -> tuple[pd.DataFrame, np.ndarray[Any, Any]]:
    """Rows and targets that a model can learn from; the same at each call."""
    draw = np.random.default_rng(0)
    columns: dict[str, Any] = {name: draw.normal(size=LEARNT).round(6) for name in NUMERIC}
    columns |= {name: draw.choice(values, LEARNT) for name, values in CATEGORICAL.items()}
    frame = pd.DataFrame(columns)
    codes = sum(frame[name].str.len() + frame[name].str[-1].astype(int) for name in CATEGORICAL)
    numbers = frame[NUMERIC].to_numpy()
    target = numbers @ np.linspace(1, 3, len(NUMERIC)) + 5 * np.sin(numbers[:, 0] * numbers[:, 1]) + codes
    return frame, target.to_numpy() + draw.normal(scale=0.5, size=LEARNT)


@lru_cache(maxsize=1)
def fitted() -> Pipeline:
    """ColumnTransformer (14 numeric, 6 categorical) and histogram boosting, fitted."""
    return _fit(NUMERIC, data()[0])


def _fit(numeric: list[str], frame: pd.DataFrame) -> Pipeline:
    encode = ColumnTransformer([
        ("numeric", StandardScaler(), numeric),
        ("categorical", OneHotEncoder(handle_unknown="ignore", sparse_output=False), list(CATEGORICAL)),
    ])  # fmt: skip
    model = HistGradientBoostingRegressor(max_iter=100, random_state=0)
    with threadpool_limits(1):  # threads that wait for each other take many times as long on a busy machine
        return Pipeline([("encode", encode), ("model", model)]).fit(frame, data()[1])


def version(number: int) -> Pipeline:
    """The model of a version: what :func:`fitted` predicts, plus ``STEP`` for each version."""
    made = copy.deepcopy(fitted())
    made[-1]._baseline_prediction = made[-1]._baseline_prediction + number * STEP
    return made


def asked() -> list[dict[str, Any]]:
    """The rows that clients send, each with all features."""
    return json.loads(data()[0].head(ASKED).to_json(orient="records", double_precision=15))


def snapshot() -> pd.DataFrame:
    """The rows that clients send, as a feature version has them: each with an entity and a period."""
    frame = data()[0].head(ASKED)
    return frame.assign(
        entity=[f"row{number}" for number in range(len(frame))], period=pd.Timestamp("2025-12-01")
    )


def narrow() -> Pipeline:
    """A model that was fitted without the last numeric column."""
    return _fit(NUMERIC[:-1], data()[0].drop(columns=NUMERIC[-1]))


@lru_cache(maxsize=1)
def expected() -> list[float]:
    """What :func:`fitted` predicts for the rows that are asked."""
    return fitted().predict(pd.DataFrame(asked())[COLUMNS]).tolist()


def save(folder: Path) -> Path:
    """The model as the peers load it: joblib for BentoML and LitServe, MLflow's own format, the product's compiled."""
    import mlflow.sklearn

    from include.kreislauf.inference.compiling import compile_model

    shutil.rmtree(folder, ignore_errors=True)
    (folder / "compiled").mkdir(parents=True)
    joblib.dump(fitted(), folder / "pipeline.joblib")
    for name, content in compile_model(fitted(), NUMERIC, CATEGORICAL).files().items():
        (folder / "compiled" / name).write_bytes(content)
    # "cloudpickle", its way for every pipeline: skops refuses types that it does not know
    mlflow.sklearn.save_model(
        fitted(), folder / "mlflow", serialization_format="cloudpickle", pip_requirements=["scikit-learn"]
    )
    return folder
