"""From the rows of a request to logged predictions: one way, whatever the request was read with."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from itertools import repeat
from time import perf_counter
from typing import Any, NamedTuple

import msgspec
import numpy as np
from msgspec import UNSET, UnsetType
from starlette.concurrency import run_in_threadpool

from include.kreislauf.inference.problem import ClassAnswer
from include.kreislauf.service.arms import Counts, Trial
from include.kreislauf.service.follower import Follower
from include.kreislauf.service.journal import Journal
from include.kreislauf.service.limits import refuse_future
from include.kreislauf.service.metrics import Metrics
from include.kreislauf.service.problems import RefusedError, invalid, unavailable
from include.kreislauf.service.rows import (
    AskedRow,
    Found,
    Given,
    given_by,
    refusals,
    require_finite,
    with_values,
)
from include.kreislauf.service.schemas import Fault
from include.kreislauf.service.served_release import ServedRelease
from include.kreislauf.settings import Settings
from include.kreislauf.store.log_records import LoggedPrediction, LoggedShadow, new_ids, stamp
from include.kreislauf.store.rollouts import Arm

QUICK_ROWS = 16
"""So many rows are computed where the request arrives; the trees of more walk in a thread, without Python's lock."""
MAX_SHADOWS = 64
"""So many requests may wait for their shadow; the others go without, and are counted."""

log = logging.getLogger("kreislauf.service")
_trees = ThreadPoolExecutor(2, thread_name_prefix="trees")


class Answered(msgspec.Struct):
    """The prediction for one row; the fields of :class:`~include.kreislauf.service.schemas.Prediction`.

    Those of classes are left out where numbers are predicted.
    """

    prediction_id: str
    entity: str | None
    known: bool
    value: float | None
    low: float | None
    high: float | None
    label: str | UnsetType | None = UNSET
    probabilities: dict[str, float] | UnsetType | None = UNSET
    action: str | UnsetType | None = UNSET


class Computed(NamedTuple):
    """What one release says to the rows of a request.

    Parameters
    ----------
    classes: per row what is answered where classes are predicted, ``None`` for what is not known; empty for numbers.
    """

    release: ServedRelease
    found: Found
    texts: Sequence[str | None]
    classes: Sequence[ClassAnswer | None] = ()


class Answer(msgspec.Struct):
    """The fields of :class:`~include.kreislauf.service.schemas.PredictionsAnswer`."""

    use_case: str
    release: int
    predictions: list[Answered]


