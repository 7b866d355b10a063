"""What a breach, or a warning, has led to before: so that it opens one cycle, and is not lost when it was held back.

A breach lasts, and monitoring looks often. The governor holds loops back for a time; a loop that it would hold back for a
reason that the ledger has already is not raised, one whose time has come is raised again.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from include.kreislauf.feedback.governed import governed
from include.kreislauf.feedback.governor import decide, passes
from include.kreislauf.feedback.past_loops import QUESTION, why_ask
from include.kreislauf.handovers import Edge, Loop
from include.kreislauf.requirements.contract import Governor
from include.kreislauf.store import cycles, messages
from include.kreislauf.store.cycles import State


@dataclass(frozen=True)
class Past:
    """What the same has led to before.

    Parameters
    ----------
    origin: of the cycle that a loop opens now; the same origin never opens a second one.
    decided: whether its newest period, or day, has had its cycle, or was turned down for good.
    refused: the last loop that was held back for a time; ``None``: there was none.
    reasons: why loops were held back.
    """

    origin: str
    decided: bool = False
    refused: Loop | None = None
    reasons: frozenset[str] = frozenset()

    def has_been_told(
        self, db: Connection, policy: Governor, as_of: datetime, edge: Edge | None = None
    ) -> bool:
        """Whether the governor would now hold a loop back for a reason that stands in the ledger.

        Parameters
        ----------
        edge: of the loop; ``None``: not known yet, presumably the last one's, or the question to a person.
        """
        if self.refused is None:
            return False
        if edge is None:
            edge = QUESTION if why_ask(db, self.refused.use_case, policy, as_of) else self.refused.edge
        again = self.refused.model_copy(update={"edge": edge, "as_of": as_of})
        answer = decide(again, governed(db, again, None), policy)
        return not answer.accepted and answer.text in self.reasons


def past_of(db: Connection, use_case: str, source: str, newest: str) -> Past:
    """What a breach or a warning has led to.

    Parameters
    ----------
    source: the release and metric it is of.
    newest: its newest period or day, as text.
    """
    known = cycles.opened_by(db, use_case, f"{source}/")
    proposed = [one for one in known if one.state is State.PROPOSED]
    held_back = [one for one in known if one.state is State.REFUSED and passes(one.note or "")]
    own = [one for one in known if one.origin.startswith(f"{source}/{newest}")]
    again = f"/{len(own)}" if own else ""
    loops = messages.loops_of(db, use_case, cycle_id=held_back[-1].cycle_id) if held_back else []
    return Past(
        origin=proposed[-1].origin if proposed else f"{source}/{newest}{again}",
        decided=any(one not in proposed and one not in held_back for one in own),
        refused=loops[0].loop if loops else None,
        reasons=frozenset(one.note or "" for one in held_back),
    )
