"""What a training tells: the runs that are tracked, and the document for people."""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np
import pandas as pd

from include.kreislauf.handovers import Stage, WorkOrder
from include.kreislauf.requirements.contract import Contract
from include.kreislauf.settings import Settings
from include.kreislauf.statistics.metrics import Metric, further_scores, metrics_for
from include.kreislauf.training.design import Rows
from include.kreislauf.training.files import CandidateSet
from include.kreislauf.training.final import Trained
from include.kreislauf.training.search import Searched
from include.kreislauf.training.tracking import TrackedRun, Tracking


def runs(
    rows: Rows, trained: Trained, searched: Sequence[Searched], metric: Metric, saved: CandidateSet
) -> list[TrackedRun]:  # fmt: skip
    """One per candidate of the hand-over, and one per configuration that was tried and left behind, or failed."""
    tried = [_tried(one, name, metric, trained) for one in searched for name in {**one.losses, **one.failed}]
    handed = {candidate.name: candidate for candidate in trained.candidates}
    kept = [_handed(rows, trained, name, saved) for name in handed]
    failed = [
        TrackedRun(name, failed=why) for name, why in trained.failed.items()
        if name not in handed and name not in {run.name for run in tried}
    ]  # fmt: skip
    return [*kept, *(run for run in tried if run.name not in handed), *failed]


def tags(order: WorkOrder, settings: Settings, saved: CandidateSet) -> dict[str, str]:
    """The lineage of every run."""
    return {
        "contract_hash": order.contract_hash, "code_version": settings.code, "cycle": order.cycle_id,
        "attempt": str(order.attempt), "as_of": order.as_of.isoformat(), "candidates": saved.version,
        "feature_version": order.inputs[Stage.PREPARATION],
        "data_version": order.inputs.get(Stage.COLLECTION, ""),
    }  # fmt: skip


def document(contract: Contract, saved: CandidateSet, trained: Trained, tracking: Tracking) -> str:
    """The candidates in Markdown: what was tried, what is handed over, what failed and why."""
    index = saved.index
    searched = "\n".join(
        f"| `{one['family']}` | {one['configurations']} | {one['fits']} | `{one['best'] or '-'}` |"
        for one in index["search"]
    )
    handed = "\n".join(f"- `{one['name']}`: `{json.dumps(one['params'])}`" for one in index["candidates"])
    failed = "\n".join(f"- `{name}`: {why}" for name, why in trained.failed.items()) or "none"
    followed = (
        tracking.note or f"MLflow run `{tracking.parent}`" if tracking.parent or tracking.note else "off"
    )
    until = f"; trained until {index['trained_until']}" if index["trained_until"] else ""
    return f"""# Candidates: {contract.title}

Version `{saved.version}`, made from `{index["features"]}`{until}.{_calibration(contract, trained)}

## The search

| family | configurations | fits | best |
|---|---|---|---|
{searched}

## Handed over

{handed}

## Failed

{failed}

Tracking: {followed}.
"""


def _calibration(contract: Contract, trained: Trained) -> str:
    if contract.problem.task == "regression":
        return ""
    method, why = trained.calibration
    reason = f" ({why})" if why else ""
    return f"\n\nCalibration of the probabilities: {method}{reason}."


def _tried(searched: Searched, name: str, metric: Metric, trained: Trained) -> TrackedRun:
    loss, folds = searched.losses.get(name, (None, 0))
    metrics = {} if loss is None else {f"search_{metric.name}": loss, "search_folds": float(folds)}
    return TrackedRun(
        name, {"family": searched.family, "configuration": name.partition(":")[2]}, metrics,
        failed=trained.failed.get(name, ""), tags={"role": "searched"},
    )  # fmt: skip


def _handed(rows: Rows, trained: Trained, name: str, saved: CandidateSet) -> TrackedRun:
    candidate = next(one for one in trained.candidates if one.name == name)
    own = trained.predictions[
        (trained.predictions["model"] == name) & (trained.predictions["part"] == "held_out")
    ]
    by_fold = [(str(label), _metrics(rows, part)) for label, part in own.groupby("fold", sort=True)]
    return TrackedRun(
        name, {"family": candidate.family, **candidate.params}, _metrics(rows, own), by_fold,
        artefacts={"candidate.json": json.dumps({"name": name, "version": saved.version}).encode()},
        tags={"role": "candidate"},
    )  # fmt: skip


def _metrics(rows: Rows, predicted_rows: pd.DataFrame) -> dict[str, float]:
    outcomes = predicted_rows["target"].to_numpy(np.float64)
    names = [f"p{n}" for n in range(len(rows.classes))] or ["prediction"]
    stacked = predicted_rows[names].to_numpy(np.float64)
    predicted = stacked if rows.classes else stacked[:, 0]
    found = metrics_for(rows.design.task)
    errors = {one.name: one.total(float(one.losses(outcomes, predicted).mean())) for one in found}
    return errors | further_scores(outcomes, predicted)
