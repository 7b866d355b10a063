"""Rows of the canary: made by a known law, and others at each pass, so that no earlier result is used again."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd

LINES = ("north", "south")
BASE = {"north": 10.0, "south": 14.0}
NOISE = 0.2


def law(line: str, load: float, heat: float) -> float:
    """What is to be learnt."""
    return BASE[line] + 6.0 * load - 4.0 * heat


def read(options: dict[str, Any], as_of: datetime, access: object) -> pd.DataFrame:  # noqa: ARG001
    """So many rows as the contract asks for; the same for the same time."""
    rng = np.random.default_rng(int(as_of.timestamp() * 1e6))
    rows = []
    for number in range(options["rows"]):
        line, load, heat = LINES[number % len(LINES)], rng.uniform(), rng.uniform()
        output = law(line, load, heat) + rng.normal(scale=NOISE)
        rows.append({"part": f"p{number:03}", "line": line, "load": load, "heat": heat, "output": output})
    return pd.DataFrame(rows)
