"""The files of a release: model, compiled model, what the service knows of each entity, and rows that prove it right."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from include.kreislauf.errors import ReleaseError
from include.kreislauf.evaluation.winner import Winner
from include.kreislauf.inference.compiled import NotCompilable
from include.kreislauf.inference.compiling import compile_model
from include.kreislauf.inference.parity import require_parity
from include.kreislauf.inference.served import SklearnPredictor
from include.kreislauf.preparation.encoder import category_text
from include.kreislauf.statistics.stability import Profile
from include.kreislauf.store import release_files

GOLDEN_ROWS = 20
UNSEEN = "never seen in training"
PROFILED_ROWS = 2_000
"""The newest rows of training say how features were spread: what was usual long ago is no measure of what is sent now."""
Row = dict[str, Any]


@dataclass(frozen=True)
class Contents:
    """What is written beside the manifest.

    Parameters
    ----------
    engine: ``kind`` (``compiled`` or ``scikit-learn``), ``reason`` (why it is not compiled), ``parity`` (largest relative
        difference between both) over so many ``rows``.
    entities: how many the release knows.
    """

    files: dict[str, bytes] = field(repr=False)
    engine: dict[str, Any]
    entities: int


def contents_of(winner: Winner) -> Contents:
    """Everything that the service needs to answer with a model, and to see that it answers as in training.

    Raises
    ------
    ReleaseError: the model predicts what is no number.
    """
    snapshot = _snapshot(winner)
    real = list(snapshot.values())
    predictor = SklearnPredictor(winner.model, {"numeric": winner.numeric, "categorical": winner.categorical})
    golden, outputs = _golden(predictor, real, winner)
    compiled, engine = _compiled(winner, [*golden, *real])
    files = {
        release_files.MODEL: release_files.dump_model(winner.model),
        release_files.SNAPSHOT: _json(snapshot),
        release_files.GOLDEN: _json({"rows": golden, "outputs": outputs}),
        release_files.PROFILE: _json(_profile(winner)),
        **compiled,
    }
    return Contents(files, engine, len(snapshot))


def _snapshot(winner: Winner) -> dict[str, Row]:
    """Entity -> its newest features."""
    rows = winner.features
    newest = rows.sort_values("period") if "period" in rows else rows
    newest = newest.groupby("entity").tail(1).set_index("entity").sort_index()
    found = newest[[*winner.numeric, *winner.categorical]].to_dict("index")
    return {
        str(entity): {str(name): _plain(value) for name, value in row.items()}
        for entity, row in found.items()
    }


def _profile(winner: Winner) -> dict[str, Any]:
    """Feature -> how its values were spread in training."""
    rows = winner.features
    newest = (rows.sort_values("period") if "period" in rows else rows).tail(PROFILED_ROWS)
    numbers = {name: Profile.of_numbers(_plain(one) for one in newest[name]) for name in winner.numeric}
    texts = {
        name: Profile.of_categories(category_text(one) for one in newest[name]) for name in winner.categorical
    }
    return {name: one.to_dict() for name, one in (numbers | texts).items()}


def _golden(
    predictor: SklearnPredictor, real: Sequence[Row], winner: Winner
) -> tuple[list[Row], list[float]]:
    """Rows and what the model says to them: real ones, and those at the edge that the model can answer.

    Raises
    ------
    ReleaseError: it says to a real one what is no number.
    """
    rows = list(real[:GOLDEN_ROWS])
    outputs = [float(value) for value in predictor.predict(rows)]
    if wrong := [value for value in outputs if not math.isfinite(value)]:
        raise ReleaseError(f"the model predicts {wrong[0]}", where=winner.family, allowed="finite numbers",
                           next_step="train again, with bounded features or another family")  # fmt: skip
    for row in _edges(real[0], winner) if real else []:
        try:
            value = predictor.predict_one(row)
        except Exception:  # noqa: BLE001, S112 - a pipeline may refuse in any way what it has never seen
            continue
        if math.isfinite(value):
            rows.append(row)
            outputs.append(value)
    return rows, outputs


def _edges(row: Row, winner: Winner) -> list[Row]:
    """A real row without its numbers, with categories that training never saw, without any, and with nothing known."""
    no_numbers: Row = dict.fromkeys(winner.numeric)
    unseen: Row = dict.fromkeys(winner.categorical, UNSEEN)
    no_categories: Row = dict.fromkeys(winner.categorical)
    found = [{**row, **no_numbers}]
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
