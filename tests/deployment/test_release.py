"""A release: its files, what it says of itself, the note for people, and its verification."""

from __future__ import annotations

import dataclasses
import json
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd
import pytest
from jsonschema import Draft202012Validator
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.linear_model import Ridge
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder

from include.kreislauf.deployment import contents as contents_module
from include.kreislauf.deployment.contents import (
    GOLDEN_ROWS,
    NUMBERS,
    UNSEEN,
    Contents,
    contents_of,
)
from include.kreislauf.deployment.manifest import libraries, manifest_of, schemas
from include.kreislauf.deployment.note import release_note
from include.kreislauf.deployment.release import make_release, release_alone, verify_release
from include.kreislauf.errors import ReleaseError
from include.kreislauf.evaluation.winner import Winner, load_winner
from include.kreislauf.handovers import Stage, WorkOrder
from include.kreislauf.inference.compiled import COMPILED
from include.kreislauf.inference.served import serve
from include.kreislauf.preparation.encoder import FeatureEncoder
from include.kreislauf.store import live, messages, release_files
from include.kreislauf.store.contracts import SignOff, record_sign_off
from include.kreislauf.store.live import ReleaseRow
from include.kreislauf.store.signing import SigningKey
from tests.support.lap import Lap

AS_OF = datetime(2016, 1, 1, tzinfo=UTC)
CHAIN = (Stage.COLLECTION, Stage.PREPARATION, Stage.TRAINING, Stage.EVALUATION)
NUMERIC, CATEGORICAL = ["stars", "share"], {"kind": ["framework", "language"]}
TRAINING = "c0001-2016-01-01-1@" + "0" * 64


@lru_cache
def features() -> pd.DataFrame:
    """Thirty entities in two periods; some know no share, one no kind."""
    rng = np.random.default_rng(3)
    names = [f"tech{number:02d}" for number in range(30)]
    made = pd.DataFrame({
        "entity": names * 2, "period": ["2015-07-01"] * 30 + ["2015-10-01"] * 30,
        "stars": rng.integers(0, 900, 60).astype(float), "share": rng.normal(size=60),
        "kind": rng.choice(CATEGORICAL["kind"], 60).tolist(),
    })  # fmt: skip
    made.loc[[31, 40], "share"] = np.nan
    made.loc[[33], "share"] = np.inf
    made.loc[[35], "kind"] = None
    return made


def winner(model: Any, encoder: Any = None, **changed: Any) -> Winner:
    """A winner with a model that has learnt from all rows."""
    frame = features()
    columns = [*NUMERIC, *CATEGORICAL]
    target = (
        frame["stars"] / 100 + (frame["kind"] == "language") + frame["share"].replace(np.inf, 0).fillna(0.5)
    )
    pipeline = Pipeline([("encode", encoder or FeatureEncoder(NUMERIC, list(CATEGORICAL))), ("model", model)])
    made = Winner(
        family="ridge", params={"alpha": 1.0}, model=pipeline.fit(frame[columns], target), numeric=NUMERIC,
        categorical=CATEGORICAL, features=frame, trained_until="2015-07-01",
        inputs={"collection": "raw@3", "preparation": "features@4", "candidates": TRAINING},
    )  # fmt: skip
    return dataclasses.replace(made, **changed)


def parsed(made: Contents, name: str) -> Any:
    return json.loads(made.files[name])


# Files


def test_the_snapshot_has_the_newest_features_of_every_entity():
    snapshot = parsed(contents_of(winner(Ridge())), release_files.SNAPSHOT)
    newest = features().iloc[30:].set_index("entity")
    assert set(snapshot) == set(newest.index)
    assert all(row["stars"] == newest.loc[entity, "stars"] for entity, row in snapshot.items())


def test_what_is_missing_or_infinite_is_none_and_never_nan():
    made = contents_of(winner(Ridge()))
    snapshot = parsed(made, release_files.SNAPSHOT)
    assert [snapshot[name]["share"] for name in ("tech01", "tech03", "tech10")] == [None] * 3
    assert snapshot["tech05"]["kind"] is None
    assert all(b"NaN" not in made.files[name] for name in (release_files.SNAPSHOT, release_files.GOLDEN))


