"""A metric over the whole history, where classes are predicted: by the measures of the verdicts, whatever the log holds."""

from __future__ import annotations

from datetime import timedelta

import pytest

from include.kreislauf.monitoring.history import history_of
from include.kreislauf.store import observations
from include.kreislauf.store.database import Store
from tests.support.examples import NOW, prediction
from tests.support.plant import PLANT, plant_contract

CONTRACT = plant_contract()


def happened(store: Store, value: float | None, outcome: float) -> None:
    row = prediction(use_case=PLANT, entity=None, value=value, as_of=NOW, period=NOW)
    with store.write() as db:
        observations.save_predictions(db, [row])
        observations.save_outcome(db, row["id"], outcome, NOW, NOW)


def test_decisions_are_shown_by_what_they_saved_without_what_no_such_problem_knows(store: Store) -> None:
    for value, outcome in ((0.9, 1.0), (0.01, 0.0), (None, 1.0), (0.9, 7.0), (1.5, 1.0)):
        happened(store, value, outcome)
    with store.read() as db:
        [line] = history_of(db, CONTRACT, CONTRACT.business_metrics[0], NOW + timedelta(days=1))
    assert (line.value, line.observations) == (pytest.approx((800 - 160) / 8 / 2), 2)
