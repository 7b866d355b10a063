"""Collect: read the contract's sources as of one time, check them, keep them as a raw-data version."""

from __future__ import annotations

import functools
from typing import Any

import pandas as pd

from include.kreislauf.collection.sheet import data_sheet
from include.kreislauf.collection.table import read_table
from include.kreislauf.errors import SourceError
from include.kreislauf.handovers import Edge, Evidence, Loop, Reason, Stage, StepResult, WorkOrder
from include.kreislauf.periods import between
from include.kreislauf.requirements.contract import Contract
from include.kreislauf.settings import Settings
from include.kreislauf.store.tables import Tables

RAW = "raw"


def collect(order: WorkOrder, contract: Contract, settings: Settings) -> StepResult:
    """Discipline 2. A raw-data version, or the loop to requirements when the sources cannot give what is needed."""
    try:
        frame = read_sources(order, contract, settings)
        _check_quality(frame, contract, order)
    except SourceError as error:
        return StepResult(_loop(order, error), document=f"# Collection stopped\n\n{error.text}\n")
    commit = f"{order.key}|{order.attempt}"
    version = Tables(settings.tables, order.use_case).write(RAW, frame, commit)
    handover = order.handover(
        Stage.COLLECTION, code_version=settings.code, output=version, summary=_summary(frame, contract)
    )
    return StepResult(handover, document=data_sheet(frame, contract, handover))


def read_sources(order: WorkOrder, contract: Contract, settings: Settings) -> pd.DataFrame:
    """All sources of a contract, joined on entity and time."""
    keys = [contract.problem.entity, contract.problem.time]
    frames = [read_table(source, contract.problem, settings.data, order.as_of) for source in contract.sources]
    return functools.reduce(lambda left, right: left.merge(right, on=keys, how="outer"), frames)


def _check_quality(frame: pd.DataFrame, contract: Contract, order: WorkOrder) -> None:
    quality, problem = contract.quality, contract.problem
    entities = frame[problem.entity].nunique()
    if len(frame) < quality.min_rows or entities < quality.min_entities:
        raise SourceError(
            f"{len(frame)} rows of {entities} entities are known as of {order.as_of:%Y-%m-%d}",
            where="quality", allowed=f"at least {quality.min_rows} rows of {quality.min_entities} entities",
            next_step="add sources or lower quality.min_rows or quality.min_entities in the contract",
        )  # fmt: skip
    newest = frame[problem.time].max().tz_localize("UTC").to_pydatetime()
    age = between(newest, order.as_of, problem.period)
    if age > quality.max_age_periods:
        raise SourceError(
            f"the newest row is of {newest:%Y-%m-%d}, {age} {problem.period}s before {order.as_of:%Y-%m-%d}",
            where="quality", allowed=f"at most {quality.max_age_periods} {problem.period}s",
            next_step="have the source delivered, or raise quality.max_age_periods in the contract",
        )  # fmt: skip


def _loop(order: WorkOrder, error: SourceError) -> Loop:
    reason = Reason.COVERAGE_TOO_LOW if error.where == "quality" else Reason.SOURCE_FAILED
    evidence = (Evidence(name="fault", value=None, note=error.text),)
    return order.loop(Edge.DATA_ENGINEERING_TO_REQUIREMENTS, reason, error.text, evidence=evidence)


def _summary(frame: pd.DataFrame, contract: Contract) -> dict[str, Any]:
    time = frame[contract.problem.time]
    return {
        "rows": len(frame),
        "entities": int(frame[contract.problem.entity].nunique()),
        "first_period": time.min().date().isoformat(),
        "last_period": time.max().date().isoformat(),
        "missing_share": {name: round(float(share), 4) for name, share in frame.isna().mean().items()},
    }