class Predicting:
    """Answers requests for predictions, with whichever release their turn is."""

    def __init__(
        self, settings: Settings, follower: Follower, journal: Journal, metrics: Metrics, counts: Counts
    ) -> None:
        self._settings, self._follower, self._journal = settings, follower, journal
        self._metrics, self._counts = metrics, counts
        self._shadows: set[asyncio.Task[None]] = set()

    async def answer(
        self, use_case: str, rows: Sequence[AskedRow], *, as_of: datetime | None = None,
        period: datetime | None = None, key: str | None = None,
    ) -> Answer:  # fmt: skip
        """Predict all rows by one release, and return when they are in the log.

        Raises
        ------
        RefusedError: the use case is not live, or a row is not what the release can predict; nothing is logged.
        """
        started = perf_counter()
        champion = self.champion(use_case)  # taken once: a swap in the middle does not mix two releases
        trial = self._follower.view.trials.get(use_case)
        arm, other = self._turn(champion, trial, key)
        now = self._settings.now()
        when = self._when(as_of, now)
        computed, arm = await self._predict(champion, trial, other, arm, rows)
        at = stamp(now)
        as_of_at = at if when is now else stamp(when)
        times = (stamp(period) if period else as_of_at, as_of_at, at)
        logged = _logged(computed, arm, times)
        await self._journal.write_predictions(logged)
        self._count(use_case, arm, computed.found)
        if trial and arm is not Arm.CHAMPION:
            self._counts.add(trial, arm, rows=len(rows), seconds=perf_counter() - started)
        if trial and trial.is_shadow:
            self._follow_unseen(trial, rows, [one.id for one in logged])
        return Answer(use_case, computed.release.version, _answered(logged, computed.classes))

    def champion(self, use_case: str) -> ServedRelease:
        """The release that answers for a use case.

        Raises
        ------
        RefusedError: 404, nothing is live; 503, something is, but it cannot answer yet.
        """
        view = self._follower.view
        champion = view.champions.get(use_case)
        if champion is None:
            self.require_live(use_case)
            raise unavailable(view.problems.get(use_case, f"{use_case!r} is being loaded"))
        return champion

    def champion_if_any(self, use_case: str) -> ServedRelease | None:
        """The same; ``None`` where none can answer."""
        return self._follower.view.champions.get(use_case)

    def require_live(self, use_case: str) -> None:
        """Refuse a use case that the store has no live release of."""
        view = self._follower.view
        if use_case in view.pointers:
            return
        if view.store_problem:
            raise unavailable(view.store_problem)
        allowed = ", ".join(sorted(view.pointers)) or "none yet"
        raise RefusedError(
            404,
            f"no release of use case {use_case[:64]!r} is live; live use cases: {allowed}. "
            "A use case goes live when its first release is promoted",
            [Fault(field="use_case", reason="has no live release", allowed=allowed)],
        )

    async def drain(self) -> None:
        """Wait for what is computed unseen."""
        await asyncio.gather(*self._shadows, return_exceptions=True)

    def _when(self, as_of: datetime | None, now: datetime) -> datetime:
        if self._settings.clock == "given":
            if as_of is None:
                reason = "is required: the clock of this installation is 'given'"
                raise invalid([Fault(field="as_of", reason=reason, allowed="a time with a time zone")])
        elif as_of is not None:
            refuse_future([("as_of", as_of)], now)
        return as_of or now

    def _turn(
        self, champion: ServedRelease, trial: Trial | None, key: str | None
    ) -> tuple[Arm, ServedRelease | None]:
        """The arm that a request belongs to, and the release that answers there; ``None``: the champion."""
        if trial:
            arm = trial.arm_of(key)
            return arm, trial.release if arm is Arm.CANARY else None
        control = self._follower.view.controls.get(champion.about.use_case)
        if control and control.champion == champion.version and control.answers(key):
            return Arm.CONTROL, control.release
        return Arm.CHAMPION, None

    async def _predict(
        self, champion: ServedRelease, trial: Trial | None, other: ServedRelease | None, arm: Arm,
        rows: Sequence[AskedRow],
    ) -> tuple[Computed, Arm]:  # fmt: skip
        """The other release's answer where it is its turn; where it fails, the champion's: no request fails for it."""
        if other is None:
            return await _computed(champion, rows), arm
        try:
            return await _computed(other, rows), arm
        except Exception as error:  # noqa: BLE001 - whatever it is, the champion answers
            # where the champion refuses as well, it is the client's fault and nobody's error
            found = await _computed(champion, rows)
            log.warning("%s %s: %s; the champion answered", arm, other.version, error)
            if trial:
                self._counts.add(trial, arm, rows=len(rows), error=True)
            return found, Arm.CHAMPION

    def _count(self, use_case: str, arm: Arm, found: Found) -> None:
        predictions, novelty = self._metrics.predicted(use_case, arm)
        predictions.inc(len(found))
        if new := sum(not known for _, known, _ in found):
            novelty.inc(new)

    def _follow_unseen(self, trial: Trial, rows: Sequence[AskedRow], ids: Sequence[str]) -> None:
        use_case = trial.rollout.use_case
        if len(self._shadows) >= MAX_SHADOWS:
            self._metrics.shadow.labels(use_case, "skipped").inc()
            return
        task = asyncio.create_task(self._shadow(trial, rows, ids))
        self._shadows.add(task)
        task.add_done_callback(self._shadows.discard)

    async def _shadow(self, trial: Trial, rows: Sequence[AskedRow], ids: Sequence[str]) -> None:
        """Compute what a tried release would have answered, after the champion has."""
        assert trial.release is not None  # noqa: S101 - is_shadow
        started, use_case = perf_counter(), trial.rollout.use_case
        try:
            found = await run_in_threadpool(_compute, trial.release, rows)
            seconds, at = perf_counter() - started, stamp(self._settings.now())
            shadows = [
                LoggedShadow(one, trial.release.version, use_case, value, at)
                for one, (_, _, value) in zip(ids, found, strict=True)
            ]
            await self._journal.write_predictions([], shadows)
        except Exception as error:  # noqa: BLE001 - what a tried release does must not reach anybody
            log.warning("shadow %s: %s", trial.release.version, error)
            self._counts.add(trial, Arm.SHADOW, rows=len(rows), error=True)
            self._metrics.shadow.labels(use_case, "failed").inc()
        else:
            self._counts.add(trial, Arm.SHADOW, rows=len(rows), seconds=seconds)
            self._metrics.shadow.labels(use_case, "computed").inc()


