"""Prepare: build the features of a use case from a raw-data version, check them, keep them as a feature version."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol, cast

import numpy as np
import pandas as pd
import pandera.pandas as pa
from pandera.errors import SchemaErrors

from include.kreislauf.errors import PreparationError
from include.kreislauf.handovers import Edge, Evidence, Reason, Stage, StepResult, WorkOrder
from include.kreislauf.requirements.contract import Contract
from include.kreislauf.settings import Settings
from include.kreislauf.store import messages
from include.kreislauf.store.database import Store
from include.kreislauf.store.tables import Tables

FEATURES = "features"
KEYS = ("entity", "period")


class FeatureModule(Protocol):
    """What a use case's ``features.py`` offers."""

    NUMERIC: tuple[str, ...]
    CATEGORICAL: tuple[str, ...]

    def build(self, raw: pd.DataFrame, as_of: date) -> pd.DataFrame:
        """Columns entity, period, NUMERIC, CATEGORICAL, level and target (empty where not known at ``as_of``)."""

    def outcomes(self, raw: pd.DataFrame, as_of: date) -> pd.DataFrame:
        """Columns entity, period, outcome: what happened to every entity, those without features among them."""


def prepare(order: WorkOrder, contract: Contract, settings: Settings) -> StepResult:
    """Discipline 3. A feature version, or the loop to data engineering when the raw data does not carry it."""
    raw_version, reused = _raw_version(order, settings)
    if reused:
        summary = {"reused_from_attempt": order.attempt - 1}
        again = order.model_copy(update={"inputs": {Stage.COLLECTION: raw_version}})
        return StepResult(
            again.handover(
                Stage.PREPARATION, code_version=settings.code, output=reused, summary=dict(summary)
            )
        )
    tables = Tables(settings.tables, order.use_case)
    module = load_features(settings.use_cases, order.use_case)
    try:
        frame = check_features(module.build(tables.read(raw_version), order.as_of.date()), module)
    except PreparationError as error:
        evidence = (Evidence(name="fault", value=None, note=error.text),)
        loop = order.loop(
            Edge.DATA_SCIENCE_TO_DATA_ENGINEERING, Reason.QUALITY_TOO_LOW, error.text, evidence=evidence
        )
        return StepResult(loop)
    version = tables.write(FEATURES, frame, f"{order.key}|{order.attempt}")
    order = order.model_copy(update={"inputs": {Stage.COLLECTION: raw_version}})
    handover = order.handover(
        Stage.PREPARATION, code_version=settings.code, output=version, summary=_summary(frame, module)
    )
    return StepResult(handover, document=_document(contract, handover.output, raw_version, handover.summary))


def _raw_version(order: WorkOrder, settings: Settings) -> tuple[str, str]:
    """The raw data to prepare; and the feature version to use again, when the loop asks only for new training."""
    store = Store(settings.store)
    with store.read() as db:
        collected = messages.latest_handover(db, order.use_case, Stage.COLLECTION, cycle_id=order.cycle_id)
        collected = collected or messages.latest_handover(db, order.use_case, Stage.COLLECTION)
        prepared = messages.latest_handover(db, order.use_case, Stage.PREPARATION, cycle_id=order.cycle_id)
    raw = order.inputs.get(Stage.COLLECTION) or (collected.output if collected else "")
    if not raw:
        raise PreparationError(
            "there is no raw data yet", where=order.key, next_step="trigger data_engineering"
        )
    return raw, prepared.output if prepared and order.step is Stage.TRAINING else ""


def load_features(use_cases: Path, name: str) -> FeatureModule:
    """A use case's ``features.py``, found by convention.

    Raises
    ------
    PreparationError: the file is missing, cannot be imported, or lacks a name it must offer.
    """
    path = use_cases / name / "features.py"
    spec = importlib.util.spec_from_file_location(f"kreislauf_use_case_{name}", path)
    if spec is None or spec.loader is None or not path.exists():
        raise PreparationError(
            "has no features.py", where=str(path.parent), next_step="add one (see the guide)"
        )
    module: ModuleType = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    if missing := [
        wanted for wanted in ("NUMERIC", "CATEGORICAL", "build", "outcomes") if not hasattr(module, wanted)
    ]:
        raise PreparationError(f"lacks {', '.join(missing)}", where=str(path))
    return cast("FeatureModule", module)


def check_features(frame: pd.DataFrame, module: FeatureModule) -> pd.DataFrame:
    """The features, validated: one row per entity and period, finite numbers, no empty category.

    Raises
    ------
    PreparationError: there are no rows, or some break a rule; names column, rule and value.
    """
    if frame.empty:
        raise PreparationError("no entity has enough history for features", where=FEATURES)
    finite = pa.Check(lambda values: np.isfinite(values), name="finite")
    schema = pa.DataFrameSchema(
        {
            "entity": pa.Column(nullable=False),
            "period": pa.Column("datetime64[ns]", coerce=True),
            **{name: pa.Column(float, finite, coerce=True) for name in module.NUMERIC},
            **{name: pa.Column(nullable=False) for name in module.CATEGORICAL},
            "level": pa.Column(float, finite, coerce=True),
            "target": pa.Column(float, nullable=True, coerce=True),
        },
        unique=list(KEYS),
        strict=True,
    )
    try:
        return schema.validate(frame, lazy=True)
    except SchemaErrors as error:
        case = error.failure_cases.head(1).to_dict("records")[0]
        what = f"{case['column']} fails {case['check']}, found {case['failure_case']!r}"
        raise PreparationError(f"{what}; {len(error.failure_cases)} faults in all", where=FEATURES) from error


def _summary(frame: pd.DataFrame, module: FeatureModule) -> dict[str, Any]:
    return {
        "rows": len(frame),
        "rows_with_target": int(frame["target"].notna().sum()),
        "entities": int(frame["entity"].nunique()),
        "first_period": frame["period"].min().date().isoformat(),
        "last_period": frame["period"].max().date().isoformat(),
        "numeric": list(module.NUMERIC),
        "categorical": list(module.CATEGORICAL),
    }


def _document(contract: Contract, version: str, raw_version: str, summary: Mapping[str, Any]) -> str:
    lines = "\n".join(f"- {name}: {value}" for name, value in summary.items())
    return f"# Features: {contract.title}\n\nVersion `{version}`, made from `{raw_version}`.\n\n{lines}\n"
