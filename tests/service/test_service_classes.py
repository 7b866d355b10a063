"""Classes: labels, probabilities and actions, by all features or by entity; what is missing; outcomes by name."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from include.kreislauf.inference.served import MISSING
from include.kreislauf.preparation.declared import NOTHING
from include.kreislauf.service import quick
from include.kreislauf.statistics.decisions import Costs
from tests.service import kinds
from tests.service.conftest import Running, Start, World, serving
from tests.service.kinds import BINARY, CLASSES, HEAT, LOAD, SEVERAL, SITE, fitted, frame, rows

THEN = "2016-04-01T00:00:00Z"


@pytest.fixture(scope="module")
def module_world(empty_store: Path, tmp_path_factory: pytest.TempPathFactory) -> World:
    """A regression, two classes and three, all live."""
    world = World.live(tmp_path_factory.mktemp("classes"), empty_store)
    kinds.go_live(world, BINARY)
    kinds.go_live(world, SEVERAL)
    return world


@pytest.fixture(scope="module")
def service(module_world: World) -> Iterator[Running]:
    with serving(module_world) as running:
        yield running


def predictions(service: Running, use_case: str, *asked: dict[str, Any]) -> list[dict[str, Any]]:
    answer = service.predict(*asked, use_case=use_case)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["predictions"]
    return found


def refused(service: Running, use_case: str, row: dict[str, Any]) -> dict[str, str]:
    answer = service.predict(row, use_case=use_case)
    assert answer.status_code == 422, answer.text
    found: dict[str, str] = answer.json()["faults"][0]
    return found


@pytest.mark.parametrize("n", [1, 3, 40])
@pytest.mark.parametrize("use_case", [BINARY, SEVERAL])
def test_answers_are_the_models(service: Running, use_case: str, n: int) -> None:
    asked = rows(n, seed=n)
    shares = fitted(use_case).predict_proba(frame(asked))
    found = predictions(service, use_case, *({"features": one} for one in asked))
    for one, expected in zip(found, shares, strict=True):
        assert list(one["probabilities"]) == CLASSES[use_case]
        np.testing.assert_allclose(list(one["probabilities"].values()), expected, atol=1e-9)
        assert one["label"] == max(one["probabilities"], key=lambda name: one["probabilities"][name])
        place = CLASSES[use_case].index(one["label"])
        logged = one["probabilities"][CLASSES[use_case][1]] if use_case == BINARY else float(place)
        assert (one["value"], one["low"], one["high"], one["known"]) == (logged, None, None, True)
    assert len({one["label"] for one in found}) > 1 or n < 40


def test_the_action_is_the_one_that_costs_least(service: Running) -> None:
    found = predictions(service, BINARY, *({"features": one} for one in rows(60, seed=9)))
    costs = Costs.from_dict(kinds.COSTS)
    chosen = costs.chosen([one["value"] for one in found])
    assert [one["action"] for one in found] == [costs.names[place] for place in chosen]
    assert {one["action"] for one in found} == {"go_on", "inspect"}
    assert any(one["action"] == "inspect" and one["label"] == "runs" for one in found)


def test_without_a_matrix_there_is_no_action(service: Running) -> None:
    [found] = predictions(service, SEVERAL, {"entity": "thing 0"})
    assert found["action"] is None
    assert found["label"] in CLASSES[SEVERAL]


def test_numbers_have_neither_label_nor_probabilities(service: Running) -> None:
    [found] = predictions(service, "radar", {"entity": "rust"})
    assert set(found) == {"prediction_id", "entity", "known", "value", "low", "high"}


def test_an_entity_that_is_not_known_has_no_class(service: Running) -> None:
    [found] = predictions(service, SEVERAL, {"entity": "never heard of"})
    del found["prediction_id"]
    assert found == {
        "entity": "never heard of", "known": False, "value": None, "low": None, "high": None, "label": None,
        "probabilities": None, "action": None,
    }  # fmt: skip


def test_an_entity_is_answered_from_the_snapshot_or_its_own_features(service: Running) -> None:
    features = kinds.ENTITIES["thing 2"]
    by_name, by_features = predictions(
        service, SEVERAL, {"entity": "thing 2"}, {"entity": "thing 2", "features": features}
    )
    assert by_name["probabilities"] == by_features["probabilities"]


def test_where_all_features_are_sent_an_entity_is_a_label(service: Running, module_world: World) -> None:
    row = rows(1)[0]
    named, nameless, new = predictions(
        service, BINARY, {"entity": "press 7", "features": row}, {"features": row},
        {"entity": "press 8", "features": {**row, SITE: "west"}},
    )  # fmt: skip
    assert (named["entity"], named["known"], named["value"]) == ("press 7", True, nameless["value"])
    assert (new["entity"], new["known"]) == ("press 8", False)
    assert new["label"] in CLASSES[BINARY]
    logged = {one.id: one for one in module_world.rows()}
    stored = logged[named["prediction_id"]]
    assert (stored.entity, stored.value, stored.known) == ("press 7", named["value"], True)
    assert json.loads(stored.features) == row


def test_where_all_features_are_sent_a_name_is_not_enough(service: Running) -> None:
    found = refused(service, BINARY, {"entity": "press 7"})
    assert (found["field"], found["reason"]) == ("rows.0.features", "is missing")
    assert found["allowed"] == f"exactly these features: {HEAT}, {LOAD}, {SITE}"


def test_what_may_be_missing_is_sent_as_null(service: Running) -> None:
    gaps = {HEAT: None, LOAD: 0.5, SITE: None}
    filled = {**gaps, SITE: "missing"}
    one, two = predictions(service, BINARY, {"features": gaps}, {"features": filled})
    expected = fitted(BINARY).predict_proba(frame([filled]))[0]
    np.testing.assert_allclose(list(one["probabilities"].values()), expected, atol=1e-9)
    assert one["value"] == two["value"]
    assert one["known"] is True
    found = refused(service, BINARY, {"features": {**gaps, LOAD: None}})
    assert found["field"] == f"rows.0.features.{LOAD}"
    assert "null" not in found["allowed"]
    assert refused(service, BINARY, {"features": {**gaps, HEAT: "hot"}})["allowed"].endswith(", or null")
    assert "or null" in refused(service, BINARY, {"features": {**gaps, SITE: 7}})["allowed"]


def test_a_missing_category_has_one_name() -> None:
    assert MISSING == NOTHING


def test_names_of_any_kind_are_told_as_they_are(service: Running) -> None:
    row = rows(1)[0]
    del row[LOAD]
    lacking, unknown = (
        refused(service, BINARY, {"features": one}) for one in (row, {**rows(1)[0], "'; SELECT 1 🐙": 1})
    )
    assert lacking["field"] == f"rows.0.features.{LOAD}"
    assert unknown["field"] == "rows.0.features.'; SELECT 1 🐙"
    assert lacking["allowed"] == unknown["allowed"] == f"exactly these features: {HEAT}, {LOAD}, {SITE}"


ANY = st.one_of(st.none(), st.floats(-100, 100), st.sampled_from(["north", "west", ""]), st.booleans())
NAMES = st.sampled_from([HEAT, LOAD, SITE, "other"])
SOME = st.one_of(st.dictionaries(NAMES, ANY), st.fixed_dictionaries({
    HEAT: st.one_of(st.none(), st.floats(0, 100)), LOAD: st.floats(-3, 3), SITE: st.sampled_from(["north", "west", None]),
}))  # fmt: skip
ENTITY = st.sampled_from([None, "thing 1", "other"])
ROWS = st.lists(st.fixed_dictionaries({}, optional={"entity": ENTITY, "features": SOME}), min_size=1, max_size=3)  # fmt: skip


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(use_case=st.sampled_from([BINARY, SEVERAL]), asked=ROWS)
def test_law_both_ways_answer_the_same(service: Running, use_case: str, asked: list[dict[str, Any]]) -> None:
    quickly = service.predict(*asked, use_case=use_case)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(quick, "_read", lambda *_: None)
        slowly = service.predict(*asked, use_case=use_case)
    found = [one.json() for one in (quickly, slowly)]
    for one in found:
        for prediction in one.get("predictions", []):
            del prediction["prediction_id"]
    assert quickly.status_code == slowly.status_code
    assert found[0] == found[1]


@pytest.mark.parametrize("use_case", [BINARY, SEVERAL])
def test_scikit_learn_answers_alike(use_case: str, world: World, start: Start, service: Running) -> None:
    kinds.go_live(world, use_case, compiled=False)
    asked = [{"features": one} for one in rows(4, seed=5)]
    plain, fast = (predictions(one, use_case, *asked) for one in (start(world), service))
    for one, other in zip(plain, fast, strict=True):
        assert (one["label"], one["action"]) == (other["label"], other["action"])
        np.testing.assert_allclose(
            list(one["probabilities"].values()), list(other["probabilities"].values()), atol=1e-9
        )


@pytest.mark.parametrize("compiled", [True, False])
def test_a_class_that_training_never_saw_has_no_probability(
    compiled: bool, world: World, start: Start
) -> None:
    names = [*CLASSES[BINARY], "burns"]
    kinds.go_live(world, BINARY, compiled=compiled, kind="multiclass", classes=names, decision=None)
    row = rows(1)[0]
    [found] = predictions(start(world), BINARY, {"features": row})
    expected = [*fitted(BINARY).predict_proba(frame([row]))[0], 0.0]
    assert list(found["probabilities"]) == names
    np.testing.assert_allclose(list(found["probabilities"].values()), expected, atol=1e-9)


@pytest.mark.parametrize(
    ("sent", "stored"), [("red", 0.0), ("blue", 2.0), (1, 1.0), (2.0, 2.0)]
)  # fmt: skip
def test_outcomes_are_classes_by_name_or_position(
    service: Running, module_world: World, sent: Any, stored: float
) -> None:
    [found] = predictions(service, SEVERAL, {"entity": "thing 1"})
    outcome = {"prediction_id": found["prediction_id"], "value": sent, "observed_at": THEN}
    answer = service.client.post(f"/v1/{SEVERAL}/outcomes", json={"outcomes": [outcome]})
    assert (answer.status_code, answer.json()["results"][0]["result"]) == (200, "stored")
    values = {one.prediction_id: one.value for one in module_world.rows("outcomes")}
    assert values[found["prediction_id"]] == stored


@pytest.mark.parametrize("value", ["purple", "", "1", 3, -1, 0.5])
def test_what_is_no_class_is_refused_and_the_classes_are_named(service: Running, value: Any) -> None:
    outcomes = [{"prediction_id": "p", "value": one, "observed_at": THEN} for one in ("red", value)]
    answer = service.client.post(f"/v1/{SEVERAL}/outcomes", json={"outcomes": outcomes})
    fault = answer.json()["faults"][0]
    assert (answer.status_code, fault["field"]) == (422, "outcomes.1.value")
    if value != "":
        assert fault["allowed"] == "red, green, blue; or its position, 0 to 2"


def test_a_class_is_no_outcome_of_a_number(service: Running) -> None:
    outcome = {"prediction_id": "p", "value": "red", "observed_at": THEN}
    answer = service.client.post("/v1/radar/outcomes", json={"outcomes": [outcome]})
    assert answer.json()["faults"] == [
        {"field": "outcomes.0.value", "reason": "is not a number", "allowed": "a finite number"}
    ]


@pytest.mark.parametrize(("use_case", "why"), [(BINARY, "no entities are kept"), (SEVERAL, "have no order")])
def test_what_cannot_be_ranked_says_why(service: Running, use_case: str, why: str) -> None:
    answer = service.client.get(f"/v1/{use_case}/ranking")
    assert answer.status_code == 404
    assert answer.json()["error"].endswith(why)


def test_two_classes_by_entity_are_ranked_by_the_second(world: World, start: Start) -> None:
    kinds.go_live(world, BINARY, requests="entity")
    service = start(world)
    found = service.client.get(f"/v1/{BINARY}/ranking").json()["ranking"]
    values = [one["value"] for one in found]
    assert values == sorted(values, reverse=True)
    assert {one["entity"] for one in found} == set(kinds.ENTITIES)
    asked = predictions(service, BINARY, *({"entity": one["entity"]} for one in found))
    assert [one["probabilities"][CLASSES[BINARY][1]] for one in asked] == values


def test_a_release_tells_its_problem(service: Running) -> None:
    assert service.client.get(f"/v1/{BINARY}/release").json()["problem"] == kinds.PROBLEMS[BINARY]
    assert service.client.get("/v1/radar/release").json()["problem"] == {}


def test_metrics_have_no_labels_of_classes(service: Running) -> None:
    text = service.client.get("/metrics").text
    assert f'kreislauf_predictions_total{{arm="champion",use_case="{BINARY}"}}' in text
    assert not [name for name in (*CLASSES[SEVERAL], "inspect") if f'"{name}"' in text]
