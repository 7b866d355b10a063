"""Compiled pipelines answer as scikit-learn does, whatever is missing or unseen; what cannot be compiled says so."""

from __future__ import annotations

import functools
import pickle
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import (
    GradientBoostingClassifier,
    HistGradientBoostingRegressor,
    VotingClassifier,
)
from sklearn.linear_model import LinearRegression, LogisticRegression, PoissonRegressor
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import MinMaxScaler, OneHotEncoder, OrdinalEncoder, StandardScaler

from include.kreislauf.errors import KreislaufError, PreparationError
from include.kreislauf.inference.compiled import NotCompilable, from_files
from include.kreislauf.inference.compiling import compile_model
from include.kreislauf.inference.parity import parity
from include.kreislauf.inference.predictor import Predictor
from include.kreislauf.preparation.encoder import FeatureEncoder
from include.kreislauf.training.design import Design, Rows
from include.kreislauf.training.ensembles import assemble
from include.kreislauf.training.families import FAMILIES, Candidate
from include.kreislauf.training.trials import fit
from tests.inference.worlds import (
    CATEGORICAL,
    ENCODERS,
    FULL,
    MODELS,
    NUMERIC,
    ROWS,
    Row,
    columns,
    fitted,
    frame,
    hot,
    imputed,
    training,
)
from tests.training.worlds import light

OURS = [name for name in FAMILIES if name != "nearest_neighbours"]
QUICK = settings(max_examples=12, deadline=None)


def same(predictor: Predictor, model: Any, rows: list[Row]) -> None:
    """Compiled is scikit-learn, and one row is many."""
    assert parity(predictor, model, frame(rows)) <= 1e-12
    one_by_one = np.array([predictor.predict_one(row) for row in rows])
    np.testing.assert_array_equal(one_by_one, predictor.predict(rows))
    if predictor.classes:
        alone = np.vstack([predictor.probabilities([row]) for row in rows])
        np.testing.assert_array_equal(alone, predictor.probabilities(rows))


@functools.cache
def of_training(task: Any) -> tuple[dict[str, Pipeline], Rows]:
    """Every family fitted as training does it, and the mean of three."""
    frame_, target = training(3 if task == "classification" else 0)
    data = frame_.assign(entity=[f"e{place}" for place in range(len(frame_))], target=target)
    classes = ("low", "middle", "high") if task == "classification" else ()
    rows = Rows.of(data, Design(NUMERIC, CATEGORICAL, classes, period=None))
    everything = np.arange(len(rows.frame))
    tried = {name: light(name, task=task)[0] for name in FAMILIES}
    models = {one.name: fit(rows, one, everything, 3) for one in tried.values()}
    found = {name: models[one.name] for name, one in tried.items()}
    weights = {tried[name].name: 0.333333 for name in ("ridge", "random_forest", "hist_gradient_boosting")}
    found["mean"] = assemble(Candidate("mean:all", "mean", {"weights": weights}), models, rows)
    return found, rows


@functools.cache
def compiled_of_training(task: Any, name: str) -> tuple[Pipeline, Predictor]:
    model = of_training(task)[0][name]
    return model, compile_model(model, NUMERIC, CATEGORICAL).predictor()


@pytest.mark.parametrize("task", ["regression", "classification"])
@pytest.mark.parametrize("name", [*OURS, "mean"])
@QUICK
@given(rows=ROWS)
def test_what_training_makes_is_compiled_exactly(task: str, name: str, rows: list[Row]) -> None:
    model, predictor = compiled_of_training(task, name)
    same(predictor, model, rows)


@pytest.mark.parametrize("task", ["regression", "classification"])
def test_rows_it_was_trained_on_are_answered_as_by_scikit_learn(task: str) -> None:
    """They lie closest to the trees' thresholds, and forests compare in single precision."""
    for name in (*OURS, "mean"):
        model, predictor = compiled_of_training(task, name)
        assert parity(predictor, model, training(0)[0]) <= 1e-12


@pytest.mark.parametrize("encoder", ENCODERS)
@QUICK
@given(rows=ROWS)
def test_encoders_of_scikit_learn(encoder: str, rows: list[Row]) -> None:
    model, predictor = fitted(encoder, "histogram boosting")
    same(predictor, model, rows)


GAPLESS = "median, flagged, scaled"


@pytest.mark.parametrize("model", MODELS)
@QUICK
@given(rows=st.lists(FULL, min_size=1, max_size=15))
def test_models_of_scikit_learn(model: str, rows: list[Row]) -> None:
    pipeline, predictor = fitted(GAPLESS, model)
    same(predictor, pipeline, rows)


@QUICK
@given(rows=ROWS)
def test_a_category_that_scikit_learn_refuses_is_refused(rows: list[Row]) -> None:
    model, predictor = refusing()
    for row in rows:
        try:
            expected = model.predict(frame([row]))[0]
        except ValueError:
            with pytest.raises(PreparationError, match=r"c is|d is"):
                predictor.predict_one(row)
            with pytest.raises(PreparationError, match=r"c is|d is"):
                predictor.predict([row])
        else:
            assert predictor.predict_one(row) == pytest.approx(expected, rel=1e-12, abs=1e-12)


@functools.cache
def refusing() -> tuple[Pipeline, Predictor]:
    encoder = ColumnTransformer([
        ("n", imputed("mean"), list(NUMERIC)), ("c", OneHotEncoder(drop="first"), ["c"]),
        ("d", OrdinalEncoder(), ["d"]),
    ])  # fmt: skip
    model = Pipeline([("e", encoder), ("m", HistGradientBoostingRegressor(max_iter=9))]).fit(*training())
    return model, compile_model(model, NUMERIC, CATEGORICAL).predictor()


