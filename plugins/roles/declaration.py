"""Who may do what in which DAG, from the roles of the ring: the one declaration behind command, tests and page."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from include.kreislauf.handovers import PEOPLE, Edge, Role

CANARY = "canary"
"""The DAG that tries out an installation; it is there only where the canary is on."""

RING: tuple[str, ...] = tuple(Role)
EVERYTHING: frozenset[str] = frozenset((*RING, CANARY))


class Right(StrEnum):
    """What somebody may do in a DAG. Each right is of use only together with the ones before it."""

    SEE = "see"
    """The DAG, its runs, tasks, logs, XComs, questions and code."""
    START = "start"
    """Runs of it; FAB gives this only to those who may also pause it."""
    WORK = "work"
    """Clear tasks and runs, set their state, write notes, answer questions."""


@dataclass(frozen=True)
class AirflowRole:
    """A role of Airflow, and the DAGs it has rights in.

    Parameters
    ----------
    name: as Airflow shows it.
    starts: DAGs of which it may start runs.
    works: DAGs in which it may clear, set states and answer questions.
    person: whether people have it; they also see the website and what else helps them.
    """

    name: str
    starts: frozenset[str]
    works: frozenset[str]
    person: bool = True

    def may(self, right: Right, dag_id: str) -> bool:
        """Whether it has a right in a DAG of the ring, or in the canary's."""
        of = {Right.SEE: EVERYTHING, Right.START: self.starts, Right.WORK: self.works}
        return dag_id in of[right]

    @property
    def raises(self) -> tuple[Edge, ...]:
        """The loops that it may raise by hand: those of the DAGs it may start."""
        return tuple(edge for edge in Edge if edge.raised_by in self.starts)


def titled(people: str) -> str:
    """``product owner`` as Airflow's role ``Product Owner``."""
    return " ".join(word[0].upper() + word[1:] for word in people.split())


def _role_of(people: str) -> AirflowRole:
    own = frozenset(str(role) for role in Role if PEOPLE[role] == people)
    # whoever keeps the live system alive also tries it out
    keeps = own | {CANARY} if Role.MONITORING in own else own
    return AirflowRole(titled(people), starts=keeps, works=keeps)


WATCHER = AirflowRole(
    "Watcher", starts=frozenset({str(Role.MONITORING), CANARY}), works=frozenset(), person=False
)
"""For ``watch`` and ``canary``, which are machines: they start runs and look at them."""

ROLES: tuple[AirflowRole, ...] = (*map(_role_of, dict.fromkeys(PEOPLE.values())), WATCHER)
