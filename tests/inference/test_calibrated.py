"""Calibrated models, compiled: scikit-learn's own correction, whatever the model and the method."""

from __future__ import annotations

import functools
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import (
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
    VotingClassifier,
)
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline

from include.kreislauf.inference.compiled import COMPILED, CompiledError, NotCompilable, from_files
from include.kreislauf.inference.compiling import compile_model
from include.kreislauf.inference.parity import parity
from include.kreislauf.inference.predictor import Predictor
from include.kreislauf.preparation.encoder import FeatureEncoder
from tests.inference.worlds import CATEGORICAL, NUMERIC, ROWS, Row, frame, training

TOLERANCE = 1e-9
FAMILIES: dict[str, Any] = {
    "logistic": lambda seed: LogisticRegression(C=0.1),
    "forest": lambda seed: RandomForestClassifier(9, min_samples_leaf=5, random_state=seed),
    "extra trees": lambda seed: ExtraTreesClassifier(9, min_samples_leaf=5, random_state=seed),
    "boosting": lambda seed: GradientBoostingClassifier(n_estimators=8, random_state=seed),
    "histogram boosting": lambda seed: HistGradientBoostingClassifier(
        max_iter=8, max_leaf_nodes=6, random_state=seed
    ),
    "voting": lambda seed: VotingClassifier(
        [("l", LogisticRegression()), ("f", RandomForestClassifier(5, random_state=seed))],
        voting="soft", weights=[2, 1],
    ),
}  # fmt: skip
METHODS = ("sigmoid", "isotonic")


def calibrated(estimator: Any, method: str, **given: Any) -> Any:
    return CalibratedClassifierCV(estimator, method=method, **{"ensemble": False, "cv": 3, **given})


@functools.cache
def encoded(classes: int) -> tuple[FeatureEncoder, Any, Any]:
    rows, target = training(classes)
    encoder = FeatureEncoder(NUMERIC, CATEGORICAL).fit(rows)
    return encoder, encoder.transform(rows), target


def piped(model: Any, classes: int) -> Pipeline:
    """As training hands it over: the encoder, and the correction as the model."""
    encoder, rows, target = encoded(classes)
    return Pipeline([("encode", encoder), ("model", model.fit(rows, target))])


@functools.cache
def fitted(family: str, method: str, classes: int, seed: int = 0) -> tuple[Pipeline, Predictor]:
    pipeline = piped(calibrated(FAMILIES[family](seed), method), classes)
    return pipeline, compiled(pipeline)


def compiled(pipeline: Pipeline) -> Predictor:
    """Through its files, as the service reads them."""
    return from_files(compile_model(pipeline, NUMERIC, CATEGORICAL).files()).predictor()


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("family", FAMILIES)
@settings(max_examples=8, deadline=None)
@given(rows=ROWS)
def test_law_a_corrected_model_answers_as_scikit_learn(
    family: str, method: str, classes: int, rows: list[Row]
) -> None:
    model, predictor = fitted(family, method, classes)
    assert parity(predictor, model, frame(rows)) <= TOLERANCE
    alone = np.vstack([predictor.probabilities([row]) for row in rows])
    np.testing.assert_array_equal(alone, predictor.probabilities(rows))
    values = predictor.predict(rows)
    if classes == 2:
        np.testing.assert_array_equal(values, alone[:, 1])
    else:
        np.testing.assert_array_equal(values, alone.argmax(axis=1))
    assert [predictor.predict_one(row) for row in rows] == values.tolist()


@settings(max_examples=12, deadline=None)
@given(
    family=st.sampled_from([name for name in FAMILIES if name != "logistic"]), method=st.sampled_from(METHODS),
    classes=st.sampled_from([2, 3]), seed=st.integers(0, 10**6),
)  # fmt: skip
def test_law_whatever_the_model_learnt(family: str, method: str, classes: int, seed: int) -> None:
    """Rows of training lie closest to the corners of a correction."""
    model, predictor = fitted(family, method, classes, seed)
    assert parity(predictor, model, training(0)[0]) <= TOLERANCE