def test_the_profile_says_how_every_feature_was_spread():
    profile = parsed(contents_of(winner(Ridge())), release_files.PROFILE)
    frame = features()
    assert set(profile) == {*NUMERIC, *CATEGORICAL}
    assert {sum(one["counts"]) for one in profile.values()} == {len(frame)}
    assert profile["share"]["counts"][-1] == frame["share"].replace([np.inf, -np.inf], np.nan).isna().sum()
    assert profile["kind"]["categories"] == sorted(frame["kind"].dropna().unique())


def test_golden_rows_are_real_ones_and_those_at_the_edge():
    golden = parsed(contents_of(winner(Ridge())), release_files.GOLDEN)
    real, edges = golden["rows"][:GOLDEN_ROWS], golden["rows"][GOLDEN_ROWS:]
    assert len(real) == GOLDEN_ROWS
    assert [one["stars"] for one in edges] == [None, real[0]["stars"], real[0]["stars"], None]
    assert [one["kind"] for one in edges] == [real[0]["kind"], UNSEEN, None, UNSEEN]
    assert len(golden["outputs"]) == len(golden["rows"])


def test_edges_that_the_model_refuses_are_no_golden_rows():
    strict = ColumnTransformer([("n", "passthrough", ["stars"]), ("c", OneHotEncoder(), ["kind"])])
    made = winner(Ridge(), strict, features=features().iloc[30:].dropna())
    golden = parsed(contents_of(made), release_files.GOLDEN)
    assert all(row["stars"] is not None and row["kind"] in CATEGORICAL["kind"] for row in golden["rows"])
    assert len(golden["rows"]) == GOLDEN_ROWS


@pytest.mark.parametrize("model", [Ridge(), HistGradientBoostingRegressor(max_iter=20)])
def test_what_can_be_compiled_is_compiled_and_says_how_close_it_comes(model: Any):
    made = contents_of(winner(model))
    assert COMPILED in made.files
    assert (made.engine["kind"], made.engine["reason"]) == ("compiled", "")
    assert made.engine["parity"] <= 1e-9
    assert made.engine["rows"] == made.entities + len(parsed(made, release_files.GOLDEN)["rows"])


def test_what_cannot_be_compiled_is_left_to_scikit_learn_and_says_why():
    made = contents_of(winner(KNeighborsRegressor(3), family="nearest_neighbours"))
    assert set(made.files) == {
        release_files.MODEL, release_files.SNAPSHOT, release_files.GOLDEN, release_files.PROFILE,
    }  # fmt: skip
    assert (made.engine["kind"], made.engine["parity"]) == ("scikit-learn", None)
    assert "nearest_neighbours" in made.engine["reason"]
    assert "KNeighborsRegressor" in made.engine["reason"]


def test_a_compiler_that_breaks_costs_no_release(monkeypatch: pytest.MonkeyPatch):
    def breaks(*_: Any, **__: Any) -> None:
        raise ValueError("no such tree")

    monkeypatch.setattr(contents_module, "compile_model", breaks)
    made = contents_of(winner(Ridge()))
    assert made.engine["kind"] == "scikit-learn"
    assert made.engine["reason"] == "cannot be compiled: ValueError: no such tree"


def test_a_model_that_predicts_no_number_is_not_released():
    made = winner(Ridge())
    made.model.named_steps["model"].intercept_ = float("inf")
    with pytest.raises(ReleaseError, match="the model predicts inf") as caught:
        contents_of(made)
    assert caught.value.allowed == "finite numbers"


def test_the_same_winner_gives_the_same_files():
    made = winner(HistGradientBoostingRegressor(max_iter=20, random_state=0))
    assert contents_of(made) == contents_of(made)


# The manifest


