"""A use case over the worlds of :mod:`include.kreislauf.simulation.drift`, so light that years of it take seconds.

Its disciplines are light: collection is what sources have shown in the last 30 days, training fits one logistic
regression, the release is its coefficients. Receipts, governor, monitoring and ledger are the product's own.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from sklearn.linear_model import LogisticRegression

from include.kreislauf.feedback.work import Step
from include.kreislauf.handovers import Stage, StepResult, WorkOrder
from include.kreislauf.periods import start_of
from include.kreislauf.replay.ring import LocalRing
from include.kreislauf.requirements.contract import Contract
from include.kreislauf.requirements.loading import contract_path, load_contract
from include.kreislauf.settings import Settings
from include.kreislauf.simulation.drift import NUMBERS, DriftWorld, Examples, Floats, Ints
from include.kreislauf.store import live, messages, observations
from include.kreislauf.store.database import Store
from include.kreislauf.store.live import ReleaseRow
from include.kreislauf.store.log_records import LoggedOutcome, stamp
from include.kreislauf.store.log_writer import write_outcomes

NAME = "drifting"
METRIC = "right_answers"
START = datetime(2020, 1, 1, tzinfo=UTC)
LEARNT_DAYS = 30
CONTRACT: dict[str, Any] = {
    "version": 1, "name": NAME, "title": "Yes or no", "owner": "the benchmark", "sign_off": "automatic",
    "purpose": "Answer yes or no to requests about entities, in a world that changes.",
    "problem": {"kind": "regression", "entity": "entity", "time": "day", "period": "month"},
    "sources": [{"kind": "table", "name": "shown", "url": "{data}/shown.csv", "columns": {"entity": {"type": "text"}, "day": {"type": "date"}}}],
    "training": {"candidates": [{"family": "ridge"}], "held_out_periods": 4},
    "performance": {"metric": "mae", "baseline": "persistence", "min_gain": 0.0},
    "business_metrics": [
        # the level that a model shows on examples it has not learnt from, rounded down
        {"kind": "outcomes", "name": METRIC, "measure": "hit", "tolerance": 0.5, "threshold": 0.75,
         "test": {"bounds": [0, 1], "reference": 0.82}},
        # every contract has one; these requests name nothing that could be recommended
        {"kind": "portfolio_uplift", "name": "uplift", "top": 1, "gate_threshold": -1, "threshold": -1,
         "window_periods": 1},
    ],
    # releases without files cannot be gone back to: a breach soon after a promotion goes to data engineering, too
    "monitoring": {"rollback_days": 0},
    "governor": {"cool_down_days": 14, "max_hops": 4},
}  # fmt: skip


def write_use_case(folder: Path) -> Contract:
    """Write the contract where a ring looks for it."""
    (folder / NAME).mkdir(parents=True, exist_ok=True)
    (folder / NAME / "contract.yaml").write_text(yaml.safe_dump(CONTRACT, sort_keys=False))
    return load_contract(contract_path(folder, NAME))


def day_of(moment: datetime) -> int:
    """Days from the start."""
    return (moment - START).days


@dataclass(frozen=True)
class Model:
    """A logistic regression with a taste of its own for every entity that it knows."""

    entities: int
    coefficients: Floats

    @classmethod
    def fitted(cls, examples: Examples) -> Model:
        """Learn from examples."""
        entities = int(examples.entities.max()) + 1
        inputs = _inputs(examples.entities, examples.numbers, entities)
        found = LogisticRegression(fit_intercept=False).fit(inputs, examples.outcomes)
        return cls(entities, found.coef_[0])

    def answers(self, examples: Examples) -> Floats:
        """1 for yes, 0 for no."""
        inputs = _inputs(examples.entities, examples.numbers, self.entities)
        return np.asarray(inputs @ self.coefficients > 0, dtype=np.float64)


@dataclass(frozen=True)
class Disciplines:
    """The disciplines of a ring in a world."""

    world: DriftWorld

    def steps(self) -> Mapping[Stage, Step]:
        """By stage what it does."""
        return {
            Stage.COLLECTION: self.collect,
            Stage.PREPARATION: self.prepare,
            Stage.TRAINING: self.train,
            Stage.EVALUATION: self.evaluate,
            Stage.DEPLOYMENT: self.deploy,
        }

    def collect(self, order: WorkOrder, *_: object) -> StepResult:
        """What sources have shown is known by its day."""
        return _handed(order, Stage.COLLECTION, str(day_of(order.as_of)))

    def prepare(self, order: WorkOrder, _: Contract, settings: Settings) -> StepResult:
        """The newest collection, where a loop came in without one."""
        return _handed(order, Stage.PREPARATION, order.inputs.get(Stage.COLLECTION) or _newest(settings))

    def train(self, order: WorkOrder, _: Contract, settings: Settings) -> StepResult:
        """Fit the model, and keep it as a file."""
        day = int(order.inputs.get(Stage.PREPARATION) or _newest(settings))
        model = Model.fitted(self.world.collected(day, LEARNT_DAYS))
        path = settings.artefacts / f"{order.cycle_id}-{order.attempt}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"entities": model.entities, "coefficients": model.coefficients.tolist()}))
        return _handed(order, Stage.TRAINING, path.name)

    def evaluate(self, order: WorkOrder, *_: object) -> StepResult:
        """There is one candidate."""
        return _handed(order, Stage.EVALUATION, order.inputs[Stage.TRAINING])

    def deploy(self, order: WorkOrder, _: Contract, settings: Settings) -> StepResult:
        """The coefficients become the live release."""
        store, now = Store(settings.store), settings.now()
        manifest = json.loads((settings.artefacts / order.inputs[Stage.EVALUATION]).read_text())
        with store.write() as db:
            version = live.next_version(db, NAME)
            live.save_release(db, ReleaseRow(
                NAME, version, order.cycle_id, order.attempt, "nowhere", "0" * 64, manifest, order.as_of, now
            ))  # fmt: skip
            live.promote(db, NAME, version, expected=live.live(db, NAME), cycle_id=order.cycle_id,
                         reason=order.reason or "a light release", as_of=order.as_of, now=now)  # fmt: skip
        return _handed(order, Stage.DEPLOYMENT, str(version))


@dataclass
class Days:
    """A world around one ring, some days a step; see :class:`~include.kreislauf.replay.surroundings.Surroundings`."""

    world: DriftWorld
    step: int = 1
    _models: dict[int, Model] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return f"the {self.world.drift} world"

    @property
    def times(self) -> list[datetime]:
        return [START + timedelta(days=day) for day in range(0, self.world.parameters.days + 1, self.step)]

    @property
    def changes(self) -> list[datetime]:
        return [START + timedelta(days=day) for day in self.world.changes]

    def reach(self, now: datetime) -> None:
        """What can be collected is asked for by its day."""

    def asks(self, ring: LocalRing, now: datetime) -> None:
        release = ring.live()
        assert release is not None
        if release.version not in self._models:
            self._models[release.version] = _model_of(release)
        model, rows = self._models[release.version], []
        for at, asked in self._since(now):
            known = asked.entities < model.entities
            answers = zip(known.tolist(), model.answers(asked).tolist(), strict=True)
            rows += [
                {"id": _id(at, number), "use_case": NAME, "release": release.version, "entity": None, "known": known,
                 "value": value, "period": start_of(at, "month"), "as_of": at + timedelta(minutes=number), "created_at": ring.now()}
                for number, (known, value) in enumerate(answers)
            ]  # fmt: skip
        with ring.store.write() as db:
            observations.save_predictions(db, rows)

    def happened(self, ring: LocalRing, now: datetime) -> None:
        observed, written = stamp(now), stamp(ring.now())
        rows = [
            LoggedOutcome(NAME, _id(at, number), outcome, observed, written)
            for at, asked in self._since(now - timedelta(days=self.step))
            for number, outcome in enumerate(asked.outcomes.tolist())
        ]
        with ring.store.write() as db:
            write_outcomes(db, rows)

    def _since(self, start: datetime) -> list[tuple[datetime, Examples]]:
        """The days of the step that begins at a time, with what is asked on them."""
        days = [start + timedelta(days=day) for day in range(self.step)]
        return [(day, self.world.requests(day_of(day))) for day in days]


def _inputs(entities: Ints, numbers: Floats, count: int) -> Floats:
    """The numbers for all entities, and once more in the columns of each one's own; (n, 3 + 3 * count)."""
    rows = np.zeros((len(entities), 1 + count, NUMBERS))
    rows[:, 0] = numbers
    known = np.flatnonzero(entities < count)
    rows[known, 1 + entities[known]] = numbers[known]
    return rows.reshape(len(entities), -1)


def _model_of(release: ReleaseRow) -> Model:
    return Model(release.manifest["entities"], np.array(release.manifest["coefficients"]))


def _handed(order: WorkOrder, stage: Stage, output: str) -> StepResult:
    return StepResult(order.handover(stage, code_version="light", output=output, summary={}))


def _newest(settings: Settings) -> str:
    with Store(settings.store).read() as db:
        found = messages.latest_handover(db, NAME, Stage.COLLECTION)
    assert found is not None
    return found.output


def _id(day: datetime, number: int) -> str:
    return f"{day:%Y-%m-%d}/{number:03d}"
