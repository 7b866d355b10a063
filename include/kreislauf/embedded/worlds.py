"""What lies outside the workflow during a run: the data it may collect, the requests it gets, and what then happened.

A world is a recorded panel that is replayed, or a simulated one. Panels are read through the use case's own feature
code, so that what a client sends is what the model was trained on.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol, cast

import httpx
import pandas as pd

from include.kreislauf.collection.table import read_table
from include.kreislauf.embedded.exchange import Answer, Asked, Happened, Outcomes, Report, Request
from include.kreislauf.periods import between, shift
from include.kreislauf.preparation.step import load_features
from include.kreislauf.requirements.contract import Contract, PortfolioUplift
from include.kreislauf.requirements.sources import TableSource
from include.kreislauf.simulation.server import NOW_PATH, mirrors
from include.kreislauf.statistics.business import recommended


@dataclass(frozen=True)
class Server:
    """A process that a world needs beside the stack.

    Parameters
    ----------
    ready: URL that answers when it is up.
    """

    argv: Sequence[str]
    ready: str


class World(Protocol):
    """The outside of the workflow at any time."""

    name: str
    contract: Contract

    @property
    def start(self) -> datetime:
        """The first cycle."""

    def span(self) -> tuple[datetime, datetime]:
        """Start of the first period and end of the newest one that the data show."""

    def times(self) -> list[datetime]:
        """Starts of the periods to live through, oldest first."""

    def changes(self) -> list[datetime] | None:
        """When the world changed, as an oracle would know it; ``None``: nobody knows."""

    def environment(self) -> Mapping[str, str]:
        """Settings by which an installation finds the world's data."""

    def connections(self) -> Mapping[str, str]:
        """By the name that the contract uses, the SQLAlchemy URLs of its databases."""

    def server(self) -> Server | None:
        """What must run beside the stack; ``None``: nothing."""

    def reach(self, now: datetime) -> None:
        """Time goes on: from here on, everything up to ``now`` can be collected."""

    def requests(self, now: datetime, collected: Collection[str] | None = None) -> list[Request]:
        """What clients ask from the start of a period to its end.

        Parameters
        ----------
        collected: entities that the workflow collects; only for these can a client have features. None: all.
        """

    def outcomes(self, now: datetime) -> Outcomes:
        """What has become known by now; of what was known long ago, it may be silent."""

    def reports(self, now: datetime, answers: Sequence[Answer]) -> list[Report]:
        """What users report of the period that ended, in which they followed the answers they had got."""


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

    def environment(self) -> Mapping[str, str]:
        """Where the recorded data lie."""
        return {"KREISLAUF_DATA": self.data}

    def connections(self) -> Mapping[str, str]:
        """A file needs none."""
        return {}

    def server(self) -> Server | None:
        """A file needs none."""
        return None

    def reach(self, now: datetime) -> None:
        """A recorded file is there as a whole: collection itself looks at no later row."""

    def changes(self) -> list[datetime] | None:
        """Of recorded years nobody knows."""
        return None

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

    def requests(self, now: datetime, collected: Collection[str] | None = None) -> list[Request]:
        """All at the start: every entity that the newest complete period shows, with features where there is enough
        history for them.
        """
        problem = self.contract.problem
        newest = shift(now, problem.calendar, -1)
        period = pd.Timestamp(newest).tz_convert(None)
        # features of one technology depend on what the others have: a client counts the ones that were collected
        known = self._panel if collected is None else self._panel[self._panel[problem.entity].isin(collected)]
        rows = self._features.build(known, now.date())
        own = rows[rows["period"] == period].set_index("entity")
        names = [*self._features.NUMERIC, *self._features.CATEGORICAL]
        features = cast("dict[str, dict[str, Any]]", own[names].to_dict("index"))
        changes = self._features.outcomes(self._panel, now.date())
        shown = changes.loc[changes["period"] == changes["period"].max(), "entity"]
        asked = [Asked(str(entity), features.get(entity)) for entity in sorted({*shown, *features})]
        return [Request(now, newest, asked)]

    def outcomes(self, now: datetime) -> Outcomes:
        """Realised changes of all entities, the ones that no model knows yet among them."""
        rows = self._features.outcomes(self._panel, now.date())
        periods = rows["period"].dt.tz_localize("UTC").dt.to_pydatetime()
        return {
            (str(entity), period): Happened(float(value), now)
            for entity, period, value in zip(rows["entity"], periods, rows["outcome"], strict=True)
        }

    def reports(self, now: datetime, answers: Sequence[Answer]) -> list[Report]:  # noqa: ARG002
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

    def environment(self) -> Mapping[str, str]:
        """The served sources instead of the real ones."""
        return {"KREISLAUF_MIRRORS": json.dumps(mirrors(self.url))}

    def server(self) -> Server:
        """The server of the world's sources."""
        argv = [
            sys.executable,
            "-m",
            "include.kreislauf.simulation.server",
            "--port",
            self.url.rpartition(":")[2],
        ]
        argv += ["--seed", str(self.seed), "--now", self.start.isoformat()]
        return Server(argv, f"{self.url}{NOW_PATH}")

    def reach(self, now: datetime) -> None:
        """Set the clock of the served sources."""
        answer = httpx.post(f"{self.url}{NOW_PATH}", json={"now": now.isoformat()}, trust_env=False)
        answer.raise_for_status()

    def changes(self) -> list[datetime]:
        """When technologies that had been a niche begin to take over: what a recommendation feels of the emergence."""
        parameters = self._world.parameters
        return [shift(parameters.emergence, "quarter", parameters.incubation_quarters)]

    def reports(self, now: datetime, answers: Sequence[Answer]) -> list[Report]:
        """Every simulated team reports once per quarter."""
        from include.kreislauf.simulation.teams import METRIC, report_productivity

        asked, period = (shift(now, self.contract.problem.calendar, count) for count in (-2, -1))
        known = {
            one.entity: one for one in answers if one.period == asked.isoformat() and one.value is not None
        }
        metric = self.contract.gate_metric
        if not known or not isinstance(metric, PortfolioUplift):
            return []
        values = [one.value or 0.0 for one in known.values()]
        chosen = [name for name, _ in recommended(values, list(known), metric.top)]
        release = next(iter(known.values())).release
        rows = report_productivity(self._world, period, chosen, release, seed=self.seed)
        return [Report(row.id, METRIC, release, row.value, row.period) for row in rows]
