"""The files of a release: model, compiled model, what the service knows of each entity, and rows that prove it right."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from include.kreislauf.errors import ReleaseError
from include.kreislauf.evaluation.business import costs_of
from include.kreislauf.evaluation.winner import Winner
from include.kreislauf.inference.compiled import NotCompilable
from include.kreislauf.inference.compiling import compile_model
from include.kreislauf.inference.parity import require_parity
from include.kreislauf.inference.predictor import values_of
from include.kreislauf.inference.problem import ServedProblem
from include.kreislauf.inference.served import SklearnPredictor
from include.kreislauf.preparation.classes import category_text
from include.kreislauf.requirements.business import DecisionValue
from include.kreislauf.requirements.contract import Contract
from include.kreislauf.statistics.stability import Profile
from include.kreislauf.store import release_files

GOLDEN_ROWS = 20
UNSEEN = "never seen in training"
REAL_ROWS = 500
"""Where no entities are kept: so many of the newest rows of training are compared with the compiled model."""
PROFILED_ROWS = 2_000
"""The newest rows of training say how features were spread: what was usual long ago is no measure of what is sent now."""
Row = dict[str, Any]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Contents:
    """What is written beside the manifest.

    Parameters
    ----------
    engine: ``kind`` (``compiled`` or ``scikit-learn``), ``reason`` (why it is not compiled), ``parity`` (largest relative
        difference between both) over so many ``rows``.
    entities: how many the release knows.
    problem: what it answers.
    """

    files: dict[str, bytes] = field(repr=False)
    engine: dict[str, Any]
    entities: int
    problem: ServedProblem


NUMBERS = ServedProblem()
"""Numbers, by entity."""


def contents_of(winner: Winner, problem: ServedProblem = NUMBERS) -> Contents:
    """Everything that the service needs to answer with a model, and to see that it answers as in training.

    Parameters
    ----------
    problem: see :func:`problem_of`.

    Raises
    ------
    ReleaseError: the model predicts what is no number.
    """
    snapshot = _snapshot(winner) if problem.requests == "entity" else {}
    real = list(snapshot.values()) or _rows(_newest(winner, REAL_ROWS), winner)
    predictor = SklearnPredictor(winner.model, {"numeric": winner.numeric, "categorical": winner.categorical})
    golden = _golden(predictor, problem, real, winner)
    compiled, engine = _compiled(winner, [*golden["rows"], *real])
    files = {
        release_files.MODEL: release_files.dump_model(winner.model),
        release_files.SNAPSHOT: _json(snapshot),
        release_files.GOLDEN: _json(golden),
        release_files.PROFILE: _json(_profile(winner)),
        **compiled,
    }
    return Contents(files, engine, len(snapshot), problem)


def problem_of(winner: Winner, contract: Contract) -> ServedProblem:
    """What a release of the winner answers, as the contract says it."""
    asked = contract.problem
    decisions = [one for one in contract.business_metrics if isinstance(one, DecisionValue)]
    return ServedProblem(
        kind=asked.kind, classes=asked.classes, requests=asked.requests, entity=asked.entity is not None,
        may_be_missing=tuple(name for name in winner.numeric if name in winner.may_be_missing),
        decision=costs_of(decisions[0], asked) if decisions else None,
    )  # fmt: skip


def _snapshot(winner: Winner) -> dict[str, Row]:
    """Entity -> its newest features."""
    newest = _newest(winner).groupby("entity").tail(1).sort_values("entity")
    return dict(zip(newest["entity"].map(str), _rows(newest, winner), strict=True))


def _newest(winner: Winner, count: int | None = None) -> pd.DataFrame:
    """The rows in the order of time where they have one; the last ``count`` of them."""
    rows = winner.features
    ordered = rows.sort_values("period") if "period" in rows else rows
    return ordered if count is None else ordered.tail(count)


def _rows(frame: pd.DataFrame, winner: Winner) -> list[Row]:
    """Rows of features as JSON has them."""
    found = frame[[*winner.numeric, *winner.categorical]].to_dict("records")
    return [{str(name): _plain(value) for name, value in row.items()} for row in found]


def _profile(winner: Winner) -> dict[str, Any]:
    """Feature -> how its values were spread in training."""
    newest = _newest(winner, PROFILED_ROWS)
    numbers = {name: Profile.of_numbers(_plain(one) for one in newest[name]) for name in winner.numeric}
    texts = {
        name: Profile.of_categories(category_text(one) for one in newest[name]) for name in winner.categorical
    }
    return {name: one.to_dict() for name, one in (numbers | texts).items()}


def _golden(
    predictor: SklearnPredictor, problem: ServedProblem, real: Sequence[Row], winner: Winner
) -> dict[str, Any]:
    """Rows and what the model says to them: real ones, and those at the edge that the model can answer.

    Of classes also the probabilities.

    Raises
    ------
    ReleaseError: it says to a real one what is no number.
    """
    rows = list(real[:GOLDEN_ROWS])
    found = _said(predictor, problem, rows)
    if wrong := [row for row in found if not np.isfinite(row).all()]:
        raise ReleaseError(f"the model predicts {wrong[0][0]}", where=winner.family, allowed="finite numbers",
                           next_step="train again, with bounded features or another family")  # fmt: skip
    for row in _edges(real[0], winner) if real else []:
        try:
            said = _said(predictor, problem, [row])[0]
        except Exception:  # noqa: BLE001, S112 - a pipeline may refuse in any way what it has never seen
            continue
        if np.isfinite(said).all():
            rows.append(row)
            found.append(said)
    outputs = np.array(found).reshape(len(found), len(problem.classes) or 1)
    if not problem.classes:
        return {"rows": rows, "outputs": outputs[:, 0].tolist()}
    return {"rows": rows, "outputs": values_of(outputs).tolist(), "probabilities": outputs.tolist()}


def _said(predictor: SklearnPredictor, problem: ServedProblem, rows: Sequence[Row]) -> list[Floats]:
    """Per row its number, or the probabilities of all classes."""
    if not rows:
        return []
    if not problem.classes:
        return list(predictor.predict(rows).reshape(-1, 1))
    return list(problem.shares(predictor.probabilities(rows), predictor.classes))


def _edges(row: Row, winner: Winner) -> list[Row]:
    """A real row without its numbers, with categories that training never saw, without any, and with nothing known."""
    no_numbers: Row = dict.fromkeys(winner.numeric)
    unseen: Row = dict.fromkeys(winner.categorical, UNSEEN)
    no_categories: Row = dict.fromkeys(winner.categorical)
    found = [{**row, **no_numbers}] if winner.numeric else []
    if winner.categorical:
        found += [{**row, **unseen}, {**row, **no_categories}, {**row, **no_numbers, **unseen}]
    return found


def _compiled(winner: Winner, rows: Sequence[Row]) -> tuple[dict[str, bytes], dict[str, Any]]:
    """Files of the compiled model, none where scikit-learn must answer; and which of them answers, and why."""
    columns = [*winner.numeric, *winner.categorical]
    frame = pd.DataFrame(list(rows), columns=columns)
    frame[winner.numeric] = frame[winner.numeric].astype(float)
    try:
        compiled = compile_model(winner.model, winner.numeric, winner.categorical, family=winner.family)
        found = require_parity(compiled.predictor(), winner.model, frame)
    except NotCompilable as error:
        return {}, {"kind": "scikit-learn", "reason": error.text, "parity": None, "rows": len(frame)}
    except Exception as error:  # noqa: BLE001 - whatever a pipeline does to the compiler, scikit-learn can answer
        reason = f"cannot be compiled: {type(error).__name__}: {error}"
        return {}, {"kind": "scikit-learn", "reason": reason, "parity": None, "rows": len(frame)}
    return compiled.files(), {"kind": "compiled", "reason": "", "parity": found, "rows": len(frame)}


def _plain(value: Any) -> Any:
    """A value as JSON has it; what is missing, or infinite, is none."""
    if isinstance(value, np.generic):
        value = value.item()
    if value is pd.NA or value is pd.NaT:
        return None
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _json(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, ensure_ascii=False, allow_nan=False).encode()