def evaluated(lap: Lap) -> WorkOrder:
    """An order with a training that was tracked and an evaluation, as the disciplines before hand them over."""
    order = lap.order(AS_OF)
    tracking = {"runs": {"ridge:alpha1": "run7", "other": "run8"}, "parent": "run1", "note": ""}
    metrics, interval = {"mae": 0.5, "uplift": 0.25}, {"level": 0.8, "half_width": 0.1, "coverage": 0.82}
    said = {"metrics": metrics, "prediction_interval": interval, "decision": "ridge:alpha1 passes"}
    chosen = f"{TRAINING}#ridge:alpha1"
    with lap.store.write() as db:
        for stage, output, summary in (
            (Stage.TRAINING, TRAINING, {"tracking": tracking}),
            (Stage.EVALUATION, chosen, said),
        ):
            handover = order.handover(stage, code_version="1", output=output, summary=summary)  # type: ignore[arg-type]
            messages.save_handover(db, handover, "", AS_OF)
    return order.model_copy(update={"inputs": {Stage.EVALUATION: chosen}})


def test_a_manifest_says_what_the_release_was_made_from(scripted: Lap):
    order, made = evaluated(scripted), winner(Ridge())
    contents = contents_of(made)
    found = manifest_of(order, made, contents, 7, scripted.store, scripted.settings)
    assert found["inputs"] == made.inputs
    assert found["mlflow"] == {"run": "run7", "training": "run1"}
    assert found["approver"] == {"by": "test", "how": "person"}
    assert (found["metrics"]["mae"], found["interval"]["half_width"]) == (0.5, 0.1)
    assert (found["engine"], found["entities"]) == (contents.engine, 30)
    assert (found["contract_hash"], found["code_version"]) == (scripted.contract.hash, scripted.settings.code)
    assert set(found["libraries"]) == {"python", "scikit-learn", "numpy", "pandas", "treelite"}
    assert json.loads(json.dumps(found, allow_nan=False)) == found


def test_a_manifest_without_tracking_or_signature_says_so(scripted: Lap):
    order = scripted.order(AS_OF).model_copy(
        update={"inputs": {Stage.EVALUATION: f"{TRAINING}#ridge:alpha1"}}
    )
    made = winner(Ridge())
    with scripted.store.write() as db:
        no = SignOff("rejected", "Ada", "person")
        record_sign_off(db, order.use_case, order.contract_hash, no, AS_OF)
    found = manifest_of(order, made, contents_of(made), 7, scripted.store, scripted.settings)
    assert (found["mlflow"], found["approver"], found["metrics"], found["interval"]) == ({}, {}, {}, {})


def test_the_input_schema_takes_what_the_model_takes():
    schema = schemas(winner(Ridge()), NUMBERS)["input"]
    Draft202012Validator.check_schema(schema)
    takes = Draft202012Validator(schema).is_valid
    row = {"stars": 9, "share": 0.5, "kind": "language"}
    assert takes(row)
    assert takes({**row, "kind": "a kind that training never saw"})
    for wrong in ({"kind": 1}, {"kind": ""}, {"stars": "9"}, {"more": 1}):
        assert not takes({**row, **wrong})
    assert not takes({"stars": 9, "share": 0.5})


def test_the_output_schema_is_one_of_an_object():
    schema = schemas(winner(Ridge()), NUMBERS)["output"]
    Draft202012Validator.check_schema(schema)
    assert Draft202012Validator(schema).is_valid({"value": 0.5})


# Making and verifying


@pytest.fixture
def released(scripted: Lap) -> tuple[Lap, ReleaseRow]:
    """A release of a boosted model, made but not live."""
    order = evaluated(scripted)
    return scripted, make_release(
        order, winner(HistGradientBoostingRegressor(max_iter=20)), scripted.store, scripted.settings
    )


def test_a_release_is_recorded_as_it_stands_on_the_disk(released: tuple[Lap, ReleaseRow]):
    lap, row = released
    with lap.store.read() as db:
        assert live.find_release(db, lap.use_case, row.version) == row
    loaded = release_files.load_row(lap.settings, row)
    assert loaded.manifest == row.manifest
    assert row.path == f"releases/{lap.use_case}/0001-{row.cycle_id}-1"
    assert loaded.signed_by == SigningKey.of(lap.settings).id


