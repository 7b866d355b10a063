"""Part of ``make bench-monitoring``: false breaches and delays of the detector, on simulated histories.

Histories of 90 days in which a recommendation comes true with probability 0.80: stable ones, and ones in which that
falls to 0.70 after 30 days. False breaches are those of the whole watch with both its tests, which sees every outcome and
so looks more often than an hourly check. Beside the detector on the same histories:

- an oracle, the likelihood-ratio CUSUM that knows both levels, whose limit is set so that it gives as many false alarms;
- a binomial test at 1 % at every full hour over the last 14 days: what looking often does to a test made for one look.

Without a reference the watch sees the same at 24 outcomes a day, with a fall at half time (``without_reference``).

What is proven (at most ``WATCH.false_alarms`` in 90 days, for any distribution) stands beside what is measured.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import partial
from math import inf, log
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
from scipy.special import bdtr

from include.kreislauf.monitoring.watching import FALL_PART, Watch, WatchState
from include.kreislauf.statistics.comparisons import share_interval
from include.kreislauf.statistics.fall_detector import FallDetector

Floats = npt.NDArray[np.float64]
SEED = 6
RATES = (10, 24, 50, 200)
DAYS, CHANGE = 90.0, 30.0
STABLE, FALLEN = 0.80, 0.70
WATCH = Watch(FALLEN, STABLE, false_alarms=0.01, per_days=DAYS, confidence=0.95)
SETTING = FallDetector(STABLE, FALLEN, WATCH.false_alarms * FALL_PART, DAYS)
WITHIN, AT_RATE = 600, 24
LEARNS, HALF_TIME, LONGER = replace(WATCH, reference=None), 45.0, 1080
MOST = 30_000_000
"""Outcomes that stable histories of one rate may have together."""
WINDOW_HOURS, LEVEL = 14 * 24, 0.01
WORKERS = 2


WORST = ("false_breach_share", "delay_vs_oracle", "fixed_sample")


class Sized(Protocol):
    """How many histories to simulate: to count false breaches and delays in, and to calibrate the oracle with."""

    @property
    def histories(self) -> int: ...
    @property
    def calibration(self) -> int: ...


class Stable(NamedTuple):
    """What was seen of a stable history: an alarm, the oracle's highest statistic, a breach, a fixed test's rejection."""

    alarm: bool
    highest: float
    breach: bool = False
    rejected: bool = False


def detector(size: Sized) -> dict[str, Any]:
    """False breaches, detection and delays; the worst over all rates of outcomes, and ``rates`` one by one.

    All seeds derive from ``SEED``.
    """
    with ProcessPoolExecutor(WORKERS) as pool:
        rates = {str(rate): _rate(pool, rate, size) for rate in RATES}
        others = dict(pool.map(partial(_other, size=size), OTHERS))
        without = _without_reference(pool, size)
    return {
        **{key: max(found[key] for found in rates.values()) for key in WORST},
        "detected_share": rates[str(AT_RATE)]["detected_share"],
        "proven": {"false_alarms": WATCH.false_alarms, "of_which_falls": SETTING.false_alarms, "per_days": DAYS},
        "rates": rates, "other_falls": others, "without_reference": without, "seconds_for_a_million": _seconds(1_000_000), "seed": SEED,
    }  # fmt: skip


def _rate(pool: ProcessPoolExecutor, rate: int, size: Sized) -> dict[str, Any]:
    many = max(size.histories, min(size.calibration, int(MOST / DAYS / rate)))
    first = list(pool.map(partial(_judged, rate), range(size.histories), chunksize=20))
    stable = first + list(pool.map(partial(_stable, rate), range(size.histories, many), chunksize=20))
    alarms = sum(one.alarm for one in stable)
    limit = float(np.sort([one.highest for one in stable])[-max(alarms, 1)])
    falls = list(pool.map(partial(_fall, rate, limit), range(size.histories), chunksize=20))
    ours, oracle = (np.array(delays) for delays in zip(*falls, strict=True))
    measured = share_interval(alarms, many, 0.95)
    medians = _median(ours), _median(oracle)
    return {
        "false_breach_share": float(np.mean([one.breach for one in first])),
        "false_alarm_share": [measured.low, measured.mean, measured.high], "false_alarm_histories": many,
        "fixed_sample": float(np.mean([one.rejected for one in first])),
        "detected_share": _within(ours), "detected_share_oracle": _within(oracle),
        "delay": medians[0], "delay_oracle": medians[1], "delay_vs_oracle": medians[0] / medians[1],
        "oracle_limit": limit,
    }  # fmt: skip


def _within(delays: Floats, most: int = WITHIN) -> float:
    """Share of the falls that were seen within so many outcomes; an alarm before the fall counts as none."""
    return float(np.mean((delays > 0) & (delays <= most)))


def _median(delays: Floats) -> float:
    return float(np.median(delays[delays > 0]))


def _stable(rate: int, number: int) -> Stable:
    days, values = _stable_history(rate, number)
    alarm = SETTING.update(SETTING.begin(), values, days).alarm_at is not None
    return Stable(alarm, float(_cusum(values).max()))


def _judged(rate: int, number: int) -> Stable:
    """The same with the whole watch, and with the fixed-sample test."""
    days, values = _stable_history(rate, number)
    watched = WATCH.update(WatchState(), values, days)
    breach = watched.alarm is not None or watched.began > 0
    return _stable(rate, number)._replace(breach=breach, rejected=_fixed_sample_rejects(days, values))


def _stable_history(rate: int, number: int) -> tuple[Floats, Floats]:
    rng = np.random.default_rng([SEED, rate, number, 0])
    return _history(rng, rate, lambda n: rng.random(n) < STABLE, None)


def _fall(rate: int, limit: float, number: int) -> tuple[float, float]:
    """Outcomes from the fall to the alarm, of the detector and of the oracle; infinite without an alarm."""
    rng = np.random.default_rng([SEED, rate, number, 1])
    days, values = _history(rng, rate, lambda n: rng.random(n) < STABLE, lambda n: rng.random(n) < FALLEN)
    before = int(np.searchsorted(days, CHANGE))
    at = SETTING.update(SETTING.begin(), values, days).alarm_at
    reached = np.flatnonzero(_cusum(values) >= limit)
    return (at or inf) - before, (reached[0] + 1 if len(reached) else inf) - before


def _without_reference(pool: ProcessPoolExecutor, size: Sized) -> dict[str, dict[str, float | None]]:
    """Without a reference, and with one on the same histories; ``None``: fewer than half of the falls were seen."""
    found = {}
    for name, watch in (("given", WATCH), ("learnt", LEARNS)):
        falls = list(pool.map(partial(_half_time, watch), range(size.histories), chunksize=20))
        stable, delays = (np.array(column) for column in zip(*falls, strict=True))
        median = _median(delays)
        found[name] = {
            "false_breach_share": float(np.mean(stable)), f"within_{WITHIN}": _within(delays),
            f"within_{LONGER}": _within(delays, LONGER), "delay": None if median == inf else median,
        }  # fmt: skip
    return found


def _half_time(watch: Watch, number: int) -> tuple[bool, float]:
    """Whether a stable history gives a breach; outcomes from a fall at half time to the breach."""
    days, stable = _stable_history(AT_RATE, number)
    fallen = np.random.default_rng([SEED, AT_RATE, number, 3]).random(len(days)) < FALLEN
    before = int(np.searchsorted(days, HALF_TIME))
    values = np.concatenate([stable[:before], fallen[before:]])
    watched = watch.update(WatchState(), stable, days)
    alarm = watch.update(WatchState(), values, days).alarm
    # nothing recovers within the history: an alarm stands, or had come before the fall
    at = inf if alarm is None else int(np.searchsorted(days, alarm, side="right"))
    return watched.alarm is not None or watched.began > 0, at - before


Draw = Callable[[int], npt.NDArray[Any]]


def _history(
    rng: np.random.Generator, rate: float, stable: Draw, fallen: Draw | None
) -> tuple[Floats, Floats]:
    """Days, at random, and values of one history."""
    n = int(rate * DAYS)
    days = np.sort(rng.random(n) * DAYS)
    before = n if fallen is None else int(np.searchsorted(days, CHANGE))
    parts = [stable(before)] if fallen is None else [stable(before), fallen(n - before)]
    return days, np.clip(np.concatenate(parts).astype(np.float64), 0, 1)


def _cusum(values: Floats) -> Floats:
    """Page's statistic of the likelihood ratio of ``FALLEN`` to ``STABLE`` (Biometrika 41, 1954)."""
    miss = log((1 - FALLEN) / (1 - STABLE))
    walk = np.cumsum(np.where(values > 0, log(FALLEN / STABLE), miss))
    return np.asarray(walk - np.minimum(np.minimum.accumulate(walk), 0))


