"""Quality gates: what must hold before a raw-data version exists.

Freshness, completeness and volume are rules on the sources' accounts; ranges are a pandera schema on the panel. Damage
of single files (broken lines, truncated archives) has already stopped the reading of that file.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Literal

import numpy as np
import pandas as pd
import pandera.pandas as pa
from pandera.errors import SchemaErrors
from pydantic import JsonValue

from include.kreislauf.collection.counts import ACCOUNT, WARNING
from include.kreislauf.collection.panel import Observed, volume
from include.kreislauf.errors import SourceError
from include.kreislauf.handovers import Frozen
from include.kreislauf.periods import between
from include.kreislauf.requirements.contract import Contract
from include.kreislauf.requirements.sources import Counted, Rows

HISTORY_PERIODS = 8
VOLUME_PERIODS = 4
SPARSE = 0.5
"""Share of missing values from which a delivered column is told of."""
SHOWN = 10


class Finding(Frozen):
    """What one rule found."""

    rule: Literal["completeness", "freshness", "range", "volume", "schema", "duplicates"]
    level: Literal["ok", "warning", "broken"]
    text: str
    allowed: str = ""
    next_step: str = ""

    def error(self) -> SourceError:
        """The rule's finding as the reason why the collection stopped."""
        return SourceError(self.text, where="quality", allowed=self.allowed, next_step=self.next_step)


def findings(
    frame: pd.DataFrame, observed: Sequence[Observed], contract: Contract, as_of: datetime
) -> list[Finding]:
    """What every rule found, broken ones first."""
    found: list[Finding] = []
    for source in observed:  # a source that gives nothing explains why there are few rows
        found += [*_missing_periods(source, contract), *_volume(source, contract), *_schema(source)]
    found += _completeness(frame, contract, as_of)
    if not any(one.level == "broken" for one in found):
        found += [
            *_freshness(frame, contract, as_of),
            *_empty_columns(frame, contract),
            *_sparse_columns(frame, contract),
            *_repeated_rows(frame, contract),
            *_ranges(frame, contract),
        ]
    return sorted(found, key=lambda one: ("broken", "warning", "ok").index(one.level))


def _completeness(frame: pd.DataFrame, contract: Contract, as_of: datetime) -> Iterable[Finding]:
    quality, entity = contract.quality, contract.problem.entity
    entities = frame[entity].nunique() if entity else None
    enough = len(frame) >= quality.min_rows and (entities is None or entities >= quality.min_entities)
    found, least = "", ""
    if entities is not None:
        found, least = f" of {entities} entities", f" of {quality.min_entities} entities"
    yield Finding(
        rule="completeness", level="ok" if enough else "broken",
        text=f"{len(frame)} rows{found} are known as of {as_of:%Y-%m-%d}",
        allowed=f"at least {quality.min_rows} rows{least}",
        next_step="add sources or lower quality.min_rows or quality.min_entities in the contract",
    )  # fmt: skip


def _freshness(frame: pd.DataFrame, contract: Contract, as_of: datetime) -> Iterable[Finding]:
    quality, problem = contract.quality, contract.problem
    if problem.time is None:
        return
    newest = frame[problem.time].max().tz_localize("UTC").to_pydatetime()
    age = between(newest, as_of, problem.calendar)
    yield Finding(
        rule="freshness", level="ok" if age <= quality.max_age_periods else "broken",
        text=f"the newest row is of {newest:%Y-%m-%d}, {age} {problem.period}s before {as_of:%Y-%m-%d}",
        allowed=f"at most {quality.max_age_periods} {problem.period}s",
        next_step="have the source delivered, or raise quality.max_age_periods in the contract",
    )  # fmt: skip


def _empty_columns(frame: pd.DataFrame, contract: Contract) -> Iterable[Finding]:
    """A column in which nothing stands was asked for by names that the catalogue does not have, or finds nothing."""
    for source in (one for one in contract.sources if isinstance(one, Counted)):
        for name in source.columns:
            if frame[name].isna().all():
                yield Finding(
                    rule="completeness", level="broken", text=f"{source.name}: column {name} is empty in every row",
                    allowed="a number for one technology at least",
                    next_step=f"give technologies names for it in technologies.yaml ({source.columns[name].by})",
                )  # fmt: skip


def _sparse_columns(frame: pd.DataFrame, contract: Contract) -> Iterable[Finding]:
    """Delivered columns in which next to nothing stands: a model can learn little from them."""
    names = [name for source in contract.sources if isinstance(source, Rows) for name in source.columns]
    missing = frame[names].isna().mean().sort_values(ascending=False, kind="stable")
    missing = missing[missing >= SPARSE]
    if len(missing):
        shown = ", ".join(f"{name} {share:.1%}" for name, share in missing.head(SHOWN).items())
        more = f" and {len(missing) - SHOWN} more" if len(missing) > SHOWN else ""
        yield Finding(
            rule="completeness", level="warning", text=f"values are missing in most rows: {shown}{more}",
            allowed=f"less than {SPARSE:.0%} missing in a column", next_step="look at what the source delivers",
        )  # fmt: skip


