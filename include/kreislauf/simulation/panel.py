"""The simulated source: what GitHub, Stack Overflow and job advertisements show of a world, with their noise.

Columns, magnitudes and noise follow the real panel of 2011 to 2021, so that a use case treats both alike:
shares are counts out of a limited number, and each source sees each technology with a constant bias.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

from include.kreislauf.simulation.technologies import Floats, World

COLUMNS = (
    "tech", "kind", "quarter_start", "gh_pull_requests_share", "gh_repo_new_stars", "so_questions_first",
    "so_share_first", "jobs_with_tech", "jobs_ads", "jobs_share",
)  # fmt: skip
PANEL_PATH = Path("panel") / "tech_quarter_panel.csv"

LANGUAGE = "language"
_STREAM = 4
# Rounded from the real panel. Its languages make seven eighths of all pull requests, its tags four fifths of
# all questions; an advertisement names two of its technologies on average, so those shares sum to two.
_LANGUAGE_SHARE, _TAG_SHARE, _MENTIONS_PER_AD = 0.88, 0.8, 2.0
_PULL_REQUESTS, _STARS = 300_000, 60_000
_QUESTIONS = ((0, 280_000), (12, 580_000), (24, 540_000), (44, 355_000))
_ADS = ((0, 600), (8, 760), (17, 2000), (28, 2500), (44, 2400))
# No technology is in every question or advertisement, however small the world.
_MOST = 0.9
# Standard deviation of the log of the constant factor by which a source over- or understates a technology.
_BIAS = 0.3


def observed_panel(world: World) -> pd.DataFrame:
    """The panel of a world: one row per technology and quarter from its first quarter on, sorted by both.

    Returns
    -------
    Frame with ``COLUMNS``: ``gh_pull_requests_share`` (share of all pull requests, languages only),
    ``gh_repo_new_stars`` (count, all other kinds only), ``so_questions_first``, ``jobs_with_tech`` (counts),
    ``jobs_ads`` (advertisements of the quarter), ``so_share_first`` and ``jobs_share`` (shares of all
    questions and of all advertisements).
    """
    rng = np.random.default_rng([world.seed, _STREAM])
    language = np.array([kind == LANGUAGE for kind in world.kinds])[:, None]
    pull_requests = _pull_requests(rng, np.where(language, _seen(rng, world), 0.0))
    stars = rng.poisson(_STARS * _seen(rng, world, noise=2.0))
    totals = _between(_QUESTIONS, world).astype(np.int64)
    questions = rng.binomial(totals, np.minimum(_TAG_SHARE * _seen(rng, world), _MOST))
    ads = _between(_ADS, world) * rng.lognormal(0.0, 0.08, len(world.quarters))
    jobs_ads = np.maximum(ads.round(), 1.0).astype(np.int64)
    jobs = rng.binomial(jobs_ads, np.minimum(_MENTIONS_PER_AD * _seen(rng, world), _MOST))
    columns = {
        "gh_pull_requests_share": np.where(language, pull_requests, np.nan),
        "gh_repo_new_stars": np.where(language, np.nan, stars),
        "so_questions_first": questions,
        "so_share_first": questions / totals,
        "jobs_with_tech": jobs,
        "jobs_ads": np.broadcast_to(jobs_ads, jobs.shape),
        "jobs_share": jobs / jobs_ads,
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


def _seen(rng: np.random.Generator, world: World, noise: float = 1.0) -> Floats:
    """Adoption (technology x quarter) as one source sees it: biased per technology, noisy per quarter."""
    bias = rng.lognormal(0.0, _BIAS, (len(world.names), 1))
    shocks = rng.lognormal(0.0, noise * world.parameters.source_noise, world.adoption.shape)
    return np.asarray(world.adoption * bias * shocks, dtype=np.float64)


def _pull_requests(rng: np.random.Generator, weights: Floats) -> Floats:
    """Counted shares (technology x quarter) of all pull requests; the rest are languages not in the panel."""
    shares = _LANGUAGE_SHARE * weights / np.maximum(weights.sum(axis=0), 1e-12)
    with_rest = np.vstack([shares, 1 - shares.sum(axis=0)])
    counts = rng.multinomial(_PULL_REQUESTS, with_rest.T).T
    return np.asarray(counts[:-1] / _PULL_REQUESTS, dtype=np.float64)


def _between(knots: tuple[tuple[int, int], ...], world: World) -> Floats:
    """Values of the real panel at some quarters since 2011, drawn out to all quarters of a world."""
    quarters, values = zip(*knots, strict=True)
    drawn = np.interp(np.arange(len(world.quarters)), quarters, values)
    return np.asarray(np.round(drawn), dtype=np.float64)


def _long(world: World, columns: dict[str, Floats]) -> pd.DataFrame:
    technology, quarter = np.nonzero(world.adoption > 0)
    starts = pd.DatetimeIndex(world.quarters).tz_convert(None)
    keys = {
        "tech": np.array(world.names, dtype=object)[technology],
        "kind": np.array(world.kinds, dtype=object)[technology],
        "quarter_start": starts[quarter],
    }
    values = {name: table[technology, quarter] for name, table in columns.items()}
    return pd.DataFrame({**keys, **values})[list(COLUMNS)]
