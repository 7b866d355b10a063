"""Raw rows, contracts and feature code for the tests of preparation."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from datetime import date
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pandas as pd

from include.kreislauf.preparation.features import FeatureModule
from include.kreislauf.requirements.contract import Contract
from include.kreislauf.requirements.science import Preparation
from tests.support.use_cases import write_use_case

with tempfile.TemporaryDirectory() as _folder:
    RADAR = write_use_case(Path(_folder))
"""The practice example over a recorded panel: entity ``tech``, time ``quarter_start``, quarters, horizon 1."""


def contract(*cleaning: dict[str, Any], **preparation: Any) -> Contract:
    """The radar's contract with other cleaning, and whatever else a test wants in the section."""
    section = Preparation.model_validate({"cleaning": list(cleaning), **preparation})
    return RADAR.model_copy(update={"preparation": section})


def raw(quarters: int = 24, entities: int = 6, seed: int = 0) -> pd.DataFrame:
    """Two random walks per entity and quarter from 2010 on."""
    rng = np.random.default_rng(seed)
    starts = pd.date_range("2010-01-01", periods=quarters, freq="QS", unit="us")
    frames = [
        pd.DataFrame({
            "tech": f"tech{number}", "quarter_start": starts,
            "x": rng.normal(size=quarters).cumsum(), "y": rng.normal(size=quarters),
        })
        for number in range(entities)
    ]  # fmt: skip
    return pd.concat(frames, ignore_index=True)


def visible(rows: pd.DataFrame, as_of: date) -> pd.DataFrame:
    """Rows whose quarter had ended, sorted."""
    ended = rows["quarter_start"] + pd.DateOffset(months=3) <= pd.Timestamp(as_of)
    return rows[ended].sort_values(["tech", "quarter_start"], ignore_index=True)


def with_features(rows: pd.DataFrame, **columns: Any) -> pd.DataFrame:
    """The table that a feature module returns: honest, but for the columns a test gives."""
    by = rows.groupby("tech")
    honest = {
        "entity": rows["tech"], "period": rows["quarter_start"], "level": rows["x"],
        "change": by["x"].diff().fillna(0.0), "kind": "any", "target": by["x"].shift(-1) - rows["x"],
    }  # fmt: skip
    return pd.DataFrame({**honest, **columns})


def module(build: Callable[[pd.DataFrame, date], pd.DataFrame], *more: str, **offers: Any) -> FeatureModule:
    """A use case's feature code; ``more`` are numeric features beside ``level`` and ``change``."""
    names = {"NUMERIC": ("level", "change", *more), "CATEGORICAL": ("kind",), **offers}
    return cast("FeatureModule", SimpleNamespace(build=build, outcomes=build, **names))


def honest(rows: pd.DataFrame, as_of: date) -> pd.DataFrame:
    """Features without a leak."""
    return with_features(visible(rows, as_of))
