"""Features and target of the technology radar, as pure functions of the raw panel and of ``as_of``.

A technology's *index* in a quarter is the mean of the logs of three shares, each normalised to sum to one over the
panel:

- GitHub: pull requests for languages, new stars of the main repository for everything else. The two cannot be
  compared with each other, so each is a share within its own group.
- Stack Overflow: questions. The panel's sum as denominator also takes out that they were counted in two ways.
- Job advertisements that name the technology. Here zero is an observation; elsewhere it means "not seen".

The *level* is that index, the *target* its change over the next :data:`HORIZON` quarters, in log points: 0.05 is about
5 %.

Time: the row of quarter q is available at the end of q. Features of (technology, q), and whether the row
exists, use quarters up to q only, so they do not depend on ``as_of``; the target of q is known at the end of
q + HORIZON. They do depend on which technologies the panel holds: shares of a wider panel are shares of more.
"""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd

from include.kreislauf.errors import PreparationError

REQUIRED: tuple[str, ...] = (
    "tech", "kind", "quarter_start", "gh_pull_requests_share", "gh_repo_new_stars", "so_share_first",
    "jobs_with_tech", "jobs_share",
)  # fmt: skip
"""Raw columns read. Languages need ``gh_pull_requests_share``, all other kinds ``gh_repo_new_stars``."""

HORIZON = 1
"""Quarters from a row to the end of its target; the contract says the same."""
SOURCES = ("github", "stack_overflow", "jobs")
SHAPES: tuple[str, ...] = (
    "change_1", "change_2", "change_4", "change_before", "change_same_season", "deviation_4", "deviation_8",
    "smoothed_3", "smoothed_12", "trend",
)  # fmt: skip
NUMERIC: tuple[str, ...] = (
    "level", "volatility", *SHAPES,
    *(f"{source}_{name}" for source in SOURCES for name in (*SHAPES, "gap")),
)  # fmt: skip
"""Finite in every row, in log points, of the index and of each source: changes over 1, 2 and 4 quarters, of the quarter
before, and of the same season a year ago; distance to the own mean of 4 and 8 quarters (``deviation``) and to the
exponential mean with weights 0.3 and 0.12 (``smoothed``); exponential mean of weight 0.5 over that of 0.12 (``trend``);
distance of a source to the index (``gap``); standard deviation of the quarterly changes over two years
(``volatility``). Age is left out on purpose: in a short history it is calendar time in disguise, and cost 2 to 6 points
of MAE gain in 2016."""

CATEGORICAL: tuple[str, ...] = ("kind", "season")
COLUMNS: tuple[str, ...] = ("entity", "period", *NUMERIC, *CATEGORICAL, "target")

MIN_QUARTERS = 5
"""Quarters with all three sources before a technology qualifies: what ``change_4`` needs."""
MIN_JOB_MENTIONS = 5.0
"""Advertisements a quarter, mean of a year, before a technology qualifies: below, the share is noise."""
JOBS_FLOOR = 0.0005
"""Added to the share of advertisements before its log is taken: half a mention in a thousand."""
LANGUAGE = "language"


def build(raw: pd.DataFrame, as_of: date) -> pd.DataFrame:
    """Feature rows of every qualified technology and quarter that was complete at ``as_of``.

    A technology qualifies from the first quarter in which it has been seen by all three sources for
    :data:`MIN_QUARTERS` quarters and in enough advertisements, and stays qualified.

    Parameters
    ----------
    raw: the panel, one row per technology and quarter, any order; see :data:`REQUIRED`. Of rows that repeat a
        key the one with the larger counts is taken. Rows after ``as_of`` are ignored.
    as_of: what may be known. 2016-01-01 sees quarters up to 2015Q4, and targets up to 2015Q3.

    Returns
    -------
    One row per (entity, period), sorted, with :data:`COLUMNS`. ``level`` is one of :data:`NUMERIC`.
    ``target`` is NaN where it was not known at ``as_of`` or where the next quarter is missing. Empty if no
    technology qualifies.

    Raises
    ------
    PreparationError: a required column is missing, or a quarter cannot be read as a date.
    """
    visible = _visible(raw, as_of)
    shares = _shares(visible)
    level = _level(shares)
    mentions = _wide(visible, visible["jobs_with_tech"])
    tables = {**_features(level, shares), "target": _target(level), "kind": _wide(visible, visible["kind"])}
    rows = _long({**tables, "qualified": _qualified(level, mentions)})
    rows = rows[rows["qualified"].eq(True)].dropna(subset=[*NUMERIC, "kind"])
    return rows[list(COLUMNS)].astype({"kind": "str"}).reset_index(drop=True)


def outcomes(raw: pd.DataFrame, as_of: date) -> pd.DataFrame:
    """What really happened to *every* technology that all three sources saw in two successive quarters.

    Wider than the targets of :func:`build`: it also covers technologies that do not qualify yet, so that a
    business metric counts what the model does not know.

    Returns
    -------
    Columns entity, period, outcome (log points over the quarter after ``period``), sorted.

    Raises
    ------
    PreparationError: as :func:`build`.
    """
    rows = _long({"outcome": _target(_level(_shares(_visible(raw, as_of))))})
    return rows.dropna(subset="outcome")[["entity", "period", "outcome"]].reset_index(drop=True)


