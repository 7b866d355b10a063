"""A metric of a use case's own code is judged as any other; where the code cannot be had, it is never healthy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from include.kreislauf.monitoring.history import history_of
from include.kreislauf.monitoring.judging import digest
from include.kreislauf.requirements.business import OwnMetric
from include.kreislauf.requirements.monitoring import Outcomes, SequentialTest
from include.kreislauf.store.database import Store
from tests.monitoring.test_judging import BAD, GOOD, NUMBERS, Log
from tests.preparation.tables import table_contract

KEPT = """
def kept(predicted, happened, options):
    return (happened >= options["least"]).astype(float)
"""
TEST = SequentialTest(bounds=(0.0, 1.0), reference=0.8)
OWN = OwnMetric(kind="own", name="kept", threshold=0.7, test=TEST, options={"least": 0.5})
RATE = Outcomes(kind="outcomes", name="rate", measure="outcome", threshold=0.7, test=TEST)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "metrics.py").write_text(KEPT)
    return tmp_path


@pytest.fixture
def log(store: Store) -> Log:
    return Log(store, OWN)


def told(judgement: Any) -> tuple[Any, ...]:
    return judgement.verdict, judgement.value, judgement.evidence, judgement.observations


@pytest.mark.parametrize("values", [GOOD, BAD])
def test_the_verdict_is_that_of_the_same_number_from_the_core(log: Log, folder: Path, values: Any) -> None:
    log.comes(*values * 60)
    found = log.judged(folder=folder).judgement
    log.metric = RATE
    assert told(found) == told(log.judged().judgement)
    assert found.verdict == ("healthy" if values is GOOD else "breach")


def test_passes_give_what_one_pass_gives(log: Log, folder: Path) -> None:
    for _ in range(10):
        log.comes(*GOOD * 6)
        log.passes(folder=folder)
    again = Log(log.store, OWN.model_copy(update={"name": "kept"}), hours=log.hours)
    assert told(log.said[-1]) == told(again.judged(folder=folder).judgement)


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (None, "has no metrics.py"),
        ("def kept(a, b, options):\n    return options['most']\n", "metrics.py, line 2: kept fails: KeyError: 'most'"),
        ("def other(): pass\n", "kept is missing"),
    ],
)  # fmt: skip
def test_where_the_code_fails_nothing_is_said_nor_lost(log: Log, folder: Path, code: Any, said: str) -> None:
    log.comes(*GOOD * 60)
    assert log.passes(folder=folder).verdict == "healthy"
    path = folder / "metrics.py"
    path.unlink() if code is None else path.write_text(code)
    log.comes(*BAD * 60)
    failed = log.judged(folder=folder)
    assert failed.judgement.verdict == "inconclusive"
    assert failed.judgement.text.startswith("the metric cannot be had: ")
    assert said in failed.judgement.text
    assert failed.memories == []
    path.write_text(KEPT)
    assert log.passes(folder=folder).observations == 600


def test_without_its_folder_it_is_inconclusive(log: Log) -> None:
    log.comes(*GOOD)
    found = log.judged().judgement
    assert (found.verdict, "cannot be reached here" in found.text) == ("inconclusive", True)


def test_other_code_begins_anew(log: Log, folder: Path) -> None:
    log.comes(*GOOD * 60)
    log.passes(folder=folder)
    (folder / "metrics.py").write_text(KEPT.replace(">=", "<"))
    found = log.passes(folder=folder)
    assert (found.value, found.observations) == (pytest.approx(0.2, abs=0.01), 300)


def test_what_counts_for_the_memory_is_code_and_options(folder: Path) -> None:
    first = digest(OWN, NUMBERS, folder)
    assert digest(OWN.model_copy(update={"gate_threshold": 0.7, "unit": "x"}), NUMBERS, folder) == first
    assert digest(OWN.model_copy(update={"options": {"least": 0.4}}), NUMBERS, folder) != first
    assert digest(OWN.model_copy(update={"name": "other"}), NUMBERS, folder) != first
    assert digest(OWN, NUMBERS) != first


def test_values_out_of_the_bounds_are_left_out_and_counted(log: Log, folder: Path) -> None:
    (folder / "metrics.py").write_text("def kept(a, b, options):\n    return b * 2\n")
    log.comes(*[0.25] * 57, *[1.0] * 3)
    found = log.judged(folder=folder).judgement
    assert (found.value, found.observations) == (pytest.approx(0.5), 57)
    assert found.text.endswith("3 values left out")


def test_its_history_is_measured_likewise(log: Log, folder: Path) -> None:
    log.comes(*GOOD)
    contract = table_contract(
        {"y": "number", "x": "number"}, {"target": "y"}, name="radar",
        business_metrics=[{**OWN.model_dump(mode="json"), "gate_threshold": 0.5}],
    )  # fmt: skip
    with log.store.read() as db:
        [line] = history_of(db, contract, contract.business_metrics[0], log.now, folder)
    assert (line.value, line.observations) == (pytest.approx(0.8), 5)
