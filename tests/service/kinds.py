"""Live releases of classes: two by all features, with names that are hard to carry, and three by entity."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import RandomForestClassifier
from sklearn.pipeline import Pipeline

from include.kreislauf.inference.compiling import compile_model
from include.kreislauf.inference.predictor import values_of
from include.kreislauf.preparation.encoder import FeatureEncoder
from include.kreislauf.settings import Settings
from include.kreislauf.store import live
from include.kreislauf.store.release_files import GOLDEN, MODEL, SNAPSHOT, dump_model, write_release
from include.kreislauf.store.signing import SigningKey
from tests.service.conftest import AS_OF, World

BINARY, SEVERAL = "failure", "colour"
HEAT, LOAD = 'heat "°C"', "DROP TABLE machines; -- 🤖"
SITE = "the 'site'"
NUMERIC, CATEGORICAL = [HEAT, LOAD], [SITE]
SITES = ["missing", "north", "south"]
CLASSES = {BINARY: ["runs", 'fails "hard"'], SEVERAL: ["red", "green", "blue"]}
COSTS: dict[str, Any] = {
    "actions": {"go_on": {"runs": 0.0, 'fails "hard"': 100.0}, "inspect": {"runs": 10.0, 'fails "hard"': 20.0}},
    "without": "go_on", "classes": CLASSES[BINARY], "per": 8.0,
}  # fmt: skip
"""Inspecting pays from a probability of 1/9 on: 10 (1 - p) + 20 p < 100 p."""
PROBLEMS: dict[str, dict[str, Any]] = {
    BINARY: {"kind": "binary", "classes": CLASSES[BINARY], "requests": "features", "entity": True,
             "may_be_missing": [HEAT], "decision": COSTS},
    SEVERAL: {"kind": "multiclass", "classes": CLASSES[SEVERAL], "requests": "entity", "entity": True,
              "may_be_missing": [], "decision": None},
}  # fmt: skip


def rows(n: int, seed: int = 0) -> list[dict[str, Any]]:
    """Rows of features, as clients send them."""
    rng = np.random.default_rng(seed)
    return [
        {HEAT: float(heat), LOAD: float(load), SITE: str(site)}
        for heat, load, site in zip(
            rng.normal(60, 10, n), rng.normal(0, 1, n), rng.choice(SITES, n), strict=True
        )
    ]


def frame(given: list[dict[str, Any]]) -> pd.DataFrame:
    """Rows as scikit-learn takes them."""
    return pd.DataFrame(given, columns=[*NUMERIC, *CATEGORICAL]).astype({HEAT: float, LOAD: float})


@lru_cache
def fitted(use_case: str) -> Pipeline:
    """A pipeline as training hands it over: of two classes corrected, of more as it is."""
    learnt = frame(rows(300))
    heat = (learnt[HEAT] + 5 * learnt[LOAD] + 8 * (learnt[SITE] == "south")).to_numpy()
    edges = [75.0] if use_case == BINARY else [55.0, 68.0]
    forest = RandomForestClassifier(15, min_samples_leaf=5, random_state=1)
    corrected = CalibratedClassifierCV(forest, method="isotonic", ensemble=False, cv=3)
    model = corrected if use_case == BINARY else forest
    pipeline = Pipeline([("encode", FeatureEncoder(tuple(NUMERIC), tuple(CATEGORICAL))), ("model", model)])
    return pipeline.fit(learnt, np.digitize(heat, edges).astype(float))


ENTITIES = {f"thing {place}": row for place, row in enumerate(rows(5, seed=3))}


def go_live(world: World, use_case: str, *, compiled: bool = True, **changes: Any) -> None:
    """Write a release of classes and make it the live one.

    Parameters
    ----------
    changes: parts of the manifest's problem to replace; of classes that are added, the model has seen none.
    """
    problem = {**PROBLEMS[use_case], **changes}
    model, golden = fitted(use_case), rows(6, seed=1)
    shares = model.predict_proba(frame(golden))
    shares = np.hstack([shares, np.zeros((6, len(problem["classes"]) - shares.shape[1]))])
    outputs = {"rows": golden, "outputs": values_of(shares).tolist(), "probabilities": shares.tolist()}
    snapshot = ENTITIES if problem["requests"] == "entity" else {}
    files = {
        MODEL: dump_model(model), SNAPSHOT: json.dumps(snapshot).encode(), GOLDEN: json.dumps(outputs).encode(),
        **(compile_model(model, NUMERIC, CATEGORICAL).files() if compiled else {}),
    }  # fmt: skip
    name, cycle = f"releases/{use_case}/1", "c0001-2016-01"
    manifest = {
        "use_case": use_case, "version": 1, "cycle_id": cycle, "contract_hash": "0" * 64,
        "as_of": AS_OF.isoformat(), "family": "random_forest", "params": {}, "metrics": {}, "libraries": {},
        "features": {"numeric": NUMERIC, "categorical": {SITE: SITES}}, "problem": problem,
    }  # fmt: skip
    key = SigningKey.of(Settings(home=world.folder))
    complete, digest = write_release(world.folder / "artefacts" / name, manifest, files, key)
    row = live.ReleaseRow(use_case, 1, cycle, 1, name, digest, complete, AS_OF, datetime.now(UTC))
    with world.store.write() as db:
        assert live.save_release(db, row)
    world.promote(1, use_case)
