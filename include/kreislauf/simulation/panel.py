"""The panel of a world: what GitHub, Stack Overflow and job advertisements show of it, as one table.

Columns, magnitudes and noise follow the real panel of 2011 to 2021, so that a use case treats both alike:
shares are counts out of a limited number, and each source sees each technology with a constant bias. Whoever collects
from the served sources (:mod:`~include.kreislauf.simulation.server`) arrives at the same table.
"""

from __future__ import annotations

import os
import tempfile
from datetime import datetime
from pathlib import Path

import numpy as np
import pandas as pd

from include.kreislauf.periods import shift
from include.kreislauf.simulation.hours import sampled_months
from include.kreislauf.simulation.observations import (
    LANGUAGE,
    MONTHS,
    Ints,
    Observations,
    month_of_quarter,
    observe,
)
from include.kreislauf.simulation.questions import SETTLES_AFTER_QUARTERS
from include.kreislauf.simulation.technologies import Floats, World

COLUMNS = (
    "tech", "kind", "quarter_start", "gh_pull_requests_share", "gh_repo_new_stars", "so_questions_first",
    "so_share_first", "jobs_with_tech", "jobs_ads", "jobs_share",
)  # fmt: skip
PANEL_PATH = Path("panel") / "tech_quarter_panel.csv"
EMERGING = "emerging"
"""Kind of a new technology that is no language: its sources do not say what it is for."""


def observed_panel(world: World, first_collection: datetime | None = None) -> pd.DataFrame:
    """The panel of a world: one row per technology and quarter from its first quarter on, sorted by both.

    Parameters
    ----------
    first_collection: when somebody began to collect, who has collected at the end of every quarter since. Questions
        of quarters that had settled by then are known only as settled. None: somebody was there from the start.

    Returns
    -------
    Frame with ``COLUMNS``: ``gh_pull_requests_share`` (share of all pull requests in the sampled hours, languages
    only), ``gh_repo_new_stars`` (count in the sampled hours, all other kinds only), ``so_questions_first``,
    ``jobs_with_tech`` (counts), ``jobs_ads`` (advertisements of the quarter), ``so_share_first`` and ``jobs_share``
    (shares of all questions and of all advertisements).
    """
    seen = observe(world)
    language = np.array([kind == LANGUAGE for kind in world.kinds])[:, None]
    pull_requests = _sampled(world, seen.pull_requests)
    all_pull_requests = pull_requests.sum(axis=0) + _sampled(world, seen.other_pull_requests).sum(axis=0)
    questions, totals = _first_counted(seen, first_collection)
    columns = {
        "gh_pull_requests_share": np.where(language, pull_requests / all_pull_requests, np.nan),
        "gh_repo_new_stars": np.where(language, np.nan, _sampled(world, seen.stars)),
        "so_questions_first": questions,
        "so_share_first": questions / totals,
        "jobs_with_tech": seen.jobs,
        "jobs_ads": np.broadcast_to(seen.ads, seen.jobs.shape),
        "jobs_share": seen.jobs / seen.ads,
    }
    return _long(world, columns)


def write_panel(world: World, folder: Path) -> Path:
    """Write a world's panel to ``folder/panel/tech_quarter_panel.csv`` and return the file's path.

    A reader sees the old file or the new one, never a part.
    """
    target = folder / PANEL_PATH
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.", suffix=".tmp")
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="") as file:
            observed_panel(world).to_csv(file, index=False, date_format="%Y-%m-%d")
        # mkstemp keeps the file to its owner; a panel is read by other users, such as a container's.
        Path(name).chmod(0o644)
        Path(name).replace(target)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    return target


def _sampled(world: World, counts: Ints) -> Ints:
    """Counts (thing x quarter) of the sampled hours whose files exist: an outage takes a third of a quarter."""
    there = np.array([sampled_months(quarter) for quarter in world.quarters]).T
    return np.asarray(sum(month_of_quarter(counts, month) * there[month] for month in range(MONTHS)))


def _first_counted(seen: Observations, first_collection: datetime | None) -> tuple[Ints, Ints]:
    """Questions per technology and altogether, as they were when they were first counted."""
    if first_collection is None:
        return seen.questions, seen.questions_total
    late = [
        shift(quarter, "quarter", 1 + SETTLES_AFTER_QUARTERS) <= first_collection
        for quarter in seen.world.quarters
    ]
    return (
        np.where(late, seen.settled, seen.questions),
        np.where(late, seen.settled_total, seen.questions_total),
    )


def _long(world: World, columns: dict[str, Floats]) -> pd.DataFrame:
    technology, quarter = np.nonzero(world.adoption > 0)
    starts = pd.DatetimeIndex(world.quarters).tz_convert(None)
    keys = {
        "tech": np.array(world.names, dtype=object)[technology],
        "kind": np.array(_known_kinds(world), dtype=object)[technology],
        "quarter_start": starts[quarter],
    }
    values = {name: table[technology, quarter] for name, table in columns.items()}
    return pd.DataFrame({**keys, **values})[list(COLUMNS)]


def _known_kinds(world: World) -> list[str]:
    return [
        EMERGING if name in world.emerging and kind != LANGUAGE else kind
        for name, kind in zip(world.names, world.kinds, strict=True)
    ]
