"""Train: search the best configuration of each family, predict the held-out rows with it, fit it on all that is known."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from include.kreislauf.errors import TrainingError
from include.kreislauf.handovers import Edge, Evidence, Handover, Loop, Reason, Stage, StepResult, WorkOrder
from include.kreislauf.preparation.cleaning import clean
from include.kreislauf.preparation.declared import features_of
from include.kreislauf.preparation.features import FeatureModule, columns_of, may_be_missing
from include.kreislauf.preparation.schemas import check_raw
from include.kreislauf.preparation.splits import Splits
from include.kreislauf.requirements.contract import Contract, canonical_json
from include.kreislauf.settings import Settings
from include.kreislauf.statistics.metrics import Metric, metric
from include.kreislauf.store.addresses import address_of, code_of, digest
from include.kreislauf.store.reuse import Reuse
from include.kreislauf.store.tables import Tables
from include.kreislauf.training.calibration import method_for
from include.kreislauf.training.design import Design, Rows
from include.kreislauf.training.earlier import EarlierModels
from include.kreislauf.training.families import WHERE, Candidate, configurations, size_of_space
from include.kreislauf.training.files import fault_of, save_candidates
from include.kreislauf.training.final import Trained, finish
from include.kreislauf.training.known import KnownTrials
from include.kreislauf.training.parallel import workers
from include.kreislauf.training.portions import Portions
from include.kreislauf.training.records import document, runs, tags
from include.kreislauf.training.search import Limits, Searched, search
from include.kreislauf.training.tracking import track

log = logging.getLogger(__name__)


def train(order: WorkOrder, contract: Contract, settings: Settings) -> StepResult:
    """Discipline 4. Fitted candidates with their held-out predictions, or a loop.

    Each attempt within a cycle doubles the breadth of the search: a loop that asks for new training tries more, against the
    best of the attempt before.

    Raises
    ------
    TrainingError: a family or one of its parameters is unknown, or a family is named twice.
    """
    return Training(order, contract, settings).result_or_earlier()


@dataclass(frozen=True)
class Training:
    """One training: the work of an order, whole or family by family."""

    order: WorkOrder
    contract: Contract
    settings: Settings

    @property
    def name(self) -> str:
        """Names the training within its use case."""
        return f"{self.order.cycle_id}-{self.order.attempt}"

    @cached_property
    def tried(self) -> dict[str, tuple[Candidate, ...]]:
        """The configurations of each family that this attempt may try, the default first."""
        asked = self.contract.training
        count = asked.configurations * 2 ** (self.order.attempt - 1)
        found = [configurations(one, self.design.task, count, asked.seed) for one in asked.candidates]
        names = [candidates[0].family for candidates in found]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise TrainingError(
                f"family {', '.join(twice)} is named twice", where=WHERE, allowed="each family once",
                next_step="put all of its values into one space",
            )  # fmt: skip
        return dict(zip(names, found, strict=True))

    @property
    def exhausted(self) -> bool:
        """Whether a further attempt could not try anything new."""
        sizes = [size_of_space(one) for one in self.contract.training.candidates]
        return all(len(found) >= size for found, size in zip(self.tried.values(), sizes, strict=True))

    @cached_property
    def frame(self) -> pd.DataFrame:
        """The feature version."""
        tables = Tables(self.settings.tables, self.order.use_case)
        return tables.read(self.order.inputs[Stage.PREPARATION])

    @cached_property
    def module(self) -> FeatureModule:
        """The use case's ``features.py``, or the features that its contract declares."""
        return features_of(self.contract, self.settings.use_cases)

    @cached_property
    def raw(self) -> pd.DataFrame | None:
        """The cleaned raw rows that the features were built from; ``None`` where their version is not known.

        Raises
        ------
        PreparationError: they break a rule.
        """
        version = self.order.inputs.get(Stage.COLLECTION)
        if not version:
            return None
        given = Tables(self.settings.tables, self.order.use_case).read(version)
        return clean(check_raw(given, self.contract), self.contract)[0]

    @cached_property
    def design(self) -> Design:
        """Columns and calendar: the features that are really in the version."""
        return Design.of(self.contract.problem, *columns_of(self.frame, self.module))

    @cached_property
    def rows(self) -> Rows:
        """The rows with known target."""
        return Rows.of(self.frame, self.design)

    @cached_property
    def splits(self) -> Splits:
        """The folds of the search, and those held out."""
        return self.rows.splits(self.contract.training)

    @cached_property
    def metric(self) -> Metric:
        """What the search and the gates go by."""
        return metric(self.contract.performance.metric)

    @cached_property
    def portions(self) -> Portions:
        """Where searched families are kept until the training is done."""
        basis = [self.order.inputs[Stage.PREPARATION], self.contract.hash, self.settings.code]
        folder = self.settings.artefacts / "search" / self.order.use_case / self.name
        return Portions(folder, canonical_json(basis))

    @cached_property
    def known(self) -> KnownTrials:
        """The trials on this feature version, of whichever attempt or cycle."""
        basis = {
            **code_of(Stage.TRAINING, self.settings, self.contract.name), "design": asdict(self.design),
            "features": self.order.inputs[Stage.PREPARATION],
        }  # fmt: skip
        return KnownTrials(self.settings.artefacts / "trials" / self.order.use_case, basis, self.order.fresh)

    @cached_property
    def reuse(self) -> Reuse:
        """The search of an earlier training that came to the same."""
        tried = [[one.family, dict(one.params)] for found in self.tried.values() for one in found]
        inputs = {
            "features": self.order.inputs[Stage.PREPARATION],
            "columns": ", ".join(self.design.names),
            "tried": f"{len(tried)} configurations ({digest(tried)})",
        }
        address = address_of(Stage.TRAINING, self.contract, self.settings, inputs)
        return Reuse(self.order, address, self.settings, self._fault)

    @cached_property
    def earlier(self) -> EarlierModels:
        """The final models of earlier trainings on the same rows."""
        asked = self.contract.training
        method, _ = method_for(self.rows, np.arange(len(self.rows.frame)), asked.calibration)
        return EarlierModels(self.reuse, asked.seed, method)

    def _fault(self, earlier: Handover) -> str:
        return fault_of(self.settings.artefacts, self.order.use_case, earlier.output)

    def result_or_earlier(self) -> StepResult:
        """An earlier training's result where nothing that it depends on has changed, else :meth:`result`."""
        return self.reuse.result(self.result)

    def search(self, families: Sequence[str]) -> dict[str, Searched]:
        """Search some families and keep what came of it; those searched before, by whomever, are not searched again."""
        with workers(self.settings) as n_jobs:
            return self._search(families, n_jobs)

    def _search(self, families: Sequence[str], n_jobs: int) -> dict[str, Searched]:
        known = {one: found for one in families if (found := self.portions.find(one))}
        left = {one: self.tried[one] for one in families if one not in known}
        asked = self.contract.training
        limits = Limits(asked.budget_seconds, asked.candidate_seconds)
        if left:
            log.info("searching %s: %s configurations", ", ".join(left), sum(map(len, left.values())))
            new = search(
                self.rows,
                left,
                self.splits.search,
                self.metric,
                seed=asked.seed,
                n_jobs=n_jobs,
                limits=limits,
                run_jobs=self.known.run,
                breadth=asked.configurations,
            )
            for one in new.values():
                self.portions.keep(one)
                log.info("%s: best of %s is %s", one.family, one.configurations, one.best and one.best.name)
            known |= new
        return {one: known[one] for one in families}

    def result(self) -> StepResult:
        """The handover, or the loop."""
        try:
            if not self.splits.held_out:
                raise TrainingError(
                    f"{len(self.rows.frame)} rows with known target leave nothing to hold out",
                    where=self.order.key, next_step="collect more periods, more entities, or rows of other classes",
                )  # fmt: skip
        except TrainingError as error:
            return StepResult(self._too_little(error), document=f"# Training stopped\n\n{error.text}\n")
        with workers(self.settings) as n_jobs:
            searched = self._search(list(self.tried), n_jobs)
            trained = finish(
                self.rows, self.splits, list(searched.values()), self.contract.training, n_jobs=n_jobs,
                run_jobs=self.known.run, earlier_models=self.earlier.find,
            )  # fmt: skip
        if not trained.models:
            return StepResult(self._all_failed(trained.failed), document=_stopped(trained.failed))
        return self._handover(trained, list(searched.values()))

    def _handover(self, trained: Trained, searched: Sequence[Searched]) -> StepResult:
        saved = save_candidates(
            self.settings.artefacts, self.order.use_case, self.name, tried=trained.candidates,
            models=trained.models, predictions=trained.predictions, index=self._index(trained, searched),
        )  # fmt: skip
        tracking = track(
            self.settings, self.order.use_case, self.name,
            runs(self.rows, trained, searched, self.metric, saved),
            tags(self.order, self.settings, saved),
        )  # fmt: skip
        self.portions.clear()
        self.known.forget_older()
        summary = {
            "candidates": [candidate.name for candidate in trained.candidates],
            "failed": trained.failed,
            "held_out": [fold.label for fold in self.splits.held_out],
            "trained_until": saved.index["trained_until"],
            "fits": sum(one.fits for one in searched),
            "trials": dict(self.known.count),
            "exhausted": self.exhausted,
            "tracking": {"runs": tracking.run_ids, "parent": tracking.parent, "note": tracking.note},
        }
        handover = self.order.handover(
            Stage.TRAINING, code_version=self.settings.code, output=saved.version, summary=summary
        )
        return StepResult(handover, document=document(self.contract, saved, trained, tracking))

    def _index(self, trained: Trained, searched: Sequence[Searched]) -> dict[str, Any]:
        known = self.rows.frame
        categories = {name: sorted(known[name].astype(str).unique()) for name in self.design.categorical}
        return {
            "features": self.order.inputs[Stage.PREPARATION],
            "numeric": list(self.design.numeric),
            "categorical": categories,
            "task": self.design.task,
            "classes": self.rows.classes,
            "may_be_missing": [one for one in self.design.numeric if one in may_be_missing(self.module)],
            "calibration": list(trained.calibration),
            "horizon": self.contract.problem.horizon,
            "trained_until": max(self.rows.blocks) if self.design.period else "",
            "as_of": self.order.as_of.isoformat(),
            "inputs": dict(self.order.inputs),
            "seed": self.contract.training.seed,
            "search": [one.account for one in searched],
            "failed": trained.failed,
            "exhausted": self.exhausted,
        }

    def _too_little(self, error: TrainingError) -> Loop:
        evidence = (
            Evidence(name="rows_with_target", value=float(self.frame["target"].notna().sum()), unit="rows"),
        )
        return self.order.loop(
            Edge.DATA_SCIENCE_TO_DATA_ENGINEERING, Reason.COVERAGE_TOO_LOW, error.text, evidence=evidence
        )  # fmt: skip

    def _all_failed(self, failed: Mapping[str, str]) -> Loop:
        evidence = tuple(Evidence(name=name, value=None, note=why) for name, why in failed.items())
        text = f"all candidates failed: {'; '.join(f'{name}: {why}' for name, why in failed.items())}"
        return self.order.loop(
            Edge.DATA_SCIENCE_TO_DATA_SCIENCE, Reason.PERFORMANCE_SHORT, text, evidence=evidence, step=Stage.TRAINING
        )  # fmt: skip


def _stopped(failed: Mapping[str, str]) -> str:
    lines = "\n".join(f"- `{name}`: {why}" for name, why in failed.items())
    return f"# Training stopped\n\nAll candidates failed.\n\n{lines}\n"
