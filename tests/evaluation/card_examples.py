"""Cards with made-up, plausible numbers: a winner, a candidate that fell short, a classification."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import numpy as np
import pandas as pd

from include.kreislauf.evaluation.card import Card
from include.kreislauf.evaluation.models import (
    Comparison,
    Decision,
    Estimate,
    GateReason,
    GateResult,
    Importance,
    Report,
    Scores,
    SegmentScore,
)
from include.kreislauf.handovers import Stage, WorkOrder
from include.kreislauf.requirements.business import DecisionValue
from include.kreislauf.requirements.contract import Contract, PortfolioUplift
from include.kreislauf.requirements.loading import contract_path, load_contract
from include.kreislauf.requirements.monitoring import Outcomes
from include.kreislauf.requirements.science import Performance, Segment
from include.kreislauf.settings import ROOT
from include.kreislauf.statistics.verdicts import Verdict
from include.kreislauf.training.files import probabilities_of

SCRIPT = "<script>alert(1)</script>"
PERIODS = pd.date_range("2014-01-01", periods=8, freq="QS")
NAMES = ("hist_gradient_boosting-004", "ridge-001", "random_forest-007", "mean-of-best")
GAINS = (0.084, 0.051, 0.062, 0.079)
FEATURES = (
    "gh_repo_new_stars_growth", "so_share_first_lag1", "so_share_first_lag2", "jobs_share_growth", "age_in_periods",
    "gh_pull_requests_share", "jobs_with_tech", "kind", "so_share_first_growth", "gh_share_lag4", "jobs_share_lag1",
    "stars_per_repository", "quarter_of_year", "rank_of_growth", "momentum_2", "momentum_4", "noise_level",
)  # fmt: skip
INPUTS = {
    Stage.REQUIREMENTS: "9f2c1d0a55e1", Stage.COLLECTION: "raw@41", Stage.PREPARATION: "features@38",
    Stage.TRAINING: "c0002-2015-10-01-1",
}  # fmt: skip


def contract(**changes: Any) -> Contract:
    """The practice example's contract, with thresholds and segments that stay when that is tuned."""
    read = load_contract(contract_path(ROOT / "include" / "use_cases", "technology_radar"))
    rules = (Segment(by="kind"), Segment(by="entity_age", required=False))
    asked = Performance(metric="mae", baseline="persistence", min_gain=0.02, segments=rules)
    business = PortfolioUplift(
        kind="portfolio_uplift",
        name="portfolio_uplift",
        top=10,
        gate_threshold=0.01,
        threshold=0.01,
        window_periods=3,
    )
    performance = asked.model_copy(update=changes)
    return read.model_copy(update={"performance": performance, "business_metrics": (business,)})


COSTS = DecisionValue.model_validate({
    "kind": "decision_value", "name": "downtime_avoided", "without": "run_on", "per": 8, "gate_threshold": 0.5, "threshold": 0.2,
    "actions": {"run_on": {"fine": 0, "fails": 2000}, "inspect": {"fine": 60, "fails": 200}},
    "test": {"bounds": [-10, 240]}, "unit": "EUR per machine-hour",
})  # fmt: skip


def classification(metric: str = "log_loss", classes: tuple[str, ...] = ("fine", "fails")) -> Contract:
    changed = contract(metric=metric, baseline="prior")
    kind = "binary" if len(classes) == 2 else "multiclass"
    problem = changed.problem.model_copy(update={"kind": kind, "classes": classes})
    hits = Outcomes.model_validate({
        "kind": "outcomes", "name": "right", "measure": "hit", "gate_threshold": 0.6, "threshold": 0.5, "test": {"bounds": [0, 1]},
    })  # fmt: skip
    metrics = (COSTS,) if kind == "binary" else (hits,)
    return changed.model_copy(update={"problem": problem, "business_metrics": metrics})


NEAR = Outcomes.model_validate({
    "kind": "outcomes", "name": "off_by", "measure": "absolute_error", "gate_threshold": 0.2, "threshold": 0.3, "direction": "lower",
    "test": {"bounds": [0, 2]},
})  # fmt: skip


def timeless(one: Contract) -> Contract:
    """The same of rows without time and entity."""
    changes = {"time": None, "period": None, "entity": None, "requests": "features"}
    metrics = one.business_metrics if one.problem.classes else (NEAR,)
    changed = {"problem": one.problem.model_copy(update=changes), "business_metrics": metrics}
    return one.model_copy(update={**changed, "purpose": "To know."})