def _visible(raw: pd.DataFrame, as_of: date) -> pd.DataFrame:
    """Required columns of complete quarters, one row per key; ``quarter`` counts quarters since 1970."""
    if missing := [name for name in REQUIRED if name not in raw.columns]:
        raise PreparationError(
            f"the raw data lack {', '.join(missing)}", where="technology_radar panel", allowed=REQUIRED,
            next_step="collect again with these columns, or change the contract's sources",
        )  # fmt: skip
    rows = raw[list(REQUIRED)].copy()
    try:
        starts = pd.to_datetime(rows["quarter_start"])
    except (ValueError, TypeError) as error:
        raise PreparationError(f"a quarter is not a date: {error}", where="quarter_start") from error
    rows["quarter"] = starts.dt.year * 4 + starts.dt.quarter - 1 - 1970 * 4
    complete = (rows["quarter"] < _quarter(as_of)) & rows["tech"].notna()
    numbers = list(REQUIRED[3:])
    rows[numbers] = rows[numbers].astype("float64")
    rows["tech"], rows["kind"] = rows["tech"].astype("str"), rows["kind"].astype("str")
    rows = rows[complete].sort_values(["tech", "quarter", *reversed(numbers), "kind"], na_position="first")
    return rows.drop_duplicates(["tech", "quarter"], keep="last").astype({"quarter": "int64"})


def _quarter(day: date) -> int:
    return (day.year - 1970) * 4 + (day.month - 1) // 3


def _wide(visible: pd.DataFrame, values: pd.Series) -> pd.DataFrame:
    """Quarters without gaps as rows, technologies as columns, so that a shift by one row is one quarter."""
    table = values.set_axis(pd.MultiIndex.from_frame(visible[["quarter", "tech"]])).unstack("tech")
    if table.empty:
        return table
    return table.reindex(range(table.index.min(), table.index.max() + 1)).rename_axis("quarter")


def _shares(visible: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Per source the share of each technology in the panel's quarter; ``jobs_floored`` is never zero."""
    language = visible["kind"].eq(LANGUAGE)
    quarter = visible["quarter"]
    github = visible["gh_pull_requests_share"].where(language, visible["gh_repo_new_stars"])
    github = github.where(github > 0)
    questions = visible["so_share_first"].where(visible["so_share_first"] > 0)
    jobs = visible["jobs_share"]
    all_jobs = jobs.groupby(quarter).transform("sum")
    shares = {
        "github": github / github.groupby([language, quarter]).transform("sum"),
        "stack_overflow": questions / questions.groupby(quarter).transform("sum"),
        "jobs": jobs / all_jobs,
        "jobs_floored": (jobs + JOBS_FLOOR) / all_jobs,
    }
    return {name: _wide(visible, values.replace(np.inf, np.nan)) for name, values in shares.items()}


def _level(shares: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """Mean of the logs of the three shares; NaN where one source has not seen the technology."""
    return (_log(shares["github"]) + _log(shares["stack_overflow"]) + _log(shares["jobs_floored"])) / len(
        SOURCES
    )


def _log(table: pd.DataFrame) -> pd.DataFrame:
    """Log of shares; NaN where there is none."""
    return pd.DataFrame(np.log(table.where(table > 0)), index=table.index, columns=table.columns)


def _target(level: pd.DataFrame) -> pd.DataFrame:
    return level.shift(-HORIZON) - level


def _features(level: pd.DataFrame, shares: dict[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    features = {"level": level, "volatility": level.diff().rolling(8, min_periods=4).std(), **_shapes(level)}
    for source in SOURCES:
        log_share = _log(shares["jobs_floored" if source == "jobs" else source])
        features |= {f"{source}_{name}": table for name, table in _shapes(log_share).items()}
        features[f"{source}_gap"] = log_share - level
    return features


def _shapes(table: pd.DataFrame) -> dict[str, pd.DataFrame]:
    change = table.diff()
    return {
        "change_1": change, "change_2": table.diff(2), "change_4": table.diff(4), "change_before": change.shift(1),
        "change_same_season": change.shift(3),
        "deviation_4": table - table.rolling(4).mean(), "deviation_8": table - table.rolling(8, min_periods=4).mean(),
        "smoothed_3": table - _smoothed(table, 0.3), "smoothed_12": table - _smoothed(table, 0.12),
        "trend": _smoothed(table, 0.5) - _smoothed(table, 0.12),
    }  # fmt: skip


def _smoothed(table: pd.DataFrame, weight: float) -> pd.DataFrame:
    return table.ewm(alpha=weight, ignore_na=True).mean()


def _qualified(level: pd.DataFrame, mentions: pd.DataFrame) -> pd.DataFrame:
    """True from the first quarter in which both conditions hold; looks only backwards."""
    seen = level.notna().cumsum() >= MIN_QUARTERS
    enough = mentions.rolling(4, min_periods=1).mean() >= MIN_JOB_MENTIONS
    return (seen & enough).cummax()


def _long(tables: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """Sorted rows: entity, period (start of the quarter), season (``Q1`` to ``Q4``), one column per table."""
    rows = pd.DataFrame({name: table.stack() for name, table in tables.items()})
    rows = rows.rename_axis(["quarter", "entity"]).reset_index()
    quarter = rows["quarter"].astype("int64")
    rows["period"] = (3 * quarter).to_numpy().astype("datetime64[M]").astype("datetime64[us]")
    rows["season"] = "Q" + (quarter % 4 + 1).astype("str")
    return rows.sort_values(["entity", "period"], ignore_index=True)
