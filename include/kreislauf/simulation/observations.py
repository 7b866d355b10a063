"""What can be counted of a world: whole numbers per technology and quarter, the same whoever counts them.

The sources that are served (:mod:`~include.kreislauf.simulation.server`) and the panel are both made from these
numbers, so that whoever collects from the sources has to arrive at the panel.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from include.kreislauf.simulation import noise
from include.kreislauf.simulation.technologies import Floats, World

Ints = NDArray[np.int64]

LANGUAGE = "language"
MONTHS = 3
"""Months of a quarter; one hour of GitHub's events is looked at in each."""

_STREAM, _STREAM_SETTLED = 4, 6
# Rounded from the real panel. Its languages make seven eighths of all pull requests, its tags four fifths of
# all questions; an advertisement names two of its technologies on average, so those shares sum to two.
_LANGUAGE_SHARE, _TAG_SHARE, _MENTIONS_PER_AD = 0.88, 0.8, 2.0
_QUESTIONS = ((0, 280_000), (12, 580_000), (24, 540_000), (44, 355_000))
_ADS = ((0, 600), (8, 760), (17, 2000), (28, 2500), (44, 2400))
# No technology is in every question or advertisement, however small the world.
_MOST = 0.9
# Standard deviation of the log of the constant factor by which a source over- or understates a technology.
_BIAS = 0.3
# What all of GitHub shows in a quarter, which sets how noisy its counts are, and the part of it that lies in the
# three hours: large enough for rounding to stay below that noise, small enough to be made and read in no time.
_PULL_REQUESTS, _SAMPLED_PULL_REQUESTS = 300_000, 6_000
_STARS, _STARS_PER_SAMPLED = 60_000, 10
# Questions are deleted later: a first count is that much higher than the settled one, and not quite evenly.
_FIRST_OVER_SETTLED, _SETTLED_NOISE = (1.2, 1.46), 0.005


@dataclass(frozen=True, eq=False)
class Observations:
    """Counts of a world; all tables are (technology x quarter) in the world's order.

    Parameters
    ----------
    pull_requests: opened in the quarter's three sampled hours, languages only.
    other_pull_requests: (:data:`noise.LANGUAGES` x quarter) the same for languages that are no technology.
    stars: new ones of the technology's repository in the three hours, all kinds but languages.
    questions, questions_total: asked, with the technology's tag and altogether, as first counted.
    settled, settled_total: what is left of them half a year after the quarter.
    jobs, ads: advertisements that name the technology, and all of them.
    """

    world: World
    pull_requests: Ints
    other_pull_requests: Ints
    stars: Ints
    questions: Ints
    questions_total: Ints
    settled: Ints
    settled_total: Ints
    jobs: Ints
    ads: Ints


def observe(world: World) -> Observations:
    """Count a world; equal worlds give equal counts."""
    rng = np.random.default_rng([world.seed, _STREAM])
    language = np.array([kind == LANGUAGE for kind in world.kinds])[:, None]
    pull_requests, others = _pull_requests(rng, np.where(language, _seen(rng, world), 0.0))
    stars = np.where(language, 0, rng.poisson(_STARS * _seen(rng, world, level=2.0)))
    totals = _between(_QUESTIONS, world).astype(np.int64)
    questions = rng.binomial(totals, np.minimum(_TAG_SHARE * _seen(rng, world), _MOST))
    ads = _between(_ADS, world) * rng.lognormal(0.0, 0.08, len(world.quarters))
    whole_ads = np.maximum(ads.round(), 1.0).astype(np.int64)
    jobs = rng.binomial(whole_ads, np.minimum(_MENTIONS_PER_AD * _seen(rng, world), _MOST))
    settled, settled_total = _settle(world, questions, totals)
    return Observations(
        world=world, pull_requests=pull_requests, other_pull_requests=others,
        stars=np.maximum(np.rint(stars / _STARS_PER_SAMPLED).astype(np.int64), stars > 0),
        questions=questions, questions_total=totals, settled=settled, settled_total=settled_total,
        jobs=jobs, ads=whole_ads,
    )  # fmt: skip


