"""What the store says is live or tried: a thread follows it, loads, verifies, swaps, and tells what it holds."""

from __future__ import annotations

import logging
import os
import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from threading import Event, Thread
from uuid import uuid4

from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from include.kreislauf.errors import KreislaufError, StoreError
from include.kreislauf.service.arms import Control, Counts, Trial
from include.kreislauf.service.metrics import Metrics
from include.kreislauf.service.problems import in_short
from include.kreislauf.service.served_release import ServedRelease
from include.kreislauf.store import contracts, live, rollouts, workers
from include.kreislauf.store.api_keys import KeyRing, load_ring
from include.kreislauf.store.database import Store

POLL_SECONDS = 0.25
STALE_SECONDS = 5.0
LONGEST_RETRY_SECONDS = 30.0
BEAT_SECONDS = 3.0
SLOW_SECONDS = 5.0
"""Keys, revision and what monitoring says are looked at less often than pointers."""

log = logging.getLogger("kreislauf.service")
Load = Callable[[live.ReleaseRow], ServedRelease]


@dataclass(frozen=True)
class View:
    """What is served and why something is not. Never changed: a new view replaces it in one assignment.

    Parameters
    ----------
    trials: use case -> the release in its candidate slot.
    controls: use case -> the release before, where it answers a share of the requests.
    keys: ``None`` until the store was read for the first time.
    """

    champions: Mapping[str, ServedRelease] = field(default_factory=dict)
    trials: Mapping[str, Trial] = field(default_factory=dict)
    controls: Mapping[str, Control] = field(default_factory=dict)
    pointers: Mapping[str, live.Live] = field(default_factory=dict)
    problems: Mapping[str, str] = field(default_factory=dict)
    keys: KeyRing | None = None
    store_problem: str | None = "the store has not been looked at yet"


@dataclass(frozen=True)
class _Failure:
    text: str
    pause: float
    again_at: float