def test_a_release_is_verified_and_tells_what_was_checked(released: tuple[Lap, ReleaseRow]):
    lap, row = released
    found = verify_release(row, lap.settings)
    assert (found.version, found.digest, found.engine) == (1, row.digest, "compiled")
    assert found.signed_by == SigningKey.of(lap.settings).id
    assert found.files == len(row.manifest["files"]) == 6
    assert found.golden_rows == GOLDEN_ROWS + 4
    assert found.text.startswith(f"{lap.use_case} release 1: signed by ")


def test_a_release_answers_with_and_without_its_compiled_model_alike(released: tuple[Lap, ReleaseRow]):
    lap, row = released
    loaded = release_files.load_row(lap.settings, row)
    files = {name: content for name, content in loaded.files.items() if name != COMPILED}
    slow = serve(dataclasses.replace(loaded, files=files))
    assert (serve(loaded).kind, slow.kind) == ("compiled", "scikit-learn")
    rows = loaded.golden["rows"]
    assert np.allclose(serve(loaded).predict(rows), slow.predict(rows), rtol=1e-9, atol=0)


def test_golden_rows_that_come_out_otherwise_are_refused(scripted: Lap, monkeypatch: pytest.MonkeyPatch):
    honest = contents_module._golden

    def shifted(*args: Any) -> Any:
        golden = honest(*args)
        return {**golden, "outputs": [value + 0.01 for value in golden["outputs"]]}

    monkeypatch.setattr(contents_module, "_golden", shifted)
    row = make_release(evaluated(scripted), winner(Ridge()), scripted.store, scripted.settings)
    with pytest.raises(ReleaseError, match=r"release 1: golden rows differ by up to 0\.01"):
        verify_release(row, scripted.settings)


def test_compiled_files_that_do_not_fit_are_a_release_that_fails(
    scripted: Lap, monkeypatch: pytest.MonkeyPatch
):
    """As a compiler with a fault would sign them."""
    honest = contents_module._compiled
    monkeypatch.setattr(contents_module, "_compiled", lambda *args: ({COMPILED: b"{}"}, honest(*args)[1]))
    row = make_release(evaluated(scripted), winner(Ridge()), scripted.store, scripted.settings)
    with pytest.raises(ReleaseError, match="cannot be served"):
        verify_release(row, scripted.settings)


def test_a_release_changed_on_the_disk_is_refused(released: tuple[Lap, ReleaseRow]):
    lap, row = released
    path = release_files.release_path(lap.settings, row) / COMPILED
    path.write_bytes(path.read_bytes() + b" ")
    with pytest.raises(ReleaseError, match="was changed after it was written"):
        verify_release(row, lap.settings)


def test_a_release_made_again_is_the_same_row(released: tuple[Lap, ReleaseRow]):
    lap, row = released
    order = lap.order(AS_OF).model_copy(
        update={"cycle_id": row.cycle_id, "inputs": {Stage.EVALUATION: "unused"}}
    )
    assert make_release(order, winner(Ridge()), lap.store, lap.settings) == row


def test_a_real_winner_is_released_alone_and_recorded_nowhere(lap: Lap):
    order = lap.work(lap.order(AS_OF), *CHAIN)[1]
    chosen = order.inputs[Stage.EVALUATION]
    path, note = release_alone(order, lap.contract, lap.settings, chosen)
    assert {file.name for file in path.iterdir()} >= {
        release_files.MANIFEST,
        release_files.SIGNATURE,
        COMPILED,
    }
    assert "# Release (alone): Future-proof software technologies" in note
    assert "verified: radar release 0: signed by" in note
    assert "answers by: compiled (differs from scikit-learn by at most" in note
    with lap.store.read() as db:
        assert live.releases_of(db, lap.use_case) == []
    winning = load_winner(lap.settings, order.use_case, chosen)
    assert contents_of(winning).engine["kind"] == "compiled"


