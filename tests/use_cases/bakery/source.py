"""What a bakery's shops sold: one file for each month, ``{data}/sales-2024-01.csv``, which comes when the month is over."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pandas as pd

from include.kreislauf.collection.access import Access


def read(options: dict[str, Any], as_of: datetime, access: Access) -> pd.DataFrame:
    """Every month that was over by then, of those that there are files of."""
    until = min(as_of.strftime("%Y-%m-%d"), options["until"])
    months = pd.date_range(options["since"], until, freq="MS")[:-1]
    frames = []
    for month in months:
        with access.open(f"{{data}}/sales-{month:%Y-%m}.csv") as file:
            frames.append(pd.read_csv(file))
    return pd.concat(frames)
