"""What lies outside the workflow during a run: the data it may collect, the requests it gets, and what then happened.

Two worlds share one form: the real panel (replayed), and a simulated one, whose sources answer over HTTP in the real
ones' formats. Both are read through the use case's own feature code, so that what a client sends is what the model was
trained on.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol, cast

import httpx
import pandas as pd

from include.kreislauf.collection.table import read_table
from include.kreislauf.periods import between, shift
from include.kreislauf.preparation.step import load_features
from include.kreislauf.requirements.contract import Contract
from include.kreislauf.requirements.sources import TableSource


@dataclass(frozen=True)
class Asked:
    """One row of a request: an entity, with its features where the client has them."""

    entity: str
    features: dict[str, Any] | None


@dataclass(frozen=True)
class Report:
    """A business metric that a user of the recommendation reports."""

    id: str
    metric: str
    release: int
    value: float
    period: datetime


class World(Protocol):
    """The outside of the workflow at any time."""

    name: str
    data: str
    start: datetime

    def span(self) -> tuple[datetime, datetime]:
        """Start of the first period and end of the newest one that the data show."""

    def times(self) -> list[datetime]:
        """Starts of the periods to live through, oldest first."""

    def reach(self, now: datetime) -> None:
        """Time goes on: from here on, everything up to ``now`` can be collected."""

    def asked(self, now: datetime, collected: Collection[str] | None = None) -> list[Asked]:
        """What clients ask at the start of a period: every entity that the newest complete period shows.

        Parameters
        ----------
        collected: entities that the workflow collects; only for these can a client have features. None: all.
        """

    def outcomes(self, now: datetime) -> dict[tuple[str, datetime], float]:
        """What has become known by now: (entity, period) -> realised change."""

    def reports(self, period: datetime, recommended: Sequence[str], release: int) -> list[Report]:
        """What users report of a period in which they followed a recommendation."""


@dataclass
class PanelWorld:
    """A panel file replayed: at each time it shows only what was known then."""

    contract: Contract
    use_cases: Path
    data: str
    start: datetime
    end: datetime | None = None
    name: str = "the recorded panel"
    _panel: pd.DataFrame = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._panel = self._observed()
        self._features = load_features(self.use_cases, self.contract.name)

    def _observed(self) -> pd.DataFrame:
        """All that the world will ever show, as the raw panel."""
        far = datetime.max.replace(year=2200, tzinfo=self.start.tzinfo)
        (source,) = self.contract.sources
        assert isinstance(source, TableSource)  # noqa: S101 - that is what the recorded variant is
        return read_table(source, self.contract.problem, self.data, far)

    def reach(self, now: datetime) -> None:
        """A recorded file is there as a whole: collection itself looks at no later row."""

    def span(self) -> tuple[datetime, datetime]:
        """Start of the first period and end of the newest one that the data show."""
        problem = self.contract.problem
        days = self._panel[problem.time].dt.tz_localize("UTC")
        return days.min().to_pydatetime(), shift(days.max().to_pydatetime(), problem.calendar, 1)

    def times(self) -> list[datetime]:
        """From the start to the end of the newest period, or to ``end``."""
        period = self.contract.problem.calendar
        count = between(self.start, self.end or self.span()[1], period)
        return [shift(self.start, period, number) for number in range(count + 1)]

    def asked(self, now: datetime, collected: Collection[str] | None = None) -> list[Asked]:
        """What all sources show in the newest period, with features where there is enough history for them."""
        problem = self.contract.problem
        period = pd.Timestamp(shift(now, problem.calendar, -1)).tz_convert(None)
        # features of one technology depend on what the others have: a client counts the ones that were collected
        known = self._panel if collected is None else self._panel[self._panel[problem.entity].isin(collected)]
        rows = self._features.build(known, now.date())
        newest = rows[rows["period"] == period].set_index("entity")
        names = [*self._features.NUMERIC, *self._features.CATEGORICAL]
        features = cast("dict[str, dict[str, Any]]", newest[names].to_dict("index"))
        changes = self._features.outcomes(self._panel, now.date())
        shown = changes.loc[changes["period"] == changes["period"].max(), "entity"]
        return [Asked(str(entity), features.get(entity)) for entity in sorted({*shown, *features})]

    def outcomes(self, now: datetime) -> dict[tuple[str, datetime], float]:
        """Realised changes of all entities, the ones that no model knows yet among them."""
        rows = self._features.outcomes(self._panel, now.date())
        periods = rows["period"].dt.tz_localize("UTC").dt.to_pydatetime()
        return {
            (str(entity), period): float(value)
            for entity, period, value in zip(rows["entity"], periods, rows["outcome"], strict=True)
        }

    def reports(self, period: datetime, recommended: Sequence[str], release: int) -> list[Report]:  # noqa: ARG002
        """Nobody reported anything in the recorded years."""
        return []


@dataclass
class SimulatedWorld(PanelWorld):
    """A seeded world with technologies that emerge and teams that report; its sources are served over HTTP.

    Parameters
    ----------
    url: where the world is served (:mod:`~include.kreislauf.simulation.server`); time goes on there, too.
    """

    seed: int = 0
    url: str = ""
    name: str = "a simulated world"

    def _observed(self) -> pd.DataFrame:
        from include.kreislauf.simulation.panel import observed_panel
        from include.kreislauf.simulation.technologies import simulate

        self._world = simulate(self.seed)
        return observed_panel(self._world, self.start)

    def reach(self, now: datetime) -> None:
        """Set the clock of the served sources."""
        from include.kreislauf.simulation.server import NOW_PATH

        answer = httpx.post(f"{self.url}{NOW_PATH}", json={"now": now.isoformat()}, trust_env=False)
        answer.raise_for_status()

    def changes(self) -> list[datetime]:
        """When technologies that had been a niche begin to take over: what a recommendation feels of the emergence."""
        parameters = self._world.parameters
        return [shift(parameters.emergence, "quarter", parameters.incubation_quarters)]

    def reports(self, period: datetime, recommended: Sequence[str], release: int) -> list[Report]:
        """Every simulated team reports once per quarter."""
        from include.kreislauf.simulation.teams import METRIC, report_productivity

        rows = report_productivity(self._world, period, recommended, release, seed=self.seed)
        return [Report(row.id, METRIC, release, row.value, row.period) for row in rows]