def order() -> WorkOrder:
    return WorkOrder(
        use_case="technology_radar", cycle_id="c0002-2015-10-01", attempt=2, contract_hash="ab" * 32,
        as_of=datetime(2016, 1, 1, tzinfo=UTC), started_by="loop/monitoring→data_engineering",
        inputs={str(stage): version for stage, version in INPUTS.items()},
    )  # fmt: skip


def scores(name: str, gain: float, /, *, coverage: float | None = 0.783, **changes: Any) -> Scores:
    uplifts = {f"{period:%Y-%m-%d}": 0.021 + 0.02 * np.sin(3.0 * n) for n, period in enumerate(PERIODS)}
    segments = (
        segment("kind", "language", 180, gain + 0.02, -0.1), segment("kind", "framework", 132, gain - 0.03, -0.1),
        segment("kind", "tool $x_{1}$", 12, -0.35, None), segment("entity_age", "young", 90, gain - 0.11, None),
        segment("entity_age", "old", 234, gain + 0.03, None),
    )  # fmt: skip
    fields: dict[str, Any] = {
        "name": name, "family": name.rpartition("-")[0] or name, "params": {"learning_rate": 0.05, "max_depth": 3},
        "complexity": 3, "error": 0.1021 * (1 - gain), "further": {"rmse": 0.1403 * (1 - gain)},
        "gain": Estimate(value=gain, low=gain - 0.041, high=gain + 0.038, level=0.6),
        "business": Estimate(value=0.0213, low=0.0121, high=0.0306), "business_by_period": uplifts,
        "coverage": coverage, "half_width": None if coverage is None else 0.1534, "segments": segments,
        "n_periods": 8, "n_rows": 324,
    }  # fmt: skip
    return Scores(**{**fields, **changes})


def segment(by: str, value: str, n_rows: int, gain: float, limit: float | None) -> SegmentScore:
    estimate = Estimate(value=gain, low=gain - 0.07, high=gain + 0.07, level=0.6)
    return SegmentScore(by=by, value=value, n_rows=n_rows, gain=estimate, limit=limit)


def baseline(name: str, gain: float) -> Scores:
    business = Estimate(value=0.004, low=-0.006, high=0.013)
    return scores(name, gain, coverage=None, segments=(), params={}, business=business)


def report(**changes: Any) -> Report:
    covered = changes.pop("coverage", 0.783)
    fields: dict[str, Any] = {
        "metric": "mae", "baseline": "persistence",
        "candidates": tuple(scores(*pair, coverage=covered) for pair in zip(NAMES, GAINS, strict=True)),
        "baselines": (baseline("persistence", 0.0), baseline("momentum", -0.21)),
        "comparisons": (comparison(NAMES[0]),), "champion_note": "champion compared on 5 periods after 2014-09-30",
        "held_out": tuple(f"{period:%Y-%m-%d}" for period in PERIODS), "failed": {"knn-002": "timed out after 120 s"},
        "unknown_entities": 0.034,
    }  # fmt: skip
    return Report(**{**fields, **changes})


def comparison(name: str) -> Comparison:
    return Comparison(
        candidate=name, error=0.0947, champion_error=0.1012,
        gain=Estimate(value=0.064, low=0.021, high=0.1, level=0.6),
        business_difference=Estimate(value=0.0071, low=-0.0032, high=0.0164),
        same_predictions=False, n_periods=5, n_rows=203,
    )  # fmt: skip


def decision(winner: str | None = NAMES[0]) -> Decision:
    won = (
        result(GateReason.NOT_ENOUGH_ROWS, "8 periods with 324 rows"),
        result(GateReason.TOO_GOOD_TO_BE_TRUE, "gain +8.4%"),
        result(GateReason.PERFORMANCE_SHORT, "+8.4% (+4.3% to +12.2%)"),
        result(GateReason.SEGMENT_SHORT, "the worst is kind framework: +5.4%"),
        result(GateReason.INTERVALS_OFF, "78.3% of outcomes inside"),
        result(GateReason.CALIBRATION_OFF, "no probabilities to judge"),
        result(GateReason.BUSINESS_METRIC_SHORT, "+0.0213 (+0.0121 to +0.0306)"),
        result(GateReason.WORSE_THAN_CHAMPION, "+6.4% (+2.1% to +10.0%) on 5 periods"),
    )
    short = (*won[:2], result(GateReason.PERFORMANCE_SHORT, "+5.1% (+1.0% to +8.9%)", Verdict.INCONCLUSIVE))
    if winner:
        return Decision(
            verdict=Verdict.PASS, reason=GateReason.OK, winner=winner, closest=winner,
            text=f"{winner} undercuts persistence by 8.4 % and reaches a portfolio uplift of +0.0213",
            results={NAMES[0]: won, NAMES[1]: short, NAMES[3]: won},
        )  # fmt: skip
    return Decision(
        verdict=Verdict.INCONCLUSIVE, reason=GateReason.PERFORMANCE_SHORT, winner=None, closest=NAMES[1],
        text=f"{NAMES[1]} came closest: +5.1% (+1.0% to +8.9%) over persistence, 2.0 % needed", results={NAMES[1]: short},
    )  # fmt: skip