class Follower:
    """The releases of a store, as this process holds them.

    Only the thread that calls :meth:`look` changes the view; any thread may read it at any time. The release that was
    the champion before stays in memory, so that a rollback needs no loading.
    """

    def __init__(
        self, store: Store, load: Load, metrics: Metrics, counts: Counts, now: Callable[[], datetime]
    ) -> None:
        self.view = View()
        self.worker_id = str(uuid4())
        self._store, self._load, self._metrics, self._counts, self._now = store, load, metrics, counts, now
        self._held: dict[tuple[str, int], ServedRelease] = {}
        self._before: dict[str, int] = {}
        self._wanted: dict[str, tuple[int, int, float]] = {}
        self._failures: dict[tuple[str, int], _Failure] = {}
        self._looked_at = time.monotonic()
        self._slow_at = 0.0
        self._beat_at = 0.0
        self._said: object = None
        self._started_at = now()
        self._loading = False
        self._stop = Event()
        self._thread = Thread(target=self._follow, name="follower", daemon=True)

    def start(self) -> None:
        """Follow the store in the background; returns before the first look."""
        self._thread.start()

    def stop(self) -> None:
        """Stop following; waits for a look that is under way, but not for a store that hangs."""
        self._stop.set()
        self._thread.join(timeout=STALE_SECONDS)

    def reasons(self) -> list[str]:
        """Why the service is not ready; empty: it is.

        A release that is loaded while its predecessor answers is no reason: a swap must not look like an outage.
        """
        view = self.view
        reasons = [view.store_problem] if view.store_problem else []
        if not self._loading and (silent := time.monotonic() - self._looked_at) > STALE_SECONDS:
            reasons.append(f"the store has not answered for {silent:.0f} s")
        for use_case, pointer in sorted(view.pointers.items()):
            if use_case in view.problems:
                reasons.append(view.problems[use_case])
            elif use_case not in view.champions:
                reasons.append(f"release {pointer.version} of {use_case} is being loaded")
        return reasons

    def look(self) -> None:
        """Read what is live and tried once; load and swap what has changed; say what is held."""
        try:
            pointers, tried = self._read()
        except (StoreError, SQLAlchemyError) as error:
            self._metrics.store_failures.inc()
            self._slow_at = 0.0
            self.view = replace(self.view, store_problem=f"the store cannot be used: {in_short(error)}")
            return
        finally:
            self._looked_at = time.monotonic()
        self._forget(pointers, tried)
        for pointer in pointers.values():
            self._keep_up(pointer)
        for rollout in tried.values():
            self._try(rollout)
        self._keep_controls()
        self._let_go()
        self._beat()

    def _read(self) -> tuple[dict[str, live.Live], dict[str, rollouts.Rollout]]:
        slow = time.monotonic() >= self._slow_at
        if slow:
            self._store.require()
        with self._store.read() as db:
            pointers = {found.use_case: found for found in live.live_use_cases(db)}
            tried = {found.use_case: found for found in rollouts.tried(db)}
            if slow:
                self.view = replace(self.view, keys=load_ring(db))
                self._metrics.monitoring.show(db, pointers.values())
                self._wanted = {name: one for name in pointers if (one := _wanted_control(db, name))}
        if slow:
            self._slow_at = time.monotonic() + SLOW_SECONDS
        return pointers, tried

    def _follow(self) -> None:
        while not self._stop.is_set():
            try:
                self.look()
            except Exception:
                # This thread must outlive a bug: without it no release would ever go live again.
                log.exception("the look at the live releases failed")
            self._stop.wait(POLL_SECONDS)
        try:
            with self._store.write() as db:
                workers.forget(db, self.worker_id, before=self._now())
        except (StoreError, SQLAlchemyError) as error:
            log.warning("the store could not be told that this worker stops: %s", in_short(error))

    def _forget(self, pointers: Mapping[str, live.Live], tried: Mapping[str, rollouts.Rollout]) -> None:
        view = self.view
        for use_case in set(view.champions) - set(pointers):
            self._metrics.live_release.remove(use_case)
        self.view = replace(
            view,
            champions={name: found for name, found in view.champions.items() if name in pointers},
            trials={name: found for name, found in view.trials.items() if name in tried},
            pointers=pointers,
            problems={name: text for name, text in view.problems.items() if name in pointers},
            store_problem=None,
        )

    def _keep_up(self, pointer: live.Live) -> None:
        """Make the release that a pointer names the champion, unless it is already or failed a moment ago."""
        use_case = pointer.use_case
        champion = self.view.champions.get(use_case)
        if champion and champion.version == pointer.version:
            self._publish(use_case, champion, problem=None)
            return
        found = self._hold(use_case, pointer.version)
        if isinstance(found, ServedRelease):
            if champion:
                self._before[use_case] = champion.version
            self._publish(use_case, found, problem=None)
            self._metrics.live_release.labels(use_case).set(found.version)
            log.info("release %s of %s answers from now on", found.version, use_case)
            return
        instead = f"release {champion.version} answers" if champion else "nothing answers"
        failed = f"release {pointer.version} of {use_case} is live but cannot be loaded"
        self._publish(use_case, champion, problem=f"{failed}, {instead}: {found}")

    def _try(self, rollout: rollouts.Rollout) -> None:
        """Hold a release in the candidate slot, in the state that the store says."""
        known = self.view.trials.get(rollout.use_case)
        if known and known.rollout == rollout and known.release:
            return
        found = self._hold(rollout.use_case, rollout.version)
        trial = Trial(rollout, found) if isinstance(found, ServedRelease) else Trial(rollout, problem=found)
        self.view = replace(self.view, trials={**self.view.trials, rollout.use_case: trial})

    def _keep_controls(self) -> None:
        """Hold the releases before that answer a share; one that cannot be loaded answers none, and nobody waits."""
        controls: dict[str, Control] = {}
        for name, (champion, version, share) in self._wanted.items():
            known = self.view.controls.get(name)
            if known and (known.champion, known.release.version, known.share) == (champion, version, share):
                controls[name] = known
            elif isinstance(found := self._hold(name, version), ServedRelease):
                controls[name] = Control(champion, share, found)
        if controls != self.view.controls:
            self.view = replace(self.view, controls=controls)

    def _hold(self, use_case: str, version: int) -> ServedRelease | str:
        """A verified release, from memory or loaded; or why there is none."""
        key = (use_case, version)
        if key in self._held:
            return self._held[key]
        failure = self._failures.get(key)
        if failure and time.monotonic() < failure.again_at:
            return failure.text
        self._loading = True
        try:
            with self._store.read() as db:
                row = live.find_release(db, use_case, version)
            if row is None:
                return self._fail(key, "the store has no such release; next: promote another release")
            self._held[key] = self._load(row)
        except Exception as error:  # noqa: BLE001 - an unpickled model can raise anything
            return self._fail(key, error.text if isinstance(error, KreislaufError) else in_short(error))
        finally:
            self._looked_at = time.monotonic()
            self._loading = False
        self._failures.pop(key, None)
        return self._held[key]

    def _fail(self, key: tuple[str, int], text: str) -> str:
        before = self._failures.get(key)
        pause = min(before.pause * 2, LONGEST_RETRY_SECONDS) if before else 1.0
        self._failures[key] = _Failure(text, pause, time.monotonic() + pause)
        self._metrics.load_failures.labels(key[0]).inc()
        log.error("release %s of %s cannot be loaded: %s", key[1], key[0], text, extra={"use_case": key[0]})
        return text

    def _let_go(self) -> None:
        """Keep champion, the one before it, and what is tried; let the others go."""
        view = self.view
        kept = {(name, found.version) for name, found in view.champions.items()}
        kept |= {(name, version) for name, version in self._before.items() if name in view.pointers}
        kept |= {(name, trial.rollout.version) for name, trial in view.trials.items()}
        kept |= {(name, version) for name, (_, version, _) in self._wanted.items()}
        self._held = {key: found for key, found in self._held.items() if key in kept}
        wanted = kept | {(name, pointer.version) for name, pointer in view.pointers.items()}
        self._failures = {key: found for key, found in self._failures.items() if key in wanted}

    def _publish(self, use_case: str, champion: ServedRelease | None, problem: str | None) -> None:
        view = self.view
        if view.champions.get(use_case) is champion and view.problems.get(use_case) == problem:
            return
        champions = {**view.champions, use_case: champion} if champion else view.champions
        problems = {name: text for name, text in view.problems.items() if name != use_case}
        if problem:
            problems[use_case] = problem
        self.view = replace(view, champions=champions, problems=problems)

    def _beat(self) -> None:
        """Say what this worker holds and counted: at once when it has changed, else every few seconds."""
        serving, problems = _serving(self.view)
        counted = self._counts.take(self.view.trials)
        # what is counted while a release is tried is waited for; otherwise it can wait for the next beat
        saying = (serving, problems)
        if saying == self._said and time.monotonic() < self._beat_at:
            return
        now = self._now()
        worker = workers.Worker(
            self.worker_id, socket.gethostname(), os.getpid(), serving, problems, self._started_at, now
        )
        try:
            with self._store.write() as db:
                workers.beat(db, worker)
                for (use_case, version), found in counted.items():
                    rollouts.save_counts(db, use_case, version, self.worker_id, found, now)
        except SQLAlchemyError as error:
            self._metrics.store_failures.inc()
            log.warning("the store was not told what this worker holds: %s", in_short(error))
            return
        self._said = saying
        self._beat_at = time.monotonic() + (1.0 if self.view.trials else BEAT_SECONDS)


def _wanted_control(db: Connection, use_case: str) -> tuple[int, int, float] | None:
    """The champion, the release before it, and the share that the contract gives that one; ``None``: none."""
    share = contracts.control_share(db, use_case)
    if share is None:
        return None
    changes = live.promotions_of(db, use_case)
    version = live.version_before(changes)
    return (changes[-1].version, version, share) if version is not None else None


def _serving(view: View) -> tuple[dict[str, dict[str, int]], dict[str, str]]:
    serving: dict[str, dict[str, int]] = {}
    problems = dict(view.problems)
    for name, champion in view.champions.items():
        serving.setdefault(name, {})["champion"] = champion.version
    for name, trial in view.trials.items():
        if trial.release:
            serving.setdefault(name, {})["candidate"] = trial.release.version
        elif trial.problem:
            problems[name] = f"release {trial.rollout.version} cannot be loaded: {trial.problem}"
    return serving, problems