def _repeated_rows(frame: pd.DataFrame, contract: Contract) -> Iterable[Finding]:
    """Rows that repeat another one in everything: meant, or delivered twice; both sides of a split may know them."""
    if contract.problem.unique or not (repeated := int(frame.duplicated().sum())):
        return
    yield Finding(
        rule="duplicates", level="warning", text=f"{repeated} of {len(frame)} rows repeat another one in every column",
        next_step="if they were delivered twice, correct the source; if rows are about something, name it as "
        "problem.entity",
    )  # fmt: skip


def _ranges(frame: pd.DataFrame, contract: Contract) -> Iterable[Finding]:
    """Counts are finite and not negative, shares lie between 0 and 1, each key is there once."""
    columns = {
        name: pa.Column(float, _checks(column.show), nullable=True)
        for source in contract.sources
        if isinstance(source, Counted)
        for name, column in source.columns.items()
    }
    try:
        pa.DataFrameSchema(columns, unique=contract.problem.unique or None).validate(frame, lazy=True)
    except SchemaErrors as error:
        case = error.failure_cases.head(1).to_dict("records")[0]
        yield Finding(
            rule="range", level="broken",
            text=f"{case['column']} fails {case['check']}, found {case['failure_case']!r}; {len(error.failure_cases)} faults",
            next_step="look at the source's last files",
        )  # fmt: skip
    else:
        if columns:
            yield Finding(rule="range", level="ok", text=f"{len(columns)} counted columns lie in their range")


def _checks(show: str) -> list[pa.Check]:
    low_and_high = [pa.Check.ge(0), pa.Check(np.isfinite, name="finite")]
    return [*low_and_high, pa.Check.le(1)] if show == "share" else low_and_high


def _missing_periods(observed: Observed, contract: Contract) -> Iterable[Finding]:
    quality, name = contract.quality, observed.source.config.name
    recent = set(observed.periods[-HISTORY_PERIODS:])
    missing = [one for one in observed.coverage.missing_periods(quality.min_coverage) if one in recent]
    too_many = len(missing) > quality.max_missing_periods or len(missing) == len(recent)
    shown = ", ".join(f"{one:%Y-%m}" for one in missing)
    text = (
        f"{name}: {len(missing)} of the last {len(recent)} {contract.problem.period}s are missing ({shown})"
    )
    yield Finding(
        rule="completeness", level="broken" if too_many else "warning" if missing else "ok",
        text=text + _why(observed) if missing else f"{name}: no {contract.problem.period} is missing",
        allowed=f"one at least that is there, {quality.max_missing_periods} at most that are not: less than "
        f"{quality.min_coverage:.0%} of their files",
        next_step="have the files delivered, correct the source's url, ask for a later time, or raise "
        "quality.max_missing_periods in the contract",
    )  # fmt: skip


def _why(observed: Observed) -> str:
    """Why the newest of the missing units is missing."""
    units = observed.coverage.units
    known = units[units["why"] != ""]
    reasons = [f"{known['unit'].iloc[-1]}: {known['why'].iloc[-1]}"] if len(known) else []
    return "".join(f"; {one}" for one in (*reasons, observed.later) if one)


def _volume(observed: Observed, contract: Contract) -> Iterable[Finding]:
    """What was counted per unit in the newest period, against the periods before."""
    name, most = observed.source.config.name, contract.quality.max_volume_change
    counted = volume(observed)
    if len(counted) <= VOLUME_PERIODS or not (usual := counted.iloc[-1 - VOLUME_PERIODS : -1].median()):
        return
    change = float(counted.iloc[-1] / usual)
    fits = 1 / most <= change <= most
    yield Finding(
        rule="volume", level="ok" if fits else "broken",
        text=f"{name}: {change:.2f} times the usual volume in the {contract.problem.period} of {counted.index[-1]:%Y-%m-%d}",
        allowed=f"{1 / most:.2f} to {most:g} times the median of the {VOLUME_PERIODS} before",
        next_step="look at what the source delivered; if it is right, raise quality.max_volume_change",
    )  # fmt: skip


def _schema(observed: Observed) -> Iterable[Finding]:
    account = observed.account
    texts = account.loc[(account["by"] == ACCOUNT) & (account["measure"] == WARNING), "subject"]
    for text, number in texts.value_counts().head(5).items():
        yield Finding(
            rule="schema", level="warning", text=f"{observed.source.config.name}: {text} ({number} files)"
        )


def as_json(found: Sequence[Finding]) -> list[JsonValue]:
    """What goes into the handover: all that is not in order."""
    return [f"{one.level}: {one.text}" for one in found if one.level != "ok"]
