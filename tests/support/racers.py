"""What threads and processes do in races: each function gets its number in the race and the store's URL."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from include.kreislauf.store import cycles, live, messages, observations
from include.kreislauf.store.cycles import State
from include.kreislauf.store.database import Store
from tests.support.examples import LATER, NOW, USE_CASE, handover, open_cycle, report


@contextmanager
def opened(url: str) -> Iterator[Store]:
    """A store; its connections are closed at the end, because a pool of processes lives on."""
    store = Store(url)
    yield store
    store.engine.dispose()


def upgrade(_number: int, url: str) -> str | None:
    """Make the schema."""
    with opened(url) as store:
        store.upgrade()
        return store.revision()


def open_by(number: int, url: str, origins: list[str]) -> str:
    """Open a cycle; returns its id."""
    with opened(url) as store:
        return open_cycle(store, origins[number % len(origins)]).cycle_id


def activate(number: int, url: str, cycle_ids: list[str]) -> bool:
    """Make one cycle active."""
    with opened(url) as store, store.write() as db:
        cycle = cycles.get_cycle(db, USE_CASE, cycle_ids[number])
        return cycles.set_state(db, cycle, State.ACTIVE, LATER)


def hand_over(number: int, url: str) -> str:
    """Write a handover of the same (cycle, stage, attempt) as everybody; returns the run whose handover stands."""
    with opened(url) as store, store.write() as db:
        own = handover(run_id=f"run-{number}", output=f"candidates@{number}")
        return messages.save_handover(db, own, f"by run {number}", NOW).run_id


def promote(number: int, url: str, rounds: int) -> list[int]:
    """Promote one's own release again and again; returns the revisions that were won."""
    won = []
    with opened(url) as store:
        for _ in range(rounds):
            with store.read() as db:
                seen = live.live(db, USE_CASE)
            with store.write() as db:
                reason = f"by {number}"
                done = live.promote(
                    db, USE_CASE, number + 1, expected=seen, cycle_id="c1", reason=reason, as_of=NOW, now=NOW
                )
            if done:
                won.append(seen.revision + 1 if seen else 1)
    return won


def observe(number: int, url: str, prediction_id: str) -> str:
    """Say what really happened; everybody saw something else."""
    with opened(url) as store, store.write() as db:
        return observations.save_outcome(db, prediction_id, float(number), NOW, NOW)


def send_report(number: int, url: str) -> str:
    """Send the same report as everybody."""
    with opened(url) as store, store.write() as db:
        return observations.save_report(db, report(created_at=LATER))