def _fixed_sample_rejects(days: Floats, values: Floats) -> bool:
    """Whether the binomial test finds a fall at any full hour."""
    ends = np.searchsorted(days, np.arange(1, int(DAYS * 24) + 1) / 24)
    starts = np.concatenate([np.zeros(WINDOW_HOURS, dtype=ends.dtype), ends])[: len(ends)]
    hits = np.concatenate([[0.0], np.cumsum(values)])
    return bool((bdtr(hits[ends] - hits[starts], ends - starts, STABLE) <= LEVEL).any())


class Other(NamedTuple):
    """Another kind of fall, at 24 outcomes a day: levels that the detector knows, spread (None: a coin), real level."""

    name: str
    reference: float
    fallen: float
    spread: float | None
    level: float


OTHERS = (
    Other("coin 0.80 to 0.60", 0.8, 0.7, None, 0.6),
    Other("coin 0.80 to 0.40", 0.8, 0.7, None, 0.4),
    Other("coin 0.80 to 0.76, not bad", 0.8, 0.7, None, 0.76),
    Other("coin 0.99 to 0.90", 0.99, 0.9, None, 0.9),
    Other("normal 0.90 sd 0.02 to 0.80", 0.9, 0.8, 0.02, 0.8),
    Other("normal 0.90 sd 0.02 to 0.86, not bad", 0.9, 0.8, 0.02, 0.86),
    Other("normal 0.50 sd 0.10 to 0.45", 0.5, 0.45, 0.1, 0.45),
)


