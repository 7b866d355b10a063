"""From counts of subjects to the raw panel: one row per technology and period, one column per declared number."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pandas as pd

from include.kreislauf.collection.counts import ACCOUNT
from include.kreislauf.collection.coverage import Coverage, coverage
from include.kreislauf.collection.source import TOTAL, CountedSource, Unit
from include.kreislauf.collection.vintages import choose
from include.kreislauf.periods import Period, offset, starts_of
from include.kreislauf.requirements.catalogue import Technology
from include.kreislauf.requirements.contract import Problem
from include.kreislauf.requirements.sources import CountColumn

KIND = "kind"
CUMULATIVE = {"tag_ever": "questions_ever"}
"""Kinds of subject that are counted since ever -> their measure: they grow by the difference of two snapshots."""
GROUPS: dict[str, tuple[str, ...]] = {"term": ("technology_term", "term")}
"""Kinds of subject, the first of which that knows a name decides; see ``Count.by``."""


@dataclass(frozen=True)
class Observed:
    """What one source shows of the time before ``as_of``.

    Parameters
    ----------
    rows: the observations that count, of units that are there and no outage, with their ``bucket`` (period start).
    account: the same for all units that were read.
    snapshots: counts since ever, of every time at which they were taken.
    later: how many of the units were observed only after ``as_of``, and when first; empty: none.
    """

    source: CountedSource[Any]
    rows: pd.DataFrame
    account: pd.DataFrame
    snapshots: pd.DataFrame
    coverage: Coverage
    version: str
    later: str = ""

    @property
    def periods(self) -> list[pd.Timestamp]:
        """Every complete period that was to be observed, oldest first."""
        return list(self.coverage.periods.index)


def observe(
    source: CountedSource[Any],
    rows: pd.DataFrame,
    units: Sequence[Unit],
    as_of: datetime,
    period: Period,
    version: str,
) -> Observed:
    """Choose vintage and revision of each unit, and leave out what is missing."""
    units = [one for one in units if not one.snapshot]
    expected = pd.DataFrame({
        "unit": [one.id for one in units], "revision": [one.revision for one in units],
        "start": pd.to_datetime([one.start for one in units], utc=True),
    })  # fmt: skip
    expected["period"] = starts_of(expected["start"], period)
    expected = expected[complete(expected["period"], as_of, period)]
    asked = rows.merge(expected[["unit", "revision"]], on=["unit", "revision"])
    chosen = of_one_age(choose(asked, as_of, source.config.vintage), asked, units)
    found = coverage(expected[["unit", "start", "period"]], chosen)
    kept = chosen[chosen["unit"].isin(found.of_state("there"))]
    kept = kept.assign(bucket=starts_of(kept["start"], period))
    snapshots = rows[rows["by"].isin(CUMULATIVE)]
    return Observed(source, kept, chosen, snapshots, found, version)


def of_one_age(chosen: pd.DataFrame, asked: pd.DataFrame, units: Sequence[Unit]) -> pd.DataFrame:
    """Counts whose total was first counted at another time, brought to the total's age.

    A technology that is looked for only now has counts of today for a window whose total was counted long ago, when
    more was there. Both were counted again together: the ratio of the two totals is what time did to such counts.
    """
    total_of = {one.id: one.total for one in units if one.total}
    counts = chosen[chosen["unit"].isin(list(total_of)) & (chosen["by"] != ACCOUNT)]
    if counts.empty:
        return chosen
    counts = counts.assign(total=counts["unit"].map(total_of), place=counts.index).sort_values("observed_at")
    totals = asked.loc[asked["by"] == TOTAL, ["unit", "observed_at", "value"]].sort_values("observed_at")
    totals = totals.rename(columns={"unit": "total", "value": "now"})
    beside = pd.merge_asof(counts, totals, on="observed_at", by="total", direction="nearest")
    beside["then"] = beside["total"].map(chosen[chosen["by"] == TOTAL].set_index("unit")["value"])
    scaled = (beside["value"] * beside["then"] / beside["now"].where(beside["now"] > 0)).round()
    found = chosen.copy()
    found.loc[beside["place"], "value"] = scaled.fillna(beside["value"]).astype("int64").to_numpy()
    return found


def volume(observed: Observed) -> pd.Series:
    """Everything that was counted in the declared measures, per period: the mean of the units that are there."""
    measures = {column.measure for column in observed.source.config.columns.values()}
    rows = observed.rows[(observed.rows["by"] == TOTAL) & observed.rows["measure"].isin(measures)]
    by_unit = rows.groupby(["bucket", "unit"])["value"].sum()
    return pd.Series(by_unit.groupby("bucket").mean())


def complete(periods: pd.Series, as_of: datetime, period: Period) -> pd.Series:
    """Whether each period (its start, without a zone) had ended at a time."""
    return periods + offset(period) <= pd.Timestamp(as_of).tz_convert(None)


def counted_panel(
    observed: Observed, technologies: Sequence[Technology], problem: Problem, min_coverage: float
) -> pd.DataFrame:
    """The source's declared columns for every technology and complete period.

    Returns
    -------
    Columns: entity and time as the problem names them, then the declared ones, as float64. Empty where the source
    has no name for the technology, or where less than ``min_coverage`` of the period was observed; zero where it was
    observed, and not found.
    """
    missing = set(observed.coverage.missing_periods(min_coverage))
    periods = pd.DatetimeIndex([one for one in observed.periods if one not in missing], name=problem.time)
    columns = {
        name: _column(observed, column, technologies, periods)
        for name, column in observed.source.config.columns.items()
    }
    everything = pd.MultiIndex.from_product(
        [[one.name for one in technologies], observed.periods], names=[problem.entity, problem.time]
    )
    frame = pd.DataFrame(columns).reindex(everything)
    return frame.astype("float64").reset_index()


def _column(
    observed: Observed, column: CountColumn, technologies: Sequence[Technology], periods: pd.DatetimeIndex
) -> pd.Series:
    """One number per (technology, period)."""
    rows = observed.rows[observed.rows["measure"] == column.measure]
    counted = rows.groupby(["by", "subject", "bucket"])["value"].sum()
    values = {
        one.name: found.reindex(periods, fill_value=0)
        for one in technologies
        if (found := _of_technology(counted, observed.source.names(one, column.by), column.by)) is not None
    }
    if not values:
        return pd.Series(dtype="float64", index=pd.MultiIndex.from_arrays([[], []]))
    table = pd.DataFrame(values).astype("float64")
    if column.show == "share":
        total = rows[rows["by"] == TOTAL].groupby("bucket")["value"].sum().reindex(periods)
        table = table.div(total.where(total > 0), axis=0)
    return pd.Series(table.T.stack())


def _of_technology(counted: pd.Series, names: Sequence[str], by: str) -> pd.Series | None:
    """Sum over a technology's names per period; ``None`` where it has none."""
    if not names:
        return None
    groups = GROUPS.get(by, (by,))
    for group in groups:
        found = [counted.loc[(group, name)] for name in names if (group, name) in counted.index]
        if found:
            return pd.Series(pd.concat(found).groupby(level=0).sum())
    return pd.Series(dtype="int64", index=pd.DatetimeIndex([]))


def join(
    frames: Sequence[pd.DataFrame], technologies: Sequence[Technology], problem: Problem
) -> pd.DataFrame:
    """All sources side by side, with the kind of each technology, from the period in which one of them first saw it."""
    keys = problem.keys
    whole = frames[0]
    for frame in frames[1:]:
        whole = whole.merge(frame, on=keys, how="outer")
    if technologies and KIND not in whole.columns:
        kinds = {one.name: one.kind for one in technologies}
        whole.insert(1, KIND, whole[problem.entity].map(kinds))
    if problem.time:
        whole = whole.sort_values(keys, kind="stable", ignore_index=True)
    if not technologies:
        return whole
    numbers = whole.drop(columns=[*keys, KIND]).select_dtypes("number")
    seen = (numbers.fillna(0) != 0).any(axis=1).groupby(whole[problem.entity]).cummax()
    return whole[seen].reset_index(drop=True)
