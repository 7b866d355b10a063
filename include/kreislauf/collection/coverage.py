"""What of a source is really there: files that are missing, and files that hold next to nothing.

GH Archive had outages of days, and hours with a single event. Such a gap is found from the data and stands for
"not observed"; taken as zero it would look like a fall of everything.
"""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from include.kreislauf.collection.counts import ACCOUNT, MISSING

OUTAGE_SHARE = 0.1
"""A unit with less than this share of the median volume of its neighbours is an outage."""
NEIGHBOURS = 15
"""Units on each side that a unit is compared with."""
MIN_MEDIAN = 20.0
"""Below this median volume (lines) nothing can be said about outages."""
MIN_UNITS = 5
REJECTED = "rejected: "
"""What the reason of a unit begins with that was there, and could not be used."""


@dataclass(frozen=True)
class Coverage:
    """Which units of a source are there.

    Parameters
    ----------
    units: one row per expected unit: unit, period (start), state (``there``, ``outage``, ``absent``, ``rejected`` where
        it was damaged, ``unread``), and why it is not there.
    periods: one row per period: share of the expected units that are there.
    """

    units: pd.DataFrame
    periods: pd.Series

    def missing_periods(self, least: float) -> list[pd.Timestamp]:
        """Periods of which too little was observed."""
        return list(self.periods.index[self.periods < least])

    def of_state(self, state: str) -> list[str]:
        """Units of one state."""
        return self.units.loc[self.units["state"] == state, "unit"].tolist()


def coverage(expected: pd.DataFrame, rows: pd.DataFrame) -> Coverage:
    """Compare the expected units (columns unit, start, period) with the rows of the observations that count."""
    account = rows[rows["by"] == ACCOUNT]
    volume = account[account["measure"] == "read"].groupby("unit")["value"].sum()
    missing = account[account["measure"] == MISSING].drop_duplicates("unit").set_index("unit")["subject"]
    units = expected.sort_values("start", ignore_index=True)
    lines = units["unit"].map(volume)
    units["state"] = "there"
    units.loc[_outages(lines), "state"] = "outage"
    units.loc[lines.isna(), "state"] = "unread"
    reasons = {str(unit): str(why) for unit, why in missing.items()}
    units["why"] = [
        reasons.get(unit, "") if gone else "" for unit, gone in zip(units["unit"], lines.isna(), strict=True)
    ]
    units.loc[units["why"] != "", "state"] = "absent"
    units.loc[units["why"].str.startswith(REJECTED), "state"] = "rejected"
    there = units["state"].eq("there").groupby(units["period"]).mean()
    return Coverage(units, there)


def _outages(lines: pd.Series) -> pd.Series:
    """Units whose volume is next to nothing beside the median of their neighbours in time."""
    known = lines.dropna()
    width = 2 * NEIGHBOURS + 1
    usual = known.rolling(width, center=True, min_periods=MIN_UNITS).median()
    low = (known < OUTAGE_SHARE * usual) & (usual >= MIN_MEDIAN)
    return low.reindex(lines.index, fill_value=False)