def mean_of(classes: int) -> VotingClassifier:
    """As training assembles an ensemble: members that are corrected already, and one that is not."""
    _, rows, target = encoded(classes)
    parts = [
        (name, FrozenEstimator(calibrated(FAMILIES[name](0), method).fit(rows, target)))
        for name, method in zip(("forest", "histogram boosting"), METHODS, strict=True)
    ]
    plain = ("logistic", FrozenEstimator(LogisticRegression().fit(rows, target)))
    return VotingClassifier([*parts, plain], voting="soft", weights=[0.2, 0.5, 0.3])


@pytest.mark.parametrize("classes", [2, 3])
def test_ensembles_of_corrected_models(classes: int) -> None:
    model = piped(mean_of(classes), classes)
    assert parity(compiled(model), model, training(0)[0]) <= TOLERANCE


@pytest.mark.parametrize("method", METHODS)
def test_a_correction_of_a_frozen_model(method: str) -> None:
    _, rows, target = encoded(2)
    frozen = FrozenEstimator(RandomForestClassifier(5, random_state=0).fit(rows, target))
    model = piped(CalibratedClassifierCV(frozen, method=method, ensemble=False), 2)
    assert parity(compiled(model), model, training(0)[0]) <= TOLERANCE


def test_where_every_curve_says_nothing_classes_are_equally_likely() -> None:
    """Isotonic corrections of few rows are 0 for wide ranges."""
    _, rows, _ = encoded(3)
    few = np.array([0, 1, 2] * 4 + [0] * (len(rows) - 12), dtype=float)
    model = piped(calibrated(LogisticRegression(C=1e-9), "isotonic"), 3)
    model.named_steps["model"].fit(rows, few)
    curves = model.named_steps["model"].calibrated_classifiers_[0].calibrators
    for curve in curves:
        curve.y_thresholds_[:] = 0.0
        curve._build_f(curve.X_thresholds_, curve.y_thresholds_)
    found = compiled(model).probabilities(training(0)[0].head(3).to_dict("records"))  # type: ignore[arg-type]
    np.testing.assert_allclose(found, 1 / 3)
    assert parity(compiled(model), model, training(0)[0]) <= TOLERANCE


@pytest.mark.parametrize(
    ("model", "why"),
    [
        (calibrated(LogisticRegression(), "sigmoid", ensemble=True), "several models: only ensemble=False"),
        (calibrated(LogisticRegression(), "temperature"), "with the method temperature"),
    ],
)
def test_what_is_corrected_otherwise_is_left_to_scikit_learn(model: Any, why: str) -> None:
    with pytest.raises(NotCompilable, match=why):
        compile_model(piped(model, 2), NUMERIC, CATEGORICAL)


def test_a_curve_in_single_precision_is_left_to_scikit_learn() -> None:
    model = piped(calibrated(LogisticRegression(), "isotonic"), 2)
    curve = model.named_steps["model"].calibrated_classifiers_[0].calibrators[0]
    curve.X_thresholds_ = curve.X_thresholds_.astype(np.float32)
    with pytest.raises(NotCompilable, match="single precision"):
        compile_model(model, NUMERIC, CATEGORICAL)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"curves": []}, "does not fit its model"),
        ({"curves": [{"type": "isotonic", "xs": [2.0, 1.0], "ys": [0.0, 1.0]}]}, "not in order"),
        ({"curves": [{"type": "isotonic", "xs": [1.0], "ys": [0.0, 1.0]}]}, "not in order"),
        ({"members": []}, "does not fit its model"),
        ({"weight": -1.0}, "sums and probabilities"),
    ],
)
def test_a_damaged_correction_is_refused(change: dict[str, Any], why: str) -> None:
    files = compile_model(fitted("logistic", "sigmoid", 2)[0], NUMERIC, CATEGORICAL).files()
    description = msgspec.json.decode(files[COMPILED])
    description["members"][0] |= change
    with pytest.raises(CompiledError, match=why):
        from_files({**files, COMPILED: msgspec.json.encode(description)})


def test_sums_are_no_answer_of_their_own() -> None:
    files = compile_model(fitted("logistic", "sigmoid", 2)[0], NUMERIC, CATEGORICAL).files()
    description = msgspec.json.decode(files[COMPILED])
    description["members"] = description["members"][0]["members"]
    with pytest.raises(CompiledError, match="does not fit the classes"):
        from_files({**files, COMPILED: msgspec.json.encode(description)})