def test_the_categories_of_training_are_known() -> None:
    for predictor in (
        refusing()[1],
        fitted(GAPLESS, "voting")[1],
        compiled_of_training("regression", "ridge")[1],
    ):
        assert predictor.numeric == NUMERIC
        assert predictor.categorical == {"c": {"x", "y", "z"}, "d": {"u", "v"}}


@pytest.mark.parametrize("model", ["histogram boosting", "voting, three classes", "elastic net"])
def test_the_same_model_gives_the_same_bytes_and_they_the_same_answers(model: str) -> None:
    pipeline, predictor = fitted(GAPLESS, model)
    files = compile_model(pipeline, NUMERIC, CATEGORICAL).files()
    copy = compile_model(
        pickle.loads(pickle.dumps(pipeline)), list(NUMERIC), dict.fromkeys(CATEGORICAL)
    ).files()
    assert files == copy
    again = from_files({"model.joblib": b"", **files})
    assert again.files() == files
    rows = training()[0].to_dict("records")
    np.testing.assert_array_equal(again.predictor().predict(rows), predictor.predict(rows))  # type: ignore[arg-type]


def voting_by_count() -> Any:
    return VotingClassifier([("l", LogisticRegression()), ("m", LogisticRegression())])


class OwnRegression(LinearRegression):  # type: ignore[misc]
    def predict(self, X: Any) -> Any:
        return super().predict(X) ** 2


NUMBERS_ONLY = [("n", imputed("mean"), list(NUMERIC))]
REFUSED: dict[str, tuple[Any, Any, int, str]] = {
    "a family": (FeatureEncoder(NUMERIC, CATEGORICAL), KNeighborsRegressor(), 0, "KNeighborsRegressor cannot be compiled"),
    "a subclass": (FeatureEncoder(NUMERIC, CATEGORICAL), OwnRegression(), 0, "OwnRegression cannot be compiled"),
    "another link": (ColumnTransformer(NUMBERS_ONLY), PoissonRegressor(), 2, "PoissonRegressor cannot be compiled"),
    "votes": (ColumnTransformer(NUMBERS_ONLY), voting_by_count(), 2, "VotingClassifier counts votes"),
    "a loss": (ColumnTransformer(NUMBERS_ONLY), GradientBoostingClassifier(loss="exponential"), 2, "with the loss exponential"),
    "a scaler": (columns(MinMaxScaler(), hot()), HistGradientBoostingRegressor(max_iter=2), 0, "MinMaxScaler cannot be compiled"),
    "two scalings": (
        columns(make_pipeline(StandardScaler(), StandardScaler()), hot()), HistGradientBoostingRegressor(max_iter=2), 0, "a is scaled twice"
    ),
    "rare categories": (columns("passthrough", hot(min_frequency=9)), HistGradientBoostingRegressor(max_iter=2), 0, "groups infrequent"),
    "numbers as categories": (
        columns(hot(sparse_output=False), hot(sparse_output=False)), HistGradientBoostingRegressor(max_iter=2), 0, "OneHotEncoder of numbers"
    ),
    "splits on categories": (
        columns("passthrough", OrdinalEncoder()), HistGradientBoostingRegressor(max_iter=2, categorical_features=[3]), 0,
        "splits on categories"
    ),
    "no feature": (ColumnTransformer([("n", "drop", ["a"])]), LinearRegression(), 0, "no feature reaches the model"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_compiled_is_named(case: str) -> None:
    encoder, model, classes, reason = REFUSED[case]
    rows, target = training(classes)
    pipeline = Pipeline([("encode", encoder), ("model", model)])
    if case != "no feature":  # scikit-learn fits no model of nothing
        pipeline.fit(rows, target)
    else:
        encoder.fit(rows)
    with pytest.raises(NotCompilable) as caught:
        compile_model(pipeline, NUMERIC, CATEGORICAL, family="ours")
    assert isinstance(caught.value, KreislaufError)
    assert reason in caught.value.what
    assert caught.value.text.startswith("family ours: ")
    assert "scikit-learn" in caught.value.next_step


def test_classes_and_categories_that_are_no_text_or_number_are_refused() -> None:
    rows, target = training(2)
    named = Pipeline([("e", ColumnTransformer(NUMBERS_ONLY)), ("m", LogisticRegression())])
    named.fit(rows, np.where(target > 0, "high", "low"))
    with pytest.raises(NotCompilable, match="classes are no numbers"):
        compile_model(named, NUMERIC, CATEGORICAL)
    numbered = rows.assign(c=(rows["a"] > 0).astype(int))
    model = Pipeline([("e", columns("passthrough", hot())), ("m", HistGradientBoostingRegressor(max_iter=2))])
    with pytest.raises(NotCompilable, match="categories of c are no texts"):
        compile_model(model.fit(numbered, target), NUMERIC, CATEGORICAL)
    as_text = Pipeline(
        [("e", "passthrough"), ("m", HistGradientBoostingRegressor(max_iter=2, categorical_features=["c"]))]
    )
    with pytest.raises(NotCompilable, match="categories reach the model as text: c"):
        compile_model(as_text.fit(rows.astype({"c": "category"})[[*NUMERIC, "c"]], target), NUMERIC, ["c"])
