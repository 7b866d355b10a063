"""Evaluate: score candidates, baselines and champion on the same held-out rows, and let the gate decide."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd

from include.kreislauf.evaluation.card import model_card
from include.kreislauf.evaluation.gate import Decision, GateReason, Thresholds, decide
from include.kreislauf.evaluation.report import Champion, Report, build_report
from include.kreislauf.evaluation.winner import winner_version
from include.kreislauf.handovers import Edge, Evidence, Loop, Reason, Stage, StepResult, WorkOrder
from include.kreislauf.requirements.contract import Contract
from include.kreislauf.settings import Settings
from include.kreislauf.store import live
from include.kreislauf.store.database import Store
from include.kreislauf.store.release_files import LoadedRelease, load_release
from include.kreislauf.store.tables import Tables
from include.kreislauf.training.files import CandidateSet, load_candidates

WAYS_BACK: dict[GateReason, tuple[Edge, Reason, Stage | None]] = {
    GateReason.NOT_ENOUGH_ROWS: (Edge.DATA_SCIENCE_TO_DATA_ENGINEERING, Reason.COVERAGE_TOO_LOW, None),
    GateReason.PERFORMANCE_SHORT: (
        Edge.DATA_SCIENCE_TO_DATA_SCIENCE,
        Reason.PERFORMANCE_SHORT,
        Stage.TRAINING,
    ),
    GateReason.BUSINESS_METRIC_SHORT: (
        Edge.DATA_SCIENCE_TO_DATA_ENGINEERING,
        Reason.BUSINESS_METRIC_SHORT,
        None,
    ),
    GateReason.WORSE_THAN_CHAMPION: (
        Edge.DATA_SCIENCE_TO_DATA_SCIENCE,
        Reason.WORSE_THAN_CHAMPION,
        Stage.TRAINING,
    ),
}


def evaluate(order: WorkOrder, contract: Contract, settings: Settings) -> StepResult:
    """Discipline 5. The winner with its model card, or a loop with the numbers that speak against all candidates."""
    saved = load_candidates(settings.artefacts, order.use_case, order.inputs[Stage.TRAINING])
    by_model = {str(name): rows.drop(columns="model") for name, rows in saved.predictions().groupby("model")}
    tried = saved.candidates
    names = {candidate.name for candidate in tried}
    report = build_report(
        {name: rows for name, rows in by_model.items() if name in names},
        tried,
        {name: rows for name, rows in by_model.items() if name not in names},
        champion=_champion(order, saved, by_model["persistence"], settings),
        top=contract.gate_metric.top,
        level=contract.gate_metric.level,
    )
    decision = decide(report, _thresholds(contract))
    if decision.verdict != "pass" or decision.winner is None:
        return StepResult(
            _loop(order, decision, report), document=model_card(contract, order, report, decision)
        )
    summary: dict[str, Any] = {
        "winner": decision.winner,
        "decision": decision.text,
        "metrics": metrics_of(report, decision.winner),
        "baselines": {one.name: {"mae": one.mae, "portfolio_uplift": one.uplift} for one in report.baselines},
        "champion": report.champion_note,
    }
    handover = order.handover(
        Stage.EVALUATION, code_version=settings.code, summary=summary,
        output=winner_version(saved.version, decision.winner),
    )  # fmt: skip
    return StepResult(handover, document=model_card(contract, order, report, decision))


def metrics_of(report: Report, name: str) -> dict[str, float | None]:
    """The numbers of one candidate that travel with it: MAE, its gain over persistence, and the business metric."""
    scores = next(one for one in report.candidates if one.name == name)
    return {"mae": scores.mae, "mae_gain": scores.mae_gain, "portfolio_uplift": scores.uplift}


def _thresholds(contract: Contract) -> Thresholds:
    return Thresholds(
        min_gain=contract.performance.min_gain,
        min_uplift=contract.gate_metric.gate_threshold,
        champion_tolerance=contract.performance.champion_tolerance,
    )


def _champion(
    order: WorkOrder, saved: CandidateSet, rows: pd.DataFrame, settings: Settings
) -> Champion | None:
    """The live release's predictions of the held-out rows, for the entities it knows."""
    with Store(settings.store).read() as db:
        pointer = live.live(db, order.use_case)
        row = live.find_release(db, order.use_case, pointer.version) if pointer else None
    if row is None:
        return None
    release = load_release(Path(row.path), row.digest)
    features = Tables(settings.tables, order.use_case).read(saved.index["features"])
    held_out = rows[["entity", "period"]].merge(features, on=["entity", "period"], how="left")
    return Champion(
        predictions=held_out[["entity", "period"]].assign(prediction=_predict_known(release, held_out)),
        trained_until=date.fromisoformat(release.manifest["trained_until"]),
    )


def _predict_known(
    release: LoadedRelease, rows: pd.DataFrame
) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Predictions in the order of the rows; NaN where the release does not know the entity, or lacks a feature."""
    values = np.full(len(rows), np.nan)
    columns = [*release.numeric, *release.categorical]
    known = rows["entity"].isin(list(release.snapshot)).to_numpy()
    if known.any() and set(columns) <= set(rows.columns):
        records = cast("list[dict[str, Any]]", rows.loc[known, columns].to_dict("records"))
        values[known] = release.predict(records)
    return values


def _loop(order: WorkOrder, decision: Decision, report: Report) -> Loop:
    edge, reason, step = WAYS_BACK[decision.reason]
    scores = next((one for one in report.candidates if one.name == decision.closest), None)
    evidence = [Evidence(name="held_out_periods", value=float(len(report.held_out)), unit="periods")]
    if scores:
        evidence += [
            Evidence(name="mae", value=scores.mae, unit="log points", note=scores.name),
            Evidence(name="mae_gain", value=scores.mae_gain, unit="share of persistence"),
            Evidence(name="portfolio_uplift", value=scores.uplift, unit="log points per period"),
        ]
    return order.loop(edge, reason, decision.text, evidence=tuple(evidence), step=step)
