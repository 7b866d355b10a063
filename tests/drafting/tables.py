"""Tables for drafts: small ones, in files, with whatever a test wants wrong."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from include.kreislauf.collection.access import Access, AccessRules
from include.kreislauf.drafting.reading import look
from include.kreislauf.drafting.table import Place, Table

NOW = datetime(2026, 6, 1, tzinfo=UTC)
ROWS = 240


def machines(rows: int = ROWS, **columns: Any) -> pd.DataFrame:
    """Numbers and texts that tell a class and a number; further columns, or others, by name."""
    random = np.random.default_rng(0)
    load, heat = random.normal(size=rows), random.normal(size=rows)
    kind = random.choice(["press", "lathe", "drill"], rows)
    risk = load + 0.7 * heat + (kind == "press")
    own = {
        "load": load.round(4), "heat": heat.round(4), "kind": kind,
        "wear": (10 + 2 * risk + random.normal(size=rows) / 2).round(4),
        "state": np.where(risk + random.normal(size=rows) / 3 > 1.2, "broken", "ok"),
    }  # fmt: skip
    return pd.DataFrame({**own, **columns})


def written(frame: pd.DataFrame, folder: Path, name: str = "table.csv") -> Path:
    """The table as a file."""
    path = folder / name
    frame.to_parquet(path) if name.endswith(".parquet") else frame.to_csv(path, index=False)
    return path


def seen(path: Path | str) -> Table:
    """What a look at a file shows."""
    return look(Place(url=str(path)), Access(AccessRules()), NOW)


def table_of(frame: pd.DataFrame, folder: Path) -> Table:
    """What a look at a CSV of it shows."""
    return seen(written(frame, folder))
