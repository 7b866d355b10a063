"""What stands in the store of one use case."""

from __future__ import annotations

from dataclasses import dataclass

from include.kreislauf.errors import ReleaseError
from include.kreislauf.handovers import Handover
from include.kreislauf.inference.served import Served, serve
from include.kreislauf.requirements.contract import Contract
from include.kreislauf.requirements.loading import contract_path, load_contract
from include.kreislauf.settings import Settings
from include.kreislauf.store import cycles, live, messages, observations
from include.kreislauf.store.cycles import Cycle, State
from include.kreislauf.store.database import Store
from include.kreislauf.store.live import ReleaseRow
from include.kreislauf.store.messages import LoopRow
from include.kreislauf.store.observations import Verdict
from include.kreislauf.store.release_files import LoadedRelease, load_row


@dataclass
class Standing:
    """The store of one use case, read.

    Parameters
    ----------
    use_case: the one that is meant where none is named.
    """

    settings: Settings
    store: Store
    use_case: str = "radar"

    @property
    def contract(self) -> Contract:
        """The contract as it stands in its file."""
        return load_contract(contract_path(self.settings.use_cases, self.use_case))

    def cycles(self, *states: State) -> list[Cycle]:
        """Cycles, oldest first."""
        with self.store.read() as db:
            return [one for one in cycles.all_cycles(db, self.use_case) if one.state in (states or State)]

    def loops(self, *states: str) -> list[LoopRow]:
        """The ledger, oldest first."""
        with self.store.read() as db:
            return messages.loops_of(db, self.use_case, states=states)

    def handovers(self, cycle_id: str) -> list[Handover]:
        """What was handed over in a cycle, oldest first."""
        with self.store.read() as db:
            return messages.handovers_of(db, self.use_case, cycle_id)

    def verdicts(self) -> list[Verdict]:
        """Every verdict, oldest first."""
        with self.store.read() as db:
            return observations.verdicts_of(db, self.use_case)

    def live(self) -> ReleaseRow | None:
        """The live release."""
        with self.store.read() as db:
            return live.live_release(db, self.use_case)

    def loaded(self) -> LoadedRelease:
        """The live release, verified.

        Raises
        ------
        ReleaseError: nothing is live, or it cannot be believed.
        """
        row = self.live()
        if row is None:
            raise ReleaseError(
                "nothing is live", where=self.use_case, next_step="look at the cycles that failed"
            )
        return load_row(self.settings, row)

    def served(self) -> Served:
        """The live release, ready to answer."""
        return serve(self.loaded())
