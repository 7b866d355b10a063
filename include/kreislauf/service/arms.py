"""Which release answers a request while another one is tried, and what is counted of either.

A request's key decides: the same key always meets the same arm of a rollout. A canary's share of the keys is answered
by the new release; the next, equally large share is answered by the champion and compared with it.
"""

from __future__ import annotations

import random
from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from threading import Lock

from include.kreislauf.service.metrics import BUCKETS
from include.kreislauf.service.served_release import ServedRelease
from include.kreislauf.store.rollouts import Arm, ArmCounts, Rollout, RolloutState

_LABELS = (*map(str, BUCKETS), "+Inf")
_draw = random.Random().random  # noqa: S311 - no secret: the arm of a request without a key


@dataclass(frozen=True)
class Trial:
    """A release in the candidate slot; ``release`` is ``None`` until it is loaded."""

    rollout: Rollout
    release: ServedRelease | None = None
    problem: str = ""

    @property
    def is_shadow(self) -> bool:
        """Whether it computes what the champion answers."""
        return self.release is not None and self.rollout.state is RolloutState.SHADOW

    def arm_of(self, key: str | None) -> Arm:
        """The arm that a request belongs to."""
        if self.rollout.state is not RolloutState.CANARY or self.release is None:
            return Arm.CHAMPION
        place = place_of(self.rollout.use_case, self.rollout.version, key)
        if place < self.rollout.share:
            return Arm.CANARY
        return Arm.BASELINE if place < 2 * self.rollout.share else Arm.CHAMPION


@dataclass(frozen=True)
class Control:
    """The release before the champion, which answers a share of the requests while nothing is tried.

    Parameters
    ----------
    champion: version that it stands beside.
    """

    champion: int
    share: float
    release: ServedRelease

    def answers(self, key: str | None) -> bool:
        """Whether it is its turn; the same key always meets the same arm."""
        return place_of(self.release.about.use_case, f"control {self.champion}", key) < self.share


def place_of(use_case: str, what: object, key: str | None) -> float:
    """Where a request's key lies between 0 and 1; for something else the keys are shuffled anew."""
    if key is None:
        return _draw()
    text = f"{use_case}\x00{what}\x00{key}"
    return int.from_bytes(blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()) / 2**64


@dataclass
class _Counted:
    requests: int = 0
    rows: int = 0
    errors: int = 0
    seconds: float = 0.0
    buckets: list[int] = field(default_factory=lambda: [0] * len(_LABELS))


class Counts:
    """What this worker counted of the arms of each rollout since the worker began; any thread may add to it."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._found: dict[tuple[str, int], dict[Arm, _Counted]] = {}

    def add(self, trial: Trial, arm: Arm, *, rows: int, seconds: float = 0.0, error: bool = False) -> None:
        """Count one request; one that failed has no time."""
        key = (trial.rollout.use_case, trial.rollout.version)
        with self._lock:
            one = self._found.setdefault(key, {}).setdefault(arm, _Counted())
            one.requests += 1
            one.rows += rows
            if error:
                one.errors += 1
                return
            one.seconds += seconds
            one.buckets[bisect_left(BUCKETS, seconds)] += 1

    def take(self, rollouts: Mapping[str, Trial]) -> dict[tuple[str, int], list[ArmCounts]]:
        """What there is of the rollouts that are under way; the others are forgotten."""
        alive = {(one.rollout.use_case, one.rollout.version) for one in rollouts.values()}
        with self._lock:
            self._found = {key: arms for key, arms in self._found.items() if key in alive}
            return {
                key: [_frozen(arm, one) for arm, one in arms.items()] for key, arms in self._found.items()
            }


def _frozen(arm: Arm, one: _Counted) -> ArmCounts:
    buckets = {label: number for label, number in zip(_LABELS, one.buckets, strict=True) if number}
    return ArmCounts(arm, one.requests, one.rows, one.errors, one.seconds, buckets)
