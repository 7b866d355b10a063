"""The cause of a breach where classes are predicted and requests carry all features: no entity is spoken of."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from include.kreislauf.feedback.looking import look, situation_of
from include.kreislauf.handovers import Edge, Reason, Stage, WorkOrder
from include.kreislauf.monitoring.diagnosis import Diagnosis, diagnose
from include.kreislauf.monitoring.judging import Pass, judge
from include.kreislauf.monitoring.verdicts import Judgement
from include.kreislauf.requirements.contract import Contract
from include.kreislauf.settings import Settings
from include.kreislauf.store.database import Store
from tests.support.plant import CHANGE, END, PLANT, START, Cause, history, log, plant_contract, promote

CONTRACT = plant_contract()
HITS = {"kind": "outcomes", "name": "hits", "measure": "hit", "threshold": 0.6, "maturity_days": 1,
        "test": {"bounds": [0, 1]}}  # fmt: skip
BREACH = Judgement("breach", 1.0, None, None, {}, "has fallen")
SEEDS = range(3)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(
        home=tmp_path, store_url="", tables_url="", tracking_url="none", signing_key="", trusted_keys=""
    )


@pytest.fixture
def store(settings: Settings) -> Store:
    store = Store(settings.store)
    store.upgrade()
    return store


def said(
    store: Store, settings: Settings, cause: Cause, seed: int, contract: Contract = CONTRACT
) -> Diagnosis:
    """The diagnosis of a breach at the end of a history."""
    release = promote(store, settings)
    log(store, history(cause, seed))
    order = WorkOrder(
        use_case=PLANT, cycle_id=release.cycle_id, contract_hash=contract.hash, as_of=END, started_by="test"
    )
    with store.read() as db:
        seen = look(db, order, contract, settings, END)
        assert seen is not None
        found = diagnose(situation_of(db, order, contract, seen, contract.business_metrics[0], BREACH))
    assert found is not None
    assert "entit" not in found.text
    assert not any("entit" in one.note for one in found.evidence)
    return found


@pytest.mark.parametrize("seed", SEEDS)
def test_a_new_kind_of_machine_goes_to_the_data_engineer_by_its_name(
    store: Store, settings: Settings, seed: int
) -> None:
    found = said(store, settings, "new_category", seed)
    assert (found.edge, found.reason) == (Edge.MONITORING_TO_DATA_ENGINEERING, Reason.NEW_CATEGORIES)
    assert "; new: kind 'd' (" in found.text


@pytest.mark.parametrize("seed", SEEDS)
def test_a_sensor_that_was_recalibrated_goes_to_the_preparation(
    store: Store, settings: Settings, seed: int
) -> None:
    found = said(store, settings, "recalibrated", seed)
    assert (found.reason, found.step) == (Reason.FEATURES_SHIFTED, Stage.PREPARATION)
    assert "requests with features: vibration " in found.text


@pytest.mark.parametrize("seed", SEEDS)
def test_a_stale_model_is_trained_again(store: Store, settings: Settings, seed: int) -> None:
    found = said(store, settings, "stale_model", seed)
    assert (found.reason, found.step) == (Reason.CHALLENGER_BETTER, Stage.TRAINING)
    assert "the champion's log_loss" in found.text
    units = {one.name: one.unit for one in found.evidence}
    assert (units["model_error"], units["model_error_at_promotion"]) == ("nats", "nats")


@pytest.mark.parametrize("seed", SEEDS)
def test_where_the_model_is_as_good_as_ever_the_owner_is_asked_or_no_cause_is_seen(
    store: Store, settings: Settings, seed: int
) -> None:
    """A hundred rare failures may look like more errors by chance: then nothing is claimed."""
    found = said(store, settings, "nothing", seed)
    wrong_requirement = (Edge.MONITORING_TO_REQUIREMENTS, Reason.METRIC_AND_MODEL_DISAGREE, True)
    default = (Edge.MONITORING_TO_DATA_ENGINEERING, Reason.BUSINESS_METRIC_FELL, False)
    may_have_risen = "may have risen" in {one.name: one.note for one in found.evidence}["model_error"]
    assert (found.edge, found.reason, found.sure) == (default if may_have_risen else wrong_requirement)


def test_a_metric_that_counts_the_models_mistakes_cannot_disagree_with_it(
    store: Store, settings: Settings
) -> None:
    contract = plant_contract(
        business_metrics=[HITS, CONTRACT.model_dump(mode="json")["business_metrics"][0]]
    )
    found = said(store, settings, "nothing", 0, contract)
    assert (found.reason, found.sure) == (Reason.BUSINESS_METRIC_FELL, False)


def test_decisions_of_a_stale_model_are_a_breach_and_those_before_were_not(
    store: Store, settings: Settings
) -> None:
    promote(store, settings)
    log(store, history("stale_model", 0))
    metric = CONTRACT.business_metrics[0]
    verdicts = []
    for as_of in (START + timedelta(days=CHANGE), END):
        with store.read() as db:
            look_at = Pass(PLANT, 1, START, as_of, CONTRACT.problem, CONTRACT.monitoring)
            verdicts.append(judge(db, metric, look_at).judgement.verdict)
    assert verdicts == ["healthy", "breach"]
