"""Models that an earlier training has fitted on the same rows: a wider search fits only new finalists on all rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from sklearn.pipeline import Pipeline

from include.kreislauf.errors import ReleaseError, TrainingError
from include.kreislauf.handovers import Handover, Stage
from include.kreislauf.requirements.contract import canonical_json
from include.kreislauf.store import messages
from include.kreislauf.store.database import Store
from include.kreislauf.store.reuse import LOOKED_AT, Reuse
from include.kreislauf.training.families import Candidate
from include.kreislauf.training.files import CandidateSet, load_candidates

ONLY_OF_THE_SEARCH = ("tried", "contract training", "contract performance.metric")
"""What an address names beside the rows and the code: it says which candidate is fitted, and not how."""


@dataclass(frozen=True)
class EarlierModels:
    """The models of a use case's trainings on the same rows with the same code.

    Parameters
    ----------
    reuse: the order and the address of the training that needs them.
    seed, calibration: of its fits.
    """

    reuse: Reuse
    seed: int
    calibration: str

    def find(self, candidate: Candidate) -> Pipeline | None:
        """A candidate's model, verified against the digests of its handover; ``None`` where there is none that is whole."""
        for name, found in self._sets.get(_key(candidate), []):
            try:
                model: Pipeline = found.model(name)
            except ReleaseError:
                continue
            return model
        return None

    @cached_property
    def _sets(self) -> dict[str, list[tuple[str, CandidateSet]]]:
        """By candidate the sets that have its model, the newest first, and its name there."""
        order, settings = self.reuse.order, self.reuse.settings
        if order.fresh:
            return {}
        with Store(settings.store).read() as db:
            newest = messages.newest_handovers(db, order.use_case, Stage.TRAINING, LOOKED_AT)
        by_candidate: dict[str, list[tuple[str, CandidateSet]]] = {}
        for output in dict.fromkeys(one.output for one in newest if self._same_rows(one)):
            try:
                found = load_candidates(settings.artefacts, order.use_case, output)
            except TrainingError:
                continue
            if (found.index["seed"], found.index["calibration"][0]) == (self.seed, self.calibration):
                for one in found.candidates:
                    by_candidate.setdefault(_key(one), []).append((one.name, found))
        return by_candidate

    def _same_rows(self, earlier: Handover) -> bool:
        return bool(earlier.basis) and _of_rows(earlier.basis) == _of_rows(self.reuse.address.basis)


def _of_rows(basis: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in basis.items() if name not in ONLY_OF_THE_SEARCH}


def _key(candidate: Candidate) -> str:
    return canonical_json([candidate.family, dict(candidate.params)])