def _compute(release: ServedRelease, rows: Sequence[AskedRow]) -> Found:
    """As :func:`_computed`, all of it in the thread that calls."""
    given = given_by(release, rows)
    predictor = release.served.predictor
    values = predictor.evaluate(predictor.encode(given.values)) if given.values else ()
    return _placed(release, rows, given, values).found


async def _computed(release: ServedRelease, rows: Sequence[AskedRow]) -> Computed:
    """Predict all rows, those with features of their own in one call of the model.

    Raises
    ------
    RefusedError: the release cannot predict a row.
    """
    given = given_by(release, rows)
    values: Any = ()
    if given.values:
        with refusals():
            values = await _values(release, given.values)
    return _placed(release, rows, given, values)


async def _values(release: ServedRelease, given: list[tuple[Any, ...]]) -> Any:
    """What the model says: numbers, (n,), or probabilities, (n, classes that it knows)."""
    predictor = release.served.predictor
    if not release.is_quick:
        return await run_in_threadpool(lambda: predictor.evaluate(predictor.encode(given)))
    if len(given) == 1 and not predictor.classes:
        return [predictor.predict_values(given[0])]
    encoded = predictor.encode(given)
    if len(given) <= QUICK_ROWS:
        return predictor.evaluate(encoded)
    return await asyncio.get_running_loop().run_in_executor(_trees, predictor.evaluate, encoded)


def _placed(release: ServedRelease, rows: Sequence[AskedRow], given: Given, values: Any) -> Computed:
    """What the model says, row by row.

    Raises
    ------
    RefusedError: it says what is no finite number.
    """
    problem, known = release.problem, release.served.predictor.classes
    if not problem.classes:
        numbers = problem.values(values, known).tolist() if isinstance(values, np.ndarray) else values
        found = require_finite(with_values(release, rows, given, numbers))
        return Computed(release, found, given.texts)
    answers = problem.answers(values, known) if len(values) else ()
    placed = with_values(release, rows, given, answers)
    found = require_finite([(entity, is_known, one and one.value) for entity, is_known, one in placed])
    return Computed(release, found, given.texts, [one for _, _, one in placed])


def _logged(computed: Computed, arm: Arm, times: tuple[str, str, str]) -> list[LoggedPrediction]:
    release = computed.release
    entities, known, values = zip(*computed.found, strict=True)
    interval = release.served.interval
    lows, highs = zip(*((None, None) if value is None else interval(value) for value in values), strict=True)
    columns = (
        new_ids(len(values)), repeat(release.about.use_case), repeat(release.version), entities, known, values,
        *map(repeat, times), lows, highs, computed.texts, repeat(arm.value),
    )  # fmt: skip
    return list(map(LoggedPrediction._make, zip(*columns, strict=False)))


def _answered(logged: Sequence[LoggedPrediction], classes: Sequence[ClassAnswer | None]) -> list[Answered]:
    if not classes:
        return [Answered(one.id, one.entity, one.known, one.value, one.low, one.high) for one in logged]
    return [
        Answered(
            one.id, one.entity, one.known, one.value, one.low, one.high, *(said[1:] if said else _UNKNOWN)
        )
        for one, said in zip(logged, classes, strict=True)
    ]


_UNKNOWN = (None, None, None)
"""Label, probabilities and action of an entity that is not known."""
