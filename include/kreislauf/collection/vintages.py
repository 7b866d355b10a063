"""Vintages: of several observations of the same thing, the one that counts at a time.

Counts get revised: what Stack Overflow shows right after a month is a fifth to a half above what it shows a year
later. A model must be trained on numbers of the same age as those that it will be asked with, so one rule serves
both: ``first`` takes what was seen first after the unit had ended, ``latest`` what was seen last.
"""

from __future__ import annotations

from datetime import datetime

import pandas as pd

from include.kreislauf.requirements.sources import Vintage


def choose(rows: pd.DataFrame, as_of: datetime, vintage: Vintage) -> pd.DataFrame:
    """The rows of the observation that counts, for each unit.

    Parameters
    ----------
    rows: columns unit, end, observed_at (UTC) and any others; an observation of a unit has one ``observed_at``.
    as_of: later observations, and units that ended later, are never seen.

    Returns
    -------
    Rows of one observation per unit, in their order. Adding observations after ``as_of`` changes nothing.
    """
    now = pd.Timestamp(as_of)
    seen = rows[(rows["observed_at"] <= now) & (rows["end"] <= now) & (rows["observed_at"] >= rows["end"])]
    times = seen.groupby("unit")["observed_at"]
    chosen = times.transform("min" if vintage == "first" else "max")
    return seen[seen["observed_at"] == chosen]
