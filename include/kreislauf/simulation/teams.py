"""Simulated development teams: they use what was recommended, and report how productive they were.

A technology that more and more people adopt has answers, libraries and colleagues; one that loses them costs
time. So productivity follows the growth of the recommended technologies relative to that of all, new ones
included: a recommendation that misses a wave loses by standing still.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from math import tanh

import numpy as np

from include.kreislauf.simulation import SimulationError
from include.kreislauf.simulation.technologies import World

METRIC = "development_productivity"
AVERAGE = 100.0
_STREAM = 5


@dataclass(frozen=True)
class TeamReport:
    """What one team reports for one quarter.

    Parameters
    ----------
    id: the same for the same (seed, team, quarter, release), so that a report sent twice counts once.
    team: name of the team.
    value: productivity (index points); 100 is a team that uses the average technology.
    period: start of the quarter, UTC.
    """

    id: str
    team: str
    value: float
    period: datetime


def report_productivity(
    world: World, quarter: datetime, recommended: Sequence[str], release: int, *, teams: int = 12,
    seed: int = 0,
) -> list[TeamReport]:  # fmt: skip
    """Reports of all teams that used the recommended technologies for a whole quarter, sorted by team.

    Parameters
    ----------
    world: the world that the teams work in.
    quarter: any moment of the quarter; the reports are due at its end.
    recommended: technologies that were recommended at the start of the quarter, any order.
    release: number of the release that recommended them; goes into the ids only.
    teams: how many teams report. More teams do not change what the others report.
    seed: of the teams' noise.

    Raises
    ------
    SimulationError: as :func:`expected_productivity`, or ``teams`` is below 1, or ``seed`` is negative.
    """
    if teams < 1 or seed < 0:
        raise SimulationError(
            f"{teams} teams with seed {seed}", where="report_productivity",
            allowed="1 team or more, seed 0 or more",
        )  # fmt: skip
    expected = expected_productivity(world, quarter, recommended)
    index = world.index_of(quarter)
    noise = np.random.default_rng([seed, _STREAM, index]).normal(0.0, world.parameters.team_noise, teams)
    period = world.quarters[index]
    return [
        TeamReport(
            id=f"{METRIC}:s{seed}:t{number:03d}:{period:%Y-%m-%d}:r{release}",
            team=f"team-{number:03d}", value=round(expected + deviation, 1), period=period,
        )
        for number, deviation in enumerate(noise.tolist(), start=1)
    ]  # fmt: skip


def expected_productivity(world: World, quarter: datetime, recommended: Sequence[str]) -> float:
    """Productivity (index points) without any team's noise.

    Returns
    -------
    100 + range * tanh(uplift / scale). The uplift is the mean change of log adoption over the quarter of the
    recommended technologies minus that of all. It is bounded: no choice of tools doubles a team's output.

    Raises
    ------
    SimulationError: the quarter lies outside the simulated time or is its first; a technology is named twice
        or did not exist when it was recommended; none is named.
    """
    growth = world.growth(quarter)
    if not growth:
        raise SimulationError(
            "nothing has grown yet in the first simulated quarter", where="quarter",
            allowed=f"after {world.quarters[0]:%Y-%m-%d}",
        )  # fmt: skip
    if not recommended or len(set(recommended)) != len(recommended):
        raise SimulationError(
            f"recommended are {list(recommended)}", allowed="one technology or more, each once"
        )
    if unknown := sorted(set(recommended) - set(growth)):
        raise SimulationError(
            f"{', '.join(unknown)} did not exist before {quarter:%Y-%m-%d}", where="recommended",
            allowed="technologies that the panel showed in the quarter before",
        )  # fmt: skip
    uplift = float(np.mean([growth[name] for name in recommended]) - np.mean(list(growth.values())))
    parameters = world.parameters
    return AVERAGE + parameters.productivity_range * tanh(uplift / parameters.productivity_scale)
