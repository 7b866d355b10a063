"""Releases that answer, compiled and not, with one interface."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from sklearn.pipeline import Pipeline

from include.kreislauf.errors import ReleaseError
from include.kreislauf.inference.compiled import CompiledError, NotCompilable
from include.kreislauf.inference.compiling import compile_model
from include.kreislauf.inference.parity import largest_difference, parity, require_parity
from include.kreislauf.inference.served import Served, serve
from tests.inference.worlds import CATEGORICAL, NUMERIC, fitted, training

GAPLESS = "median, flagged, scaled"


@dataclass
class Release:
    """A verified release, as the store's loader gives it."""

    model: Pipeline
    files: dict[str, bytes] = field(default_factory=dict)
    interval: dict[str, Any] = field(default_factory=dict)
    outputs: list[float] = field(default_factory=list)
    loaded: int = 0

    @property
    def manifest(self) -> dict[str, Any]:
        known = {"c": ["x", "y", "z"], "d": ["u", "v"]}
        features = {"numeric": list(NUMERIC), "categorical": known}
        return {"use_case": "demo", "version": 3, "features": features, "interval": self.interval}

    @property
    def golden(self) -> dict[str, Any]:
        return {"rows": rows(), "outputs": self.outputs or self.model.predict(training()[0].head(5)).tolist()}

    def load_model(self) -> Pipeline:
        self.loaded += 1
        return self.model


def rows() -> list[dict[str, Any]]:
    """As JSON gives them back."""
    found: Any = training()[0].head(5).to_dict("records")
    return [{name: None if value != value else value for name, value in row.items()} for row in found]


def release(model: str, compiled: bool, **given: Any) -> Release:
    made = fitted(GAPLESS, model)[0]
    return Release(made, compile_model(made, NUMERIC, CATEGORICAL).files() if compiled else {}, **given)


@pytest.mark.parametrize("model", ["voting", "histogram boosting, three classes"])
def test_both_ways_answer_alike(model: str) -> None:
    fast, slow = release(model, True), release(model, False)
    compiled, plain = serve(fast), serve(slow)
    assert (compiled.kind, plain.kind) == ("compiled", "scikit-learn")
    assert (fast.loaded, slow.loaded) == (0, 1), "a compiled release is never unpickled"
    for served in (compiled, plain):
        served.check_golden()
        assert served.predictor.numeric == NUMERIC
        assert served.predictor.categorical == {"c": {"x", "y", "z"}, "d": {"u", "v"}}
        assert served.predict([]).shape == (0,)
        alone = [served.predict_one(row) for row in rows()]
        np.testing.assert_allclose(alone, served.predict(rows()), rtol=1e-12)
    np.testing.assert_allclose(compiled.predict(rows()), plain.predict(rows()), rtol=1e-12)


@pytest.mark.parametrize("compiled", [True, False])
def test_golden_rows_that_differ_are_refused(compiled: bool) -> None:
    good = release("voting", compiled)
    wrong = [*good.golden["outputs"][:-1], good.golden["outputs"][-1] + 1e-6]
    served = serve(release("voting", compiled, outputs=wrong))
    with pytest.raises(
        ReleaseError, match=r"^demo release 3: golden rows differ by up to 1e-06; next: compare"
    ):
        served.check_golden()
    served.check_golden(tolerance=1e-5)


def interval(given: dict[str, Any]) -> tuple[Any, ...]:
    served: Served = serve(release("voting", True, interval=given))
    return served.interval(2.0)


def test_intervals_are_the_manifests() -> None:
    assert interval({"half_width": 0.5, "coverage": 0.8}) == (1.5, 2.5)
    assert interval({}) == interval({"half_width": None}) == interval({"half_width": np.nan}) == (None, None)


def test_damaged_compiled_files_are_no_reason_to_unpickle() -> None:
    damaged = release("voting", True)
    damaged.files["trees_1.bin"] = b""
    with pytest.raises(CompiledError, match=r"trees_1\.bin"):
        serve(damaged)
    assert not damaged.loaded


def test_parity_names_the_largest_difference() -> None:
    model, predictor = fitted(GAPLESS, "voting")
    frame = training()[0]
    assert require_parity(predictor, model, frame) == parity(predictor, model, frame) <= 1e-12
    assert parity(predictor, model, frame.head(0)) == 0.0
    another = fitted(GAPLESS, "histogram boosting")[0]
    expected = np.abs(predictor.predict(frame.to_dict("records")) - another.predict(frame))  # type: ignore[arg-type]
    found = parity(predictor, another, frame)
    assert 0 < found <= expected.max()
    with pytest.raises(NotCompilable, match=f"differ by {found:.3g} ") as caught:
        require_parity(predictor, another, frame)
    assert "up to 1e-09" in caught.value.text
    assert require_parity(predictor, another, frame, tolerance=found) == found


@pytest.mark.parametrize(
    ("found", "expected", "difference"),
    [([1.0], [1.5], 1 / 3), ([0.25], [0.5], 0.25), ([200.0], [100.0], 1.0), ([np.nan], [np.nan], 0.0),
     ([np.nan], [1.0], np.inf), ([np.inf], [np.inf], 0.0), ([1.0], [np.nan], np.inf), ([1.0, 2.0], [1.0], np.inf)],
)  # fmt: skip
def test_differences_are_relative_to_what_is_large(
    found: list[float], expected: list[float], difference: float
) -> None:
    assert largest_difference(np.array(found), np.array(expected)) == pytest.approx(difference)
