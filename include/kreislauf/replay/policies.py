"""When a replay sends the work back: never, by the calendar, as monitoring and the governor say, or with foresight."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from include.kreislauf.errors import KreislaufError
from include.kreislauf.handovers import MACHINE, Edge, Loop
from include.kreislauf.replay.surroundings import Surroundings

EDGE = Edge.MONITORING_TO_DATA_ENGINEERING
"""The loop that a schedule and an oracle ask for: the workflow's main one."""


class ReplayError(KreislaufError):
    """A replay cannot be carried out as asked."""


class Policy(StrEnum):
    """Who decides that the work goes back to data engineering."""

    NEVER = "never"  # the first release stays
    SCHEDULED = "scheduled"  # the calendar, whatever the verdict says
    TRIGGERED = "triggered"  # monitoring, and the governor
    ORACLE = "oracle"  # somebody who knows when the world changed


@dataclass(frozen=True)
class Plan:
    """A policy with what it needs to know.

    Parameters
    ----------
    every: steps from one scheduled loop to the next.
    changes: when the world changed; only an oracle looks.
    checks: steps from one check to the next, where no check can change anything and it only fills the ledger.
    """

    policy: Policy
    every: int = 3
    changes: Sequence[datetime] = ()
    checks: int = 1

    def looks(self, step: int) -> bool:
        """Whether the live release is judged at a step."""
        return self.policy is Policy.TRIGGERED or step % self.checks == 0

    def turned_down(self, loop: Loop) -> str:
        """Why a loop that monitoring raises is not taken up; empty: the governor decides."""
        if self.policy is Policy.TRIGGERED or loop.by != MACHINE:
            return ""
        return f"policy {self.policy}, whatever monitoring finds"

    def due(self, step: int, before: datetime, now: datetime) -> str:
        """Why the work goes back at a step, whatever the verdict says; empty: it does not.

        Parameters
        ----------
        step: number of the step, the first is 0.
        before: time of the step before.
        """
        if self.policy is Policy.SCHEDULED and step % self.every == 0:
            return f"every {self.every} steps"
        if self.policy is Policy.ORACLE and any(before < change <= now for change in self.changes):
            return "the world has changed"
        return ""


def plan_of(policy: Policy, around: Surroundings, every: int) -> Plan:
    """The plan of a policy in some surroundings.

    Raises
    ------
    ReplayError: an oracle where nobody knows when the world changed, or a schedule without steps.
    """
    if every < 1:
        raise ReplayError(f"{every} steps from one loop to the next", where="--every", allowed="1 or more")
    if policy is not Policy.ORACLE:
        return Plan(policy, every)
    if around.changes is None:
        others = ", ".join(one for one in Policy if one is not Policy.ORACLE)
        raise ReplayError(
            f"{around.name} does not say when the world changed: the best choice in hindsight is not defined",
            where="--policy oracle", allowed=others, next_step="leave --data out to replay a simulated world",
        )  # fmt: skip
    return Plan(policy, every, tuple(around.changes))
