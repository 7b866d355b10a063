"""Many processes that promote and roll back the same use case at the same moment, and what is left of it."""

from __future__ import annotations

import multiprocessing
import random
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from sqlalchemy import Connection, text

from include.kreislauf.store import database, live
from include.kreislauf.store.database import Store
from tests.support.examples import NOW, USE_CASE, release
from tests.support.racers import opened

MEET_SECONDS = 300
# one statement, so that one state of the database is looked at, on PostgreSQL too
CHAMPIONS = text("""
    SELECT (SELECT count(*) FROM live_releases WHERE use_case = :use_case) AS pointers,
           (SELECT count(*) FROM promotions p JOIN live_releases l
              ON p.use_case = l.use_case AND p.revision = l.revision AND p.version = l.version
            WHERE l.use_case = :use_case
              AND l.revision = (SELECT max(revision) FROM promotions WHERE use_case = :use_case)) AS newest
""")
_barrier: Any = None


@dataclass
class Outcome:
    """What one process did and saw.

    Parameters
    ----------
    won: revisions that it made; ``back``: those of them that were rollbacks.
    seen: how often it saw (pointers, pointers that are the newest promotion); anything but (1, 1) is a fault.
    longest: seconds of its longest transaction.
    """

    won: list[int] = field(default_factory=list)
    back: list[int] = field(default_factory=list)
    seen: Counter[tuple[int, int]] = field(default_factory=Counter)
    longest: float = 0.0


def promote_and_roll_back(
    url: str,
    processes: int,
    rounds: int,
    *,
    seed: int = 0,
    busy_seconds: float = database.BUSY_TIMEOUT_SECONDS,
) -> dict[str, Any]:
    """Race on an empty, migrated store; in each round a process tries once to promote its own release or to roll back.

    Half of the tries decide on what was read before their transaction, as a person or a slow task would.

    Parameters
    ----------
    busy_seconds: how long a process waits for its turn to write on SQLite, which is not fair: of 100 that write all the
        time, one can wait for longer than the 30 s that are usual.

    Returns
    -------
    ``promotions`` and of them ``rollbacks``; ``one_champion``: whether all looks saw exactly one, so many ``looks``;
    ``linear``: whether revisions are 1 to n without a gap, each by the process that won it, each on the one before;
    ``seconds``, and ``longest_seconds`` of a transaction.
    """
    with opened(url) as store, store.write() as db:
        for version in range(1, processes + 1):
            assert live.save_release(db, release(version))
    context = multiprocessing.get_context("forkserver")  # imports once instead of in each process
    context.set_forkserver_preload([__name__])
    barrier = context.Barrier(processes, timeout=MEET_SECONDS)
    with ProcessPoolExecutor(processes, mp_context=context, initializer=_meet, initargs=(barrier,)) as pool:
        runs = [
            pool.submit(_take_part, number, url, rounds, seed, busy_seconds) for number in range(processes)
        ]
        found = [run.result() for run in runs]
    outcomes, began, ended = ([one[part] for one in found] for part in range(3))
    seen = sum((one.seen for one in outcomes), Counter[tuple[int, int]]())
    return {
        "processes": processes, "rounds": rounds, "promotions": sum(len(one.won) for one in outcomes),
        "rollbacks": sum(len(one.back) for one in outcomes), "looks": seen.total(),
        "one_champion": set(seen) == {(1, 1)}, "linear": _is_linear(url, outcomes),
        "seconds": round(max(ended) - min(began), 1), "longest_seconds": round(max(one.longest for one in outcomes), 2),
    }  # fmt: skip


def _meet(barrier: Any) -> None:
    global _barrier
    _barrier = barrier


def _take_part(
    number: int, url: str, rounds: int, seed: int, busy_seconds: float
) -> tuple[Outcome, float, float]:
    database.BUSY_TIMEOUT_SECONDS = busy_seconds  # type: ignore[assignment]
    chance, mine = random.Random(f"{seed}-{number}"), Outcome()
    with opened(url) as store:
        _barrier.wait()
        began = time.monotonic()
        for _ in range(rounds):
            back, early = chance.random() < 0.5, chance.random() < 0.5
            start = time.monotonic()
            if revision := _try(store, number, back=back, early=early):
                mine.won.append(revision)
                if back:
                    mine.back.append(revision)
            mine.longest = max(mine.longest, time.monotonic() - start)
            with store.read() as db:
                if (look := db.execute(CHAMPIONS, {"use_case": USE_CASE}).one()).pointers or mine.won:
                    mine.seen[look.pointers, look.newest] += 1
        return mine, began, time.monotonic()


def _try(store: Store, number: int, *, back: bool, early: bool) -> int | None:
    """The revision that was made; ``None``: another one was faster, or there was nothing to go back to."""
    seen: tuple[live.Live | None, int | None] = (None, None)
    if early:
        with store.read() as db:
            seen = _aim(db, number, back=back)
    with store.write() as db:
        pointer, wanted = seen if early else _aim(db, number, back=back)
        if wanted is None:
            return None
        done = live.promote(
            db, USE_CASE, wanted, expected=pointer, cycle_id=f"c{number}", reason="test", as_of=NOW, now=NOW
        )
    return (pointer.revision + 1 if pointer else 1) if done else None


def _aim(db: Connection, number: int, *, back: bool) -> tuple[live.Live | None, int | None]:
    pointer = live.live(db, USE_CASE)
    if not back:
        return pointer, number + 1
    return pointer, live.version_before(live.promotions_of(db, USE_CASE)) if pointer else None


def _is_linear(url: str, outcomes: list[Outcome]) -> bool:
    with opened(url) as store, store.read() as db:
        history, now = live.promotions_of(db, USE_CASE), live.live(db, USE_CASE)
    by = {revision: f"c{number}" for number, one in enumerate(outcomes) for revision in one.won}
    return (
        [row.revision for row in history] == list(range(1, len(history) + 1))
        and sum(len(one.won) for one in outcomes) == len(history)
        and all(by.get(row.revision) == row.cycle_id for row in history)
        and history[0].previous is None
        and all(after.previous == before.version for before, after in pairwise(history))
        and now == live.Live(USE_CASE, history[-1].version, history[-1].revision)
    )
