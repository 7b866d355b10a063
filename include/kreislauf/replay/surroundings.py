"""What lies around a ring that is replayed: the times to live through, requests, and what then happened."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from include.kreislauf.replay.ring import LocalRing


class Surroundings(Protocol):
    """The outside of one ring; time goes on in it step by step."""

    @property
    def name(self) -> str:
        """What it is, for people."""

    @property
    def times(self) -> Sequence[datetime]:
        """Starts of the steps, oldest first; the first release is made at the first."""

    @property
    def changes(self) -> Sequence[datetime] | None:
        """When the world changed, as an oracle would know it; ``None``: nobody knows."""

    def reach(self, now: datetime) -> None:
        """Time goes on: from here on, everything up to ``now`` can be collected."""

    def happened(self, ring: LocalRing, now: datetime) -> None:
        """Outcomes and reports that have become known since the step before; before the check."""

    def asks(self, ring: LocalRing, now: datetime) -> None:
        """What clients ask the live release until the next step; after the check."""
