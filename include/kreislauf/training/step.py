"""Train: predict the held-out periods with every candidate, then fit each on all that is known."""

from __future__ import annotations

from typing import Any

import pandas as pd

from include.kreislauf.errors import TrainingError
from include.kreislauf.handovers import Edge, Evidence, Reason, Stage, StepResult, WorkOrder
from include.kreislauf.preparation.step import load_features
from include.kreislauf.requirements.contract import Contract
from include.kreislauf.settings import Settings
from include.kreislauf.store.tables import Tables
from include.kreislauf.training.candidates import (
    Candidate,
    FeatureSet,
    baselines,
    candidates,
    fit_final,
    held_out_periods,
    rolling_origins,
)
from include.kreislauf.training.files import CandidateSet, save_candidates


def train(order: WorkOrder, contract: Contract, settings: Settings) -> StepResult:
    """Discipline 4. Fitted candidates with their held-out predictions, or the loop to data engineering.

    Each attempt within a cycle doubles the breadth of the search: a loop that asks for new training tries more.
    """
    version = order.inputs[Stage.PREPARATION]
    frame = Tables(settings.tables, order.use_case).read(version)
    features = feature_set(contract, settings)
    tried = candidates([one.family for one in contract.training.candidates], breadth=2**order.attempt)
    held_out = held_out_periods(frame, features, contract.training.held_out_periods)
    if not held_out:
        return StepResult(_too_little(order, frame))
    seed = contract.training.seed
    predictions = rolling_origins(frame, held_out, tried, features, seed) | baselines(
        frame, held_out, features
    )
    models = {candidate.name: fit_final(frame, candidate, features, seed) for candidate in tried}
    saved = save_candidates(
        settings.artefacts, order.use_case, f"{order.cycle_id}-{order.attempt}", tried=tried, models=models,
        predictions=predictions, index=_index(order, frame, features, version),
    )  # fmt: skip
    handover = order.handover(
        Stage.TRAINING,
        code_version=settings.code,
        output=saved.version,
        summary=_summary(saved, tried, len(held_out)),
    )
    return StepResult(handover, document=_document(contract, saved))


def feature_set(contract: Contract, settings: Settings) -> FeatureSet:
    """The columns and the calendar that models of a use case see."""
    module = load_features(settings.use_cases, contract.name)
    problem = contract.problem
    return FeatureSet(tuple(module.NUMERIC), tuple(module.CATEGORICAL), problem.period, problem.horizon)


def _too_little(order: WorkOrder, frame: pd.DataFrame) -> Any:
    known = int(frame["target"].notna().sum())
    error = TrainingError(f"{known} rows with known target leave no period to hold out", where=order.key)
    evidence = (Evidence(name="rows_with_target", value=float(known), unit="rows"),)
    return order.loop(
        Edge.DATA_SCIENCE_TO_DATA_ENGINEERING, Reason.COVERAGE_TOO_LOW, error.text, evidence=evidence
    )


def _index(order: WorkOrder, frame: pd.DataFrame, features: FeatureSet, version: str) -> dict[str, Any]:
    known = frame[frame["target"].notna()]
    categories = {name: sorted(known[name].astype(str).unique()) for name in features.categorical}
    return {
        "features": version,
        "numeric": list(features.numeric),
        "categorical": categories,
        "trained_until": known["period"].max().date().isoformat(),
        "as_of": order.as_of.isoformat(),
        "inputs": dict(order.inputs),
    }


def _summary(saved: CandidateSet, tried: tuple[Candidate, ...], periods: int) -> dict[str, Any]:
    return {
        "candidates": [candidate.name for candidate in tried],
        "held_out_periods": periods,
        "trained_until": saved.index["trained_until"],
    }


def _document(contract: Contract, saved: CandidateSet) -> str:
    lines = "\n".join(f"- `{one['name']}`: {one['params']}" for one in saved.index["candidates"])
    return f"# Candidates: {contract.title}\n\nVersion `{saved.version}`, features `{saved.index['features']}`.\n\n{lines}\n"