def _other(kind: Other, size: Sized) -> tuple[str, dict[str, float | None]]:
    setting = FallDetector(kind.reference, kind.fallen, SETTING.false_alarms, DAYS)
    delays = []
    for rng in _generators(kind, size.histories // 4):

        def draw(level: float, n: int, rng: np.random.Generator = rng) -> npt.NDArray[Any]:
            return rng.random(n) < level if kind.spread is None else rng.normal(level, kind.spread, n)

        days, values = _history(rng, AT_RATE, partial(draw, kind.reference), partial(draw, kind.level))
        at = setting.update(setting.begin(), values, days).alarm_at
        delays.append((at or inf) - int(np.searchsorted(days, CHANGE)))
    median = _median(np.array(delays))
    return kind.name, {
        "detected_share": _within(np.array(delays)),
        "delay": None if median == inf else median,
    }


def _generators(kind: Other, many: int) -> Iterator[np.random.Generator]:
    return (np.random.default_rng([SEED, OTHERS.index(kind), number, 2]) for number in range(many))


def _seconds(n: int) -> float:
    """For ``n`` observations at once."""
    rng = np.random.default_rng([SEED, n])
    values, days = rng.random(n) * 0.2 + 0.7, np.sort(rng.random(n) * DAYS)
    begun = time.perf_counter()
    SETTING.update(SETTING.begin(), values, days)
    return time.perf_counter() - begun
