"""Living through a world, as ``make run`` does, with the ring in this process."""

from __future__ import annotations

from dataclasses import dataclass, field

from include.kreislauf.embedded.exchange import Answer
from include.kreislauf.embedded.worlds import World
from include.kreislauf.replay.living import begin, live_through
from include.kreislauf.replay.policies import Plan, Policy
from include.kreislauf.replay.recommending import Recommendations
from tests.support.lap import Lap


@dataclass
class Life:
    """A ring, the world around it, and what its clients were told."""

    lap: Lap
    world: World
    answers: list[Answer] = field(default_factory=list)

    def live_through(self) -> None:
        """The first cycle, then period by period what monitoring and the governor decide."""
        around = Recommendations(self.world, self.lap.contract, self.answers)
        begin(self.lap, around)
        live_through(self.lap, around, Plan(Policy.TRIGGERED), print)

    def novelty(self) -> dict[tuple[int, str], float]:
        """Share of requested entities that were not known, by release and period."""
        groups: dict[tuple[int, str], list[bool]] = {}
        for one in self.answers:
            groups.setdefault((one.release, one.period), []).append(not one.known)
        return {key: sum(new) / len(new) for key, new in groups.items()}