def result(gate: GateReason, text: str, verdict: Verdict = Verdict.PASS) -> GateResult:
    return GateResult(gate=gate, verdict=verdict, text=text)


def rows(entities: int = 40) -> pd.DataFrame:
    """Predictions of growth, with intervals from the second period on."""
    rng = np.random.default_rng(3)
    keys = [(f"tech{n:02d}", period) for period in PERIODS for n in range(entities)]
    made = pd.DataFrame(keys, columns=["entity", "period"])
    truth = rng.normal(0.02, 0.12, len(made))
    predicted = 0.55 * truth + rng.normal(0.01, 0.05, len(made))
    width = np.where(made["period"] > PERIODS[0], 0.083, np.nan)
    return made.assign(
        fold=[f"{start:%Y-%m-%d}" for start in made["period"]], prediction=predicted, target=truth, low=predicted - width,
        high=predicted + width, loss=np.abs(truth - predicted),
        baseline_loss=np.abs(truth - rng.normal(0.02, 0.12, len(made))),
    )  # fmt: skip


def shares(classes: int = 2, seed: int = 5) -> pd.DataFrame:
    """Probabilities, and the positions of what came, as often as they say; of two classes the second is rare."""
    rng = np.random.default_rng(seed)
    made = rows()[["entity", "period", "fold"]]
    weights = [8.0, 0.6] if classes == 2 else [1.0] * classes
    said = rng.dirichlet(weights, len(made))
    came = (rng.random(len(made))[:, None] > said.cumsum(axis=1)).sum(axis=1).astype(float)
    own = -np.log(np.clip(said[np.arange(len(made)), came.astype(int)], 1e-15, 1))
    base = -np.log(np.bincount(came.astype(int), minlength=classes) / len(made))[came.astype(int)]
    columns = {f"p{place}": said[:, place] for place in range(classes)}
    return made.assign(target=came, loss=own, baseline_loss=base, **columns)


TRAINING: dict[str, Any] = {
    "features": "features@38", "candidates": "c0002-2015-10-01-1", "numeric": list(FEATURES[:14]),
    "categorical": ["kind"], "trained_until": "2013-10-01",
    "search": [
        {"family": "ridge", "configurations": 8, "folds": 8, "fits": 64, "seconds": 3.21},
        {"family": "hist_gradient_boosting", "configurations": 8, "folds": 8, "fits": 61, "seconds": 88.4},
    ],
}  # fmt: skip


def card(**changes: Any) -> Card:
    """A winner's card; any field can be another."""
    importance = tuple(
        Importance(feature=name, mean=0.012 / (n + 1) - 0.0004, deviation=0.0011)
        for n, name in enumerate(FEATURES)
    )
    fields: dict[str, Any] = {
        "contract": contract(), "order": order(), "code_version": "0.1.0+3fc1d2", "report": report(),
        "decision": decision(), "rows": rows(), "importance": importance, "training": TRAINING,
        "command": "python -m include.kreislauf evaluate technology_radar --cycle c0002-2015-10-01 --attempt 2",
    }  # fmt: skip
    return Card(**{**fields, **changes})


def classification_card(held: pd.DataFrame, metric: str = "log_loss", names: tuple[str, ...] = ()) -> Card:
    """The card of a classification, with as many classes as the rows have."""
    count = len(probabilities_of(held))
    classes = names or (
        ("fine", "fails") if count == 2 else tuple(f"class {place:02d}" for place in range(count))
    )
    further = {"brier": 0.11, "accuracy": 0.94, "roc_auc": 0.87}
    told = report(
        metric=metric, baseline="prior", baselines=(baseline("prior", 0.0),),
        candidates=tuple(
            scores(*pair, coverage=None, calibration_error=0.021, calibration_by_chance=0.03, further=further)
            for pair in zip(NAMES, GAINS, strict=True)
        ),
    )  # fmt: skip
    training = {**TRAINING, "calibration": ["sigmoid", ""]}
    return card(contract=classification(metric, classes), report=told, rows=held, training=training)