def taken(count: Ints | int, of: Ints | int, first: Ints | int, phase: Ints | int) -> Ints:
    """How many of the ``first`` of ``of`` things have what ``count`` of all have, spread evenly over them.

    It grows by 0 or 1 from one thing to the next, and reaches ``count`` at the last. ``phase`` (0 to ``of`` - 1)
    shifts the pattern, so that not all properties fall on the same things.
    """
    return np.asarray((np.asarray(first, dtype=np.int64) * count + phase) // of)


def month_of_quarter(counts: Ints, month: int) -> Ints:
    """The part of a quarter's counts (technology ...) that lies in its month 0, 1 or 2."""
    phase = (np.arange(len(counts)) % MONTHS).reshape(-1, *(1,) * (counts.ndim - 1))
    return taken(counts, MONTHS, month + 1, phase) - taken(counts, MONTHS, month, phase)


def largest_remainder(weights: Floats, total: int) -> Ints:
    """Whole numbers in proportion to weights (thing x case), that sum to ``total`` in each case."""
    exact = total * weights / weights.sum(axis=0)
    whole = np.floor(exact).astype(np.int64)
    order = np.argsort(np.argsort(whole - exact, axis=0, kind="stable"), axis=0, kind="stable")
    return np.asarray(whole + (order < total - whole.sum(axis=0)))


def _seen(rng: np.random.Generator, world: World, level: float = 1.0) -> Floats:
    """Adoption (technology x quarter) as one source sees it: biased per technology, noisy per quarter."""
    bias = rng.lognormal(0.0, _BIAS, (len(world.names), 1))
    shocks = rng.lognormal(0.0, level * world.parameters.source_noise, world.adoption.shape)
    return np.asarray(world.adoption * bias * shocks, dtype=np.float64)


def _pull_requests(rng: np.random.Generator, weights: Floats) -> tuple[Ints, Ints]:
    """Pull requests of the three hours, of the technologies and of languages that are none."""
    shares = _LANGUAGE_SHARE * weights / np.maximum(weights.sum(axis=0), 1e-12)
    with_rest = np.vstack([shares, 1 - shares.sum(axis=0)])
    counts = rng.multinomial(_PULL_REQUESTS, with_rest.T).T
    sampled = largest_remainder(counts.astype(np.float64), _SAMPLED_PULL_REQUESTS)
    # What was counted at all is seen in the sample too: a source does not forget a language for a quarter.
    sampled[:-1] = np.maximum(sampled[:-1], counts[:-1] > 0)
    rest = np.array([share for _, share in noise.LANGUAGES])[:, None]
    others = [
        largest_remainder(rest, int(_SAMPLED_PULL_REQUESTS - total)) for total in sampled[:-1].sum(axis=0)
    ]
    return sampled[:-1], np.hstack(others)


def _settle(world: World, questions: Ints, totals: Ints) -> tuple[Ints, Ints]:
    rng = np.random.default_rng([world.seed, _STREAM_SETTLED])
    factor = rng.uniform(*_FIRST_OVER_SETTLED, totals.shape)
    settled_total = np.rint(totals / factor).astype(np.int64)
    settled = np.rint(questions / factor * rng.lognormal(0.0, _SETTLED_NOISE, questions.shape))
    return np.minimum(settled.astype(np.int64), settled_total), settled_total


def _between(knots: tuple[tuple[int, int], ...], world: World) -> Floats:
    """Values of the real panel at some quarters since 2011, drawn out to all quarters of a world."""
    quarters, values = zip(*knots, strict=True)
    drawn = np.interp(np.arange(len(world.quarters)), quarters, values)
    return np.asarray(np.round(drawn), dtype=np.float64)
