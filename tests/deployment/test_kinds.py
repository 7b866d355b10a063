"""Releases of classes, and of rows whose requests bring all features: what is in them, and what they are compared by."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from jsonschema import Draft202012Validator
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import RandomForestClassifier
from sklearn.pipeline import Pipeline

from include.kreislauf.deployment.business import judge_business
from include.kreislauf.deployment.canary import judge_canary
from include.kreislauf.deployment.comparing import compared_by
from include.kreislauf.deployment.contents import (
    GOLDEN_ROWS,
    Contents,
    contents_of,
    problem_of,
)
from include.kreislauf.deployment.delivery import Delivery
from include.kreislauf.deployment.manifest import schemas
from include.kreislauf.deployment.note import release_note
from include.kreislauf.deployment.shadow import judge_shadow
from include.kreislauf.evaluation.winner import Winner
from include.kreislauf.inference.compiled import COMPILED, from_files
from include.kreislauf.inference.predictor import values_of
from include.kreislauf.inference.problem import ServedProblem
from include.kreislauf.preparation.encoder import FeatureEncoder
from include.kreislauf.requirements.contract import Contract
from include.kreislauf.requirements.delivery import Canary, Shadow
from include.kreislauf.settings import Settings
from include.kreislauf.statistics.verdicts import Verdict
from include.kreislauf.store import observations, release_files, rollouts
from include.kreislauf.store.database import Store
from tests.deployment.trying import NAME, START, Trying, section
from tests.support.examples import prediction, release

CLASSES = {"binary": ["stays", "leaves"], "multiclass": ["red", "green", "a|b"]}
ACTIONS = {
    "do_nothing": {"stays": 0.0, "leaves": 100.0},
    "call": {"stays": 10.0, "leaves": 30.0},
}
TEST = {"bounds": [-100, 100]}
VALUE = {"kind": "decision_value", "name": "saved", "actions": ACTIONS, "without": "do_nothing",
         "gate_threshold": 0.0, "threshold": 0.0, "test": TEST}  # fmt: skip
HIT = {"kind": "outcomes", "name": "hits", "measure": "hit", "gate_threshold": 0.5, "threshold": 0.5,
       "test": {"bounds": [0, 1]}}  # fmt: skip


def contract_of(kind: str, requests: str = "features", *metrics: dict[str, Any]) -> Contract:
    columns = {"id": {"type": "text"}, "a": {"type": "number"}, "c": {"type": "text"}, "y": {"type": "text"}}
    return Contract.model_validate({
        "version": 1, "name": NAME, "title": "Kinds", "purpose": "Test.", "owner": "tests",
        "problem": {"kind": kind, "classes": CLASSES[kind], "entity": "id", "target": "y", "requests": requests},
        "sources": [{"kind": "table", "name": "rows", "url": "rows.csv", "columns": columns}],
        "training": {"candidates": [{"family": "random_forest"}]},
        "performance": {"metric": "log_loss", "baseline": "prior", "min_gain": 0.0},
        "business_metrics": list(metrics or (HIT,)), "governor": {"cool_down_days": 1, "max_hops": 2},
    })  # fmt: skip


@pytest.fixture(scope="module", params=["binary", "multiclass"])
def winner(request: pytest.FixtureRequest) -> tuple[str, Winner]:
    """A corrected forest over 80 rows, of which each is about an entity of its own."""
    kind = request.param
    rng = np.random.default_rng(4)
    frame = pd.DataFrame({
        "entity": [f"e{place:03d}" for place in range(80)], "a": rng.normal(size=80),
        "c": rng.choice(["x", "y", "missing"], 80),
    })  # fmt: skip
    target = (frame["a"] > 0).astype(float) + (frame["c"] == "x") * (kind == "multiclass")
    frame.loc[5, "a"] = np.nan
    forest = RandomForestClassifier(7, min_samples_leaf=3, random_state=0)
    model = CalibratedClassifierCV(forest, method="isotonic", ensemble=False, cv=3)
    pipeline = Pipeline([("encode", FeatureEncoder(["a"], ["c"])), ("model", model)])
    made = Winner(
        family="random_forest", params={}, model=pipeline.fit(frame[["a", "c"]], target), numeric=["a"],
        categorical={"c": ["missing", "x", "y"]}, features=frame, trained_until="", inputs={"candidates": "c@1"},
        classes=tuple(CLASSES[kind]), may_be_missing=("a", "left out"),
    )  # fmt: skip
    return kind, made


def parsed(made: Contents, name: str) -> Any:
    return json.loads(made.files[name])


def made_of(winner: tuple[str, Winner], requests: str, *metrics: dict[str, Any]) -> Contents:
    kind, won = winner
    return contents_of(won, problem_of(won, contract_of(kind, requests, *metrics)))


def test_where_requests_bring_all_features_no_entity_is_kept(winner: tuple[str, Winner]) -> None:
    made = made_of(winner, "features")
    assert (parsed(made, release_files.SNAPSHOT), made.entities) == ({}, 0)
    assert len(parsed(made, release_files.GOLDEN)["rows"]) > GOLDEN_ROWS
    made = made_of(winner, "entity")
    assert (set(parsed(made, release_files.SNAPSHOT)), made.entities) == (
        set(winner[1].features["entity"]),
        80,
    )


def test_golden_rows_hold_the_probabilities_of_every_class(winner: tuple[str, Winner]) -> None:
    kind, won = winner
    made = made_of(winner, "features")
    golden = parsed(made, release_files.GOLDEN)
    frame = pd.DataFrame(golden["rows"]).astype({"a": float})
    np.testing.assert_allclose(golden["probabilities"], won.model.predict_proba(frame))
    np.testing.assert_array_equal(golden["outputs"], values_of(np.array(golden["probabilities"])))
    assert {len(one) for one in golden["probabilities"]} == {len(CLASSES[kind])}
    assert (made.engine["kind"], made.engine["rows"]) == ("compiled", len(frame) + 80)
    assert COMPILED in made.files
    compiled = from_files(made.files).predictor()
    np.testing.assert_allclose(compiled.probabilities(golden["rows"]), golden["probabilities"], atol=1e-9)


def test_the_manifests_problem_is_the_contracts(winner: tuple[str, Winner]) -> None:
    kind = winner[0]
    metrics = (VALUE, HIT) if kind == "binary" else (HIT,)
    kept = made_of(winner, "features", *metrics).problem.to_dict()
    decision = {"actions": ACTIONS, "without": "do_nothing", "classes": CLASSES["binary"], "per": 1.0}
    assert kept == {
        "kind": kind, "classes": CLASSES[kind], "requests": "features", "entity": True, "may_be_missing": ["a"],
        "decision": decision if kind == "binary" else None,
    }  # fmt: skip
    assert ServedProblem.of({"problem": json.loads(json.dumps(kept))}).to_dict() == kept
    assert ServedProblem.of({}) == ServedProblem()


def test_the_schemas_take_what_is_missing_and_describe_the_answer(winner: tuple[str, Winner]) -> None:
    kind, won = winner
    metrics = (VALUE,) if kind == "binary" else (HIT,)
    found = schemas(won, problem_of(won, contract_of(kind, "features", *metrics)))
    takes, answers = (Draft202012Validator(found[name]).is_valid for name in ("input", "output"))
    assert takes({"a": None, "c": None})
    assert not takes({"a": "1", "c": "x"})
    names = CLASSES[kind]
    shares = {name: 1 / len(names) for name in names}
    answer = {"value": 1.0, "label": names[1], "probabilities": shares,
              "action": "call" if kind == "binary" else None}  # fmt: skip
    assert answers(answer)
    assert not answers({**answer, "label": "another"})
    assert not answers({**answer, "probabilities": {names[0]: 1.0}})
    assert not answers({**answer, "action": "another"})


def test_the_note_tells_classes_and_decisions() -> None:
    problem = {
        "kind": "binary", "classes": CLASSES["binary"], "requests": "features", "entity": True,
        "may_be_missing": ["a"],
        "decision": {"actions": ACTIONS, "without": "do_nothing", "classes": CLASSES["binary"], "per": 1.0},
    }  # fmt: skip
    row = release(2, use_case=NAME)
    row.manifest["problem"] = problem
    note = release_note(contract_of("binary", "features", VALUE), row, release(1, use_case=NAME))
    assert "- classes: `stays`, `leaves` (the last one's probability is logged)" in note
    assert "- requests: bring all features; no entities are kept" in note
    assert "- numbers that may be missing: `a`" in note
    assert (
        "| action | stays | leaves |\n|---|---|---|\n| `do_nothing` | 0 | 100 |\n| `call` | 10 | 30 |" in note
    )
    assert "Changed against the release before." in note
    assert "entities known" not in note


def test_the_note_of_classes_without_a_matrix_has_no_part_on_decisions() -> None:
    row = release(2, use_case=NAME)
    row.manifest["problem"] = ServedProblem("multiclass", tuple(CLASSES["multiclass"])).to_dict()
    note = release_note(contract_of("multiclass"), row, None)
    assert "- classes: `red`, `green`, `a|b`\n" in note
    assert "## Decisions" not in note


# Comparisons

Triple = tuple[float, float, float]
"""What release 2 predicted, what release 1 did, and what happened."""


def tried(store: Store, contract: Contract, rows: list[Triple], *, same: bool = True) -> Trying:
    """Release 2 beside release 1, on the same rows (unseen) or on different ones (as a canary)."""
    world = Trying(store, contract.model_copy(update={"delivery": section()}))
    world.challenger()
    own = {"use_case": NAME, "entity": None, "created_at": START, "as_of": START}
    with store.write() as db:
        for mine, theirs, happened in rows:
            logged = [prediction(**own, release=1, arm="champion" if same else "baseline", value=theirs)]
            logged += [] if same else [prediction(**own, release=2, arm="canary", value=mine)]
            observations.save_predictions(db, logged)
            for row in logged:
                assert observations.save_outcome(db, row["id"], happened, START, START) == "stored"
            if same:
                shadow = {"prediction_id": logged[0]["id"], "release": 2, "use_case": NAME, "value": mine}
                rollouts.save_shadow(db, [{**shadow, "created_at": START}])
    return world


def judged(world: Trying, days: float = 0.0) -> Any:
    with world.store.read() as db:
        return judge_business(db, world.rollout(), world.contract, 0.9, START + timedelta(days=days))


def rows_of(mine: float, theirs: float, happened: float) -> list[Triple]:
    """Forty rows, in which the first class happens every fifth time."""
    return [(mine, theirs, happened if place % 5 else 0.0) for place in range(40)]


@pytest.mark.parametrize("same", [True, False])
@pytest.mark.parametrize(("mine", "verdict"), [(0.05, Verdict.FAIL), (0.9, Verdict.PASS)])
def test_decisions_are_compared_by_what_they_save(
    store: Store, same: bool, mine: float, verdict: Verdict
) -> None:
    contract = contract_of("binary", "features", VALUE)
    found = judged(tried(store, contract, rows_of(mine, 0.95 - mine, 1.0), same=same))
    assert found[0] is verdict
    # of 40 rows 32 leave: calling costs 30 and not 100; 8 stay: it costs 10 for nothing
    gained = (32 * 70 - 8 * 10) / 40
    assert found[2].value == pytest.approx(gained if verdict is Verdict.PASS else -gained)
    assert found[2].note.endswith("40 predictions, on the same rows" if same else "40 and 40 predictions")
    assert found[2].name == "saved_difference"


@pytest.mark.parametrize("same", [True, False])
@pytest.mark.parametrize(("mine", "theirs", "verdict"), [(1.0, 2.0, Verdict.FAIL), (2.0, 1.0, Verdict.PASS)])
def test_hits_of_classes_are_compared(
    store: Store, same: bool, mine: float, theirs: float, verdict: Verdict
) -> None:
    found = judged(tried(store, contract_of("multiclass"), rows_of(mine, theirs, 2.0), same=same))
    assert (found[0], found[2].name, found[2].value) == (
        verdict, "hits_difference", pytest.approx(0.8 if mine == 2.0 else -0.8),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "said"),
    [("binary", "squared error of the probability × "), ("multiclass", "share of wrong classes +0.8 ")],
)
def test_without_a_metric_of_predictions_the_error_of_the_kind_decides(kind: str, said: str) -> None:
    contract = contract_of(kind)
    assert compared_by(contract)[0].name == "hits"
    bare = contract.model_copy(update={"business_metrics": ()})
    paired, apart = compared_by(bare)
    assert paired == apart
    assert said.startswith(paired.said)
    told, happened = ([0.25, 1.0], [1.0, 1.0]) if kind == "binary" else ([2.0, 1.0], [1.0, 1.0])
    expected = [0.5625, 0.0] if kind == "binary" else [1.0, 0.0]
    assert paired.values(told, happened).tolist() == expected


def test_what_happens_alone_is_compared_between_the_arms_only() -> None:
    sold = {**HIT, "name": "sold", "measure": "outcome", "gate_threshold": None}
    paired, apart = compared_by(contract_of("binary", "features", sold, HIT))
    assert (paired.name, apart.name) == ("hits", "sold")


def test_outcomes_count_when_they_are_mature(store: Store) -> None:
    contract = contract_of("multiclass", "features", {**HIT, "maturity_days": 3})
    world = tried(store, contract, rows_of(1.0, 2.0, 2.0))
    assert judged(world, days=2)[1] == "no reports and no outcomes yet"
    assert judged(world, days=4)[0] is Verdict.FAIL


def test_an_outcome_of_no_class_is_left_out(store: Store) -> None:
    rows = [*rows_of(1.0, 2.0, 2.0), *[(1.0, 2.0, 7.0)] * 9]
    assert "; 40 predictions" in judged(tried(store, contract_of("multiclass"), rows))[2].note


@pytest.mark.parametrize(("limit", "verdict"), [(0.2, Verdict.PASS), (0.1, Verdict.FAIL)])
def test_shadow_classes_differ_or_do_not(store: Store, limit: float, verdict: Verdict) -> None:
    contract = contract_of("multiclass")
    world = tried(store, contract, [(2.0 if place < 3 else 0.0, 0.0, 0.0) for place in range(20)])
    asked = Shadow(min_rows=10, max_hours=1, max_difference=limit)
    with store.read() as db:
        found = judge_shadow(db, world.rollout(), contract.problem, asked, START)
    assert found.verdict is verdict
    assert "a share of 0.15 is of another class" in found.text
    assert [one.name for one in found.numbers] == ["shadow_rows", "other_class", "novelty"]


OWN = {"kind": "own", "name": "earned", "gate_threshold": 0.5, "threshold": 0.5, "options": {"price": 2.0},
       "test": {"bounds": [-10, 10]}, "unit": "euros"}  # fmt: skip
EARNED = "def earned(predicted, happened, options):\n    return options['price'] * (predicted == happened)\n"


def judged_by_own_code(world: Trying, folder: Path) -> Any:
    with world.store.read() as db:
        return judge_business(db, world.rollout(), world.contract, 0.9, START, folder)


@pytest.mark.parametrize("same", [True, False])
def test_a_use_cases_own_metric_compares_as_in_the_lab(store: Store, tmp_path: Path, same: bool) -> None:
    (tmp_path / "metrics.py").write_text(EARNED)
    contract = contract_of("multiclass", "features", OWN)
    verdict, text, evidence = judged_by_own_code(
        tried(store, contract, rows_of(2.0, 1.0, 2.0), same=same), tmp_path
    )
    assert (verdict, evidence.name, evidence.value) == (Verdict.PASS, "earned_difference", pytest.approx(1.6))
    assert text.startswith("earned +1.6 euros against the champion")


@pytest.mark.parametrize("code", [None, "def earned(predicted, happened, options):\n    raise OSError\n"])
def test_where_own_code_fails_the_business_is_not_known(
    store: Store, tmp_path: Path, code: str | None
) -> None:
    if code:
        (tmp_path / "metrics.py").write_text(code)
    world = tried(store, contract_of("multiclass", "features", OWN, HIT), rows_of(2.0, 1.0, 2.0))
    verdict, text, evidence = judged_by_own_code(world, tmp_path)
    assert (verdict, evidence.value) == (Verdict.INCONCLUSIVE, None)
    assert text.startswith("the metric cannot be had: ")


def test_a_canary_is_judged_by_the_code_of_its_use_case(store: Store, tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, use_cases=tmp_path)
    (tmp_path / NAME).mkdir()
    (tmp_path / NAME / "metrics.py").write_text(EARNED)
    contract = contract_of("multiclass", "features", OWN)
    world = tried(store, contract, rows_of(2.0, 1.0, 2.0), same=False)
    folder = Delivery.of(world.order(1), contract, settings, 2).folder
    asked = Canary(share=0.2, min_requests=50, business=True, max_hours=1)
    with store.read() as db:
        found = judge_canary(db, world.rollout(), contract, asked, START + timedelta(hours=2), folder)
    assert "earned +1.6 euros against the champion" in found.text
