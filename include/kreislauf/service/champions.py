"""Which release is live per use case: a thread follows the store's pointers, loads, verifies, swaps."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Event, Thread

import numpy as np
from sqlalchemy.exc import SQLAlchemyError

from include.kreislauf.errors import ReleaseError, StoreError
from include.kreislauf.service.metrics import Metrics
from include.kreislauf.service.schemas import RankedEntity, ReleaseAnswer
from include.kreislauf.store import live
from include.kreislauf.store.database import Store
from include.kreislauf.store.release_files import LoadedRelease, load_release

POLL_SECONDS = 0.25
STALE_SECONDS = 5.0
LONGEST_RETRY_SECONDS = 30.0

log = logging.getLogger("kreislauf.service")


@dataclass(frozen=True)
class Champion:
    """A verified live release and what can be computed from it once instead of at each request.

    Parameters
    ----------
    values: entity of the snapshot -> its prediction.
    ranking: the same, highest first.
    """

    release: LoadedRelease
    about: ReleaseAnswer
    numeric: frozenset[str]
    categorical: Mapping[str, frozenset[str]]
    values: Mapping[str, float]
    ranking: tuple[RankedEntity, ...]

    @property
    def version(self) -> int:
        """Number of the release."""
        return self.about.version


@dataclass(frozen=True)
class View:
    """What is served and why something is not. Never changed: a new view replaces it in one assignment."""

    champions: Mapping[str, Champion] = field(default_factory=dict)
    pointers: Mapping[str, live.Live] = field(default_factory=dict)
    problems: Mapping[str, str] = field(default_factory=dict)
    store_problem: str | None = "the store has not been looked at yet"


@dataclass(frozen=True)
class _Failure:
    pointer: live.Live
    pause: float
    again_at: float


class Champions:
    """The live releases of a store.

    Only the thread that calls :meth:`look` changes the view; any thread may read it at any time.
    """

    def __init__(self, store: Store, metrics: Metrics) -> None:
        self.view = View()
        self._store = store
        self._metrics = metrics
        self._failures: dict[str, _Failure] = {}
        self._looked_at = time.monotonic()
        self._loading = False
        self._stop = Event()
        self._thread = Thread(target=self._follow, name="champions", daemon=True)

    def start(self) -> None:
        """Follow the store in the background; returns before the first look."""
        self._thread.start()

    def stop(self) -> None:
        """Stop following; waits for a look that is under way, but not for a store that hangs."""
        self._stop.set()
        self._thread.join(timeout=STALE_SECONDS)

    def reasons(self) -> list[str]:
        """Why the service is not ready; empty: it is.

        A release that is loaded while its predecessor answers is no reason: a swap must not look like an
        outage.
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
        """Read the pointers once; load and swap what has changed."""
        try:
            self._store.require()
            with self._store.read() as db:
                pointers = {found.use_case: found for found in live.live_use_cases(db)}
        except (StoreError, SQLAlchemyError) as error:
            self._metrics.store_failures.inc()
            self.view = replace(self.view, store_problem=f"the store cannot be used: {in_short(error)}")
            return
        finally:
            self._looked_at = time.monotonic()
        self._forget(pointers)
        for pointer in pointers.values():
            self._keep_up(pointer)

    def _follow(self) -> None:
        while not self._stop.is_set():
            try:
                self.look()
            except Exception:
                # This thread must outlive a bug: without it no release would ever go live again.
                log.exception("the look at the live releases failed")
            self._stop.wait(POLL_SECONDS)

    def _forget(self, pointers: Mapping[str, live.Live]) -> None:
        view = self.view
        for use_case in set(view.champions) - set(pointers):
            self._metrics.live_release.remove(use_case)
        self.view = View(
            champions={name: found for name, found in view.champions.items() if name in pointers},
            pointers=pointers,
            problems={name: text for name, text in view.problems.items() if name in pointers},
            store_problem=None,
        )

    def _keep_up(self, pointer: live.Live) -> None:
        """Make the release that a pointer names the champion, unless it is already or failed a moment ago."""
        use_case = pointer.use_case
        champion = self.view.champions.get(use_case)
        if champion and champion.version == pointer.version:
            self._failures.pop(use_case, None)
            self._publish(use_case, champion, problem=None)
            return
        failure = self._failures.get(use_case)
        if failure and failure.pointer == pointer and time.monotonic() < failure.again_at:
            return
        self._loading = True
        try:
            found = self._load(pointer)
        except Exception as error:  # noqa: BLE001 - an unpickled model can raise anything
            self._fail(pointer, champion, error)
        else:
            self._failures.pop(use_case, None)
            self._publish(use_case, found, problem=None)
            self._metrics.live_release.labels(use_case).set(found.version)
            log.info("release %s of %s answers from now on", found.version, use_case)
        finally:
            self._looked_at = time.monotonic()
            self._loading = False

    def _load(self, pointer: live.Live) -> Champion:
        with self._store.read() as db:
            row = live.find_release(db, pointer.use_case, pointer.version)
        if row is None:
            raise ReleaseError("the store has no such release", next_step="promote another release")
        release = load_release(Path(row.path), row.digest)
        if (release.manifest["use_case"], release.version) != (row.use_case, row.version):
            raise ReleaseError("the manifest names another release", where=row.path)
        release.check_golden()
        return champion_of(release)

    def _fail(self, pointer: live.Live, champion: Champion | None, error: Exception) -> None:
        use_case = pointer.use_case
        before = self._failures.get(use_case)
        again = before is not None and before.pointer == pointer
        pause = min(before.pause * 2, LONGEST_RETRY_SECONDS) if before and again else 1.0
        self._failures[use_case] = _Failure(pointer, pause, time.monotonic() + pause)
        self._metrics.load_failures.labels(use_case).inc()
        instead = f"release {champion.version} answers" if champion else "nothing answers"
        failed = f"release {pointer.version} of {use_case} is live but cannot be loaded"
        text = f"{failed}, {instead}: {in_short(error)}"
        self._publish(use_case, champion, problem=text)
        log.error("%s", text)

    def _publish(self, use_case: str, champion: Champion | None, problem: str | None) -> None:
        view = self.view
        if view.champions.get(use_case) is champion and view.problems.get(use_case) == problem:
            return
        champions = {**view.champions, use_case: champion} if champion else view.champions
        problems = {name: text for name, text in view.problems.items() if name != use_case}
        if problem:
            problems[use_case] = problem
        self.view = replace(view, champions=champions, problems=problems)