@pytest.mark.parametrize("again", [False, True])
def test_a_real_release_leads_back_to_data_and_contract(lap: Lap, again: bool):
    """Also after a loop: the second attempt of a training was given no data, it took up the features of the first."""
    order = lap.work(lap.order(AS_OF), *CHAIN)[1]
    if again:
        second = order.model_copy(update={"attempt": 2, "inputs": {}, "step": Stage.TRAINING})
        order = lap.work(second, *CHAIN[1:])[1]
    chosen = load_winner(lap.settings, order.use_case, order.inputs[Stage.EVALUATION])
    manifest = make_release(order, chosen, lap.store, lap.settings).manifest
    training = order.inputs[Stage.TRAINING]
    assert manifest["inputs"] == {"collection": "raw@0", "preparation": "features@0", "candidates": training}
    assert manifest["contract_hash"] == lap.contract.hash
    assert (manifest["trained_until"], manifest["as_of"]) == ("2015-07-01", AS_OF.isoformat())
    assert set(manifest["metrics"]) == {"mae", "mae_gain", "portfolio_uplift"}
    assert manifest["engine"]["kind"] == "compiled"


# The note


def row(version: int, **manifest: Any) -> ReleaseRow:
    known: dict[str, Any] = {
        "family": "ridge", "params": {"alpha": 1.0}, "metrics": {"mae": 0.5, "uplift": 0.25}, "entities": 30,
        "features": {"numeric": ["stars", "share"], "categorical": {"kind": []}}, "approver": {"by": "Ada", "how": "person"},
        "inputs": {"collection": "raw@3"}, "libraries": libraries(), "trained_until": "2015-07-01", "mlflow": {"run": "run7"},
        "engine": {"kind": "compiled", "reason": "", "parity": 4e-15, "rows": 54},
        "interval": {"level": 0.8, "half_width": 0.1}, "decision": "ridge passes",
    }  # fmt: skip
    return ReleaseRow(
        "radar", version, "c0001-2016-01-01", 1, "releases/1", "0" * 64, {**known, **manifest}, AS_OF, AS_OF
    )


def test_the_note_compares_with_the_live_release_in_numbers(scripted: Lap):
    old = row(3)
    new = row(
        4, metrics={"mae": 0.4, "uplift": 0.25, "more": 1.0}, entities=40, inputs={"collection": "raw@5"},
        features={"numeric": ["stars", "trend"], "categorical": {"kind": []}}, family="boosting",
        libraries={**libraries(), "numpy": "9.9"},
    )  # fmt: skip
    note = release_note(scripted.contract, new, old)
    assert "Compared with release 3." in note
    assert "| mae | 0.4 | 0.5 | -0.1 |" in note
    assert "| uplift | 0.25 | 0.25 | +0 |" in note
    assert "| more | 1 | – | – |" in note
    assert "- added: `trend`\n- removed: `share`\n- kept: 2" in note
    assert "- collection: `raw@5` (was `raw@3`)" in note
    assert "- entities known: 40 (was 30)" in note
    assert f"- libraries: numpy 9.9 (was {libraries()['numpy']})" in note
    assert "- contract approved by: Ada (person)" in note
    assert "- answers by: compiled (differs from scikit-learn by at most 4e-15 on 54 rows)" in note
    assert "Interval around a prediction: ±0.1 at 0.8." in note


def test_the_note_of_the_first_release_has_nothing_to_compare_with(scripted: Lap):
    note = release_note(scripted.contract, row(1), None, {"service": "confirmed"})
    assert "The first release: nothing to compare with." in note
    assert "| mae | 0.5 | – | – |" in note
    assert "- all 3: `stars`, `share`, `kind`" in note
    assert "- service: confirmed" in note
    assert "(was" not in note


def test_the_note_says_why_scikit_learn_answers(scripted: Lap):
    engine = {
        "kind": "scikit-learn",
        "reason": "KNeighborsRegressor cannot be compiled",
        "parity": None,
        "rows": 54,
    }
    note = release_note(scripted.contract, row(1, engine=engine), None)
    assert "- answers by: scikit-learn: KNeighborsRegressor cannot be compiled" in note


def test_a_champion_of_an_older_kind_can_be_compared_with(scripted: Lap):
    old = dataclasses.replace(row(3), manifest={"family": "ridge", "metrics": {"mae": None}})
    assert "| mae | 0.5 | – | – |" in release_note(scripted.contract, row(4), old)