def champion_of(release: LoadedRelease) -> Champion:
    """Compute what a release can answer without its model.

    Raises
    ------
    ReleaseError: it predicts something that is no number for an entity of its snapshot.
    """
    names = list(release.snapshot)
    found = release.predict([release.snapshot[name] for name in names]) if names else np.empty(0)
    if not np.isfinite(found).all():
        wrong = names[int(np.flatnonzero(~np.isfinite(found))[0])]
        raise ReleaseError(f"predicts {found[names.index(wrong)]} for {wrong!r}", allowed="finite numbers")
    values = dict(zip(names, found.tolist(), strict=True))
    ranked = sorted(values.items(), key=lambda item: (-item[1], item[0]))
    return Champion(
        release=release,
        about=ReleaseAnswer.model_validate(
            {name: release.manifest[name] for name in ReleaseAnswer.model_fields}
        ),
        numeric=frozenset(release.numeric),
        categorical={name: frozenset(seen) for name, seen in release.categorical.items()},
        values=values,
        ranking=tuple(RankedEntity(entity=name, value=value) for name, value in ranked),
    )


def in_short(error: Exception) -> str:
    """What an error says, on one line; of a database error what the driver said, without the statement."""
    said = getattr(error, "orig", None) or error
    return " ".join(str(said).split()) or type(said).__name__
