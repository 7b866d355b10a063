"""Preparation: a feature version that knew nothing of the future, with lineage; or the way back to the data."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from include.kreislauf.collection.step import collect_alone
from include.kreislauf.errors import PreparationError
from include.kreislauf.handovers import Edge, Evidence, Handover, Loop, Reason, Stage, WorkOrder
from include.kreislauf.preparation.step import check_features, load_features, prepare, prepare_alone
from include.kreislauf.requirements.loading import contract_path, load_contract
from include.kreislauf.simulation.panel import PANEL_PATH
from include.kreislauf.store import messages
from include.kreislauf.store.tables import Tables
from tests.support.lap import Lap
from tests.support.use_cases import EXAMPLE, write_use_case

AS_OF = datetime(2016, 1, 1, tzinfo=UTC)
FEATURES = load_features(EXAMPLE.parent, "technology_radar")
PROBLEM = load_contract(contract_path(EXAMPLE.parent, "technology_radar")).problem


def collected(lap: Lap, as_of: datetime = AS_OF) -> WorkOrder:
    """The order of a data scientist who got raw data."""
    return lap.work(lap.order(as_of), Stage.COLLECTION)[1]


def prepared(lap: Lap, order: WorkOrder) -> Handover:
    message = lap.work(order, Stage.PREPARATION)[0]
    assert isinstance(message, Handover)
    return message


def rows(lap: Lap, version: str) -> pd.DataFrame:
    return Tables(lap.settings.tables, lap.use_case).read(version)


def again(order: WorkOrder, **fields: Any) -> WorkOrder:
    """The next attempt, as a loop starts it: without inputs."""
    return order.model_copy(update={"attempt": order.attempt + 1, "inputs": {}, **fields})


def at_fault(lap: Lap, order: WorkOrder, feature: str) -> WorkOrder:
    """The next attempt, after a loop that found a feature at fault and was accepted."""
    evidence = (Evidence(name="feature", value=None, note=feature),)
    loop = order.loop(
        Edge.DATA_SCIENCE_TO_DATA_SCIENCE, Reason.FEATURES_AT_FAULT, "a leak", step=Stage.PREPARATION, evidence=evidence,
    )  # fmt: skip
    with lap.store.write() as db:
        messages.save_loop(db, loop, lap.now())
        messages.decide_loop(db, loop.id, "accepted", "yes", order.run_id)
    return again(order, step=Stage.PREPARATION)


def features(**values: Any) -> pd.DataFrame:
    """Valid rows of features, but for what a test says."""
    frame = pd.DataFrame(
        {"entity": ["a", "a", "b"], "period": pd.to_datetime(["2015-01-01", "2015-04-01", "2015-01-01"])}
    )
    frame[list(FEATURES.NUMERIC)] = 0.5
    frame[list(FEATURES.CATEGORICAL)] = "x"
    return frame.assign(target=[0.1, np.nan, 0.2]).assign(**values)


# A version


def test_a_feature_version_names_the_raw_version_it_was_made_from(lap: Lap) -> None:
    order = collected(lap)
    made = prepared(lap, order)
    assert (made.output, made.inputs) == ("features@0", {Stage.COLLECTION: order.inputs[Stage.COLLECTION]})
    assert made.summary["rows"] == len(rows(lap, made.output))
    assert (made.summary["first_period"], made.summary["last_period"]) == ("2012-01-01", "2015-10-01")


def test_the_newest_period_has_features_but_no_target(lap: Lap) -> None:
    found = rows(lap, prepared(lap, collected(lap)).output)
    newest = found["period"].max()
    assert newest == pd.Timestamp("2015-10-01")
    assert found[found["period"] == newest]["target"].isna().all()
    assert found[found["period"] < newest]["target"].notna().all()


def test_as_of_counts_also_when_the_raw_data_know_more(lap: Lap) -> None:
    """A manual run may prepare a newer raw version for an earlier time."""
    order = collected(lap, datetime(2018, 1, 1, tzinfo=UTC))
    early = prepared(lap, order.model_copy(update={"as_of": AS_OF}))
    direct = prepared(lap, collected(lap))
    pd.testing.assert_frame_equal(rows(lap, early.output), rows(lap, direct.output))


def test_a_version_is_written_once_per_attempt(lap: Lap) -> None:
    order = collected(lap)
    first, second = (prepare(order, lap.contract, lap.settings).message for _ in range(2))
    assert first == second


def test_the_document_tells_what_the_version_holds(lap: Lap) -> None:
    order = collected(lap)
    document = prepare(order, lap.contract, lap.settings).document
    assert "# Features: Future-proof software technologies" in document
    assert f"made from `{order.inputs[Stage.COLLECTION]}`" in document


# Another attempt


def test_a_loop_that_asks_for_training_uses_the_features_again(lap: Lap) -> None:
    order = collected(lap)
    first = prepared(lap, order)
    second = prepared(lap, again(order, step=Stage.TRAINING))
    assert (second.attempt, second.output, second.inputs) == (2, first.output, first.inputs)
    assert (second.summary, second.reused_from) == (first.summary, first.id)


def test_a_loop_that_finds_a_feature_at_fault_builds_the_features_anew(lap: Lap) -> None:
    order = collected(lap)
    first = prepared(lap, order)
    second = prepared(lap, at_fault(lap, order, "season"))
    assert (first.output, second.output) == ("features@0", "features@1")
    assert (second.inputs, second.reused_from) == (first.inputs, "")
    assert "season" not in rows(lap, second.output)


def test_a_loop_that_changes_nothing_uses_the_features_again(lap: Lap) -> None:
    order = collected(lap)
    assert prepared(lap, order).output == prepared(lap, again(order, step=Stage.PREPARATION)).output


def test_another_cycle_on_the_same_raw_data_uses_the_features_again(lap: Lap) -> None:
    first = prepared(lap, collected(lap))
    later = prepared(lap, again(lap.order(AS_OF + timedelta(days=100)), step=Stage.TRAINING))
    assert (later.output, later.reused_from, later.cycle_id == first.cycle_id) == (
        first.output, first.id, False,
    )  # fmt: skip


def test_a_loop_from_monitoring_over_old_data_collects_first(lap: Lap) -> None:
    collected(lap)
    asked = {"inputs": {}, "started_by": f"loop/{Edge.MONITORING_TO_DATA_SCIENCE}"}
    later = lap.order(AS_OF + timedelta(days=95)).model_copy(update=asked)
    loop = sent(lap, later)
    assert (loop.edge, loop.reason) == (Edge.DATA_SCIENCE_TO_DATA_ENGINEERING, Reason.COVERAGE_TOO_LOW)
    assert (
        "the newest raw data are of 2016-01-01, 1 quarter before what monitoring has seen (2016-04-05)"
        in loop.text
    )
    by_person = prepare(later.model_copy(update={"by": "Ada"}), lap.contract, lap.settings)
    assert isinstance(by_person.message, Handover), "a person who wants it trained gets it trained"
    soon = lap.order(AS_OF + timedelta(days=80)).model_copy(update=asked)
    assert isinstance(prepare(soon, lap.contract, lap.settings).message, Handover)


def test_without_own_data_a_cycle_takes_the_newest(lap: Lap) -> None:
    """After a loop from monitoring to data science nobody has collected anything in the new cycle."""
    raw = collected(lap).inputs[Stage.COLLECTION]
    assert prepared(lap, lap.order(AS_OF)).inputs == {Stage.COLLECTION: raw}


def test_without_any_data_there_is_nothing_to_prepare(lap: Lap) -> None:
    with pytest.raises(PreparationError, match="there is no raw data yet; next: trigger data_engineering"):
        prepared(lap, lap.order(AS_OF))


# Raw data that do not carry the features


def sent_back(lap: Lap, order: WorkOrder) -> Loop:
    loop = lap.work(order, Stage.PREPARATION)[0]
    assert isinstance(loop, Loop)
    assert (loop.edge, loop.reason) == (Edge.DATA_SCIENCE_TO_DATA_ENGINEERING, Reason.QUALITY_TOO_LOW)
    assert (loop.attempt, loop.hop, loop.step) == (2, 1, None)
    assert loop.evidence[0].note == loop.text
    return loop


def test_raw_data_that_lack_a_column_go_back_to_data_engineering(lap: Lap) -> None:
    source = lap.contract.sources[0].model_dump()
    del source["columns"]["jobs_share"]
    write_use_case(lap.settings.use_cases, sources=[source])
    assert "the raw data lack jobs_share; allowed: tech, kind" in sent_back(lap, collected(lap)).text


def test_too_short_a_history_goes_back_to_data_engineering(lap: Lap) -> None:
    write_use_case(lap.settings.use_cases, quality={"min_rows": 1})
    loop = sent_back(lap, collected(lap, datetime(2012, 1, 1, tzinfo=UTC)))
    assert loop.text == "features: no entity has enough history for features"


def test_a_source_that_saw_nothing_goes_back_to_data_engineering(lap: Lap) -> None:
    path = Path(lap.settings.data) / PANEL_PATH
    pd.read_csv(path).assign(so_share_first=0.0).to_csv(path, index=False)
    assert "no entity has enough history" in sent_back(lap, collected(lap)).text


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ({"change_1": [0.1, np.inf, 0.1]}, "change_1 fails finite, found inf; 1 faults in all"),
        ({"change_1": [0.1, np.nan, np.nan]}, "change_1 fails not_nullable, found nan; 2 faults in all"),
        ({"kind": ["x", None, "x"]}, "kind fails not_nullable"),
        ({"entity": ["a", "a", "a"]}, "multiple_fields_uniqueness"),
        ({"extra": 1.0}, "column_in_schema, found 'extra'"),
        ({"season": None}, "season fails not_nullable"),
        ({"level": "high"}, "level fails"),
    ],
)
def test_features_that_break_a_rule_name_it(fault: dict[str, Any], said: str) -> None:
    with pytest.raises(PreparationError) as error:
        check_features(features(**fault), FEATURES, PROBLEM)
    assert said in error.value.text


def test_valid_features_pass_unchanged() -> None:
    pd.testing.assert_frame_equal(
        check_features(features(), FEATURES, PROBLEM), features(), check_dtype=False
    )


# The use case's own code


@pytest.mark.parametrize(
    ("code", "said"),
    [(None, "has no features.py; next: add one"), ("NUMERIC = ()\n", "lacks CATEGORICAL, build, outcomes")],
)
def test_feature_code_that_is_not_complete_is_an_error(lap: Lap, code: str | None, said: str) -> None:
    path = lap.settings.use_cases / "radar" / "features.py"
    order = collected(lap)
    path.unlink()
    if code:
        path.write_text(code)
    with pytest.raises(PreparationError, match=said):
        prepared(lap, order)


def test_each_use_case_has_its_own_feature_code(lap: Lap) -> None:
    write_use_case(lap.settings.use_cases, "second")
    path = lap.settings.use_cases / "second" / "features.py"
    path.write_text(path.read_text() + "\nMARK = 'second'\n")
    loaded = [load_features(lap.settings.use_cases, name) for name in ("radar", "second", "radar")]
    assert [getattr(module, "MARK", None) for module in loaded] == [None, "second", None]


# What the contract asks for


def changed(lap: Lap, **preparation: Any) -> None:
    """The contract with a section of its own for preparation."""
    path = contract_path(lap.settings.use_cases, lap.use_case)
    path.write_text(yaml.safe_dump({**yaml.safe_load(path.read_text()), "preparation": preparation}))


def sent(lap: Lap, order: WorkOrder) -> Loop:
    loop = lap.work(order, Stage.PREPARATION)[0]
    assert isinstance(loop, Loop)
    return loop


def test_the_version_and_its_document_tell_what_was_done(lap: Lap) -> None:
    steps = [
        {"step": "keep_latest"},
        {"step": "fill_previous", "columns": ["gh_repo_new_stars"], "limit": 2},
        {"step": "clip", "columns": ["jobs_share"], "high": 0.05},
    ]
    changed(lap, cleaning=steps, exclude=["volatility"], leak_checks=2)
    order = collected(lap)
    result = prepare(order, lap.contract, lap.settings)
    told, raw = result.message.summary, order.inputs[Stage.COLLECTION]  # type: ignore[union-attr]
    table = rows(lap, result.message.output)  # type: ignore[union-attr]
    assert told["excluded"] == {"volatility": "excluded by the contract"}
    assert "volatility" not in told["numeric"]
    assert {"entity", "period", "target", *told["numeric"], *told["categorical"]} == set(table.columns)
    assert told["cleaning"][0] == "keep_latest: 0 rows"
    assert told["cleaning"][2].startswith("clip: ")
    assert told["leak_checks"] == ["2013-10-01", "2015-10-01"]
    for line in (
        f"Version `features@0`, made from `{raw}`", "- `keep_latest` on tech, quarter_start: 0 rows left out",
        "- `volatility`: excluded by the contract", "Built anew without the future at 2013-10-01, 2015-10-01",
        f"| `change_1` | {table['change_1'].min():.4g} | {table['change_1'].median():.4g} |",
        f"| `kind` | {table['kind'].nunique()} values |", f"| {table['target'].isna().mean():.1%} |",
    ):  # fmt: skip
        assert line in result.document


def test_cleaning_changes_what_features_are_built_from(lap: Lap) -> None:
    plain = rows(lap, prepared(lap, collected(lap)).output)
    changed(lap, cleaning=[{"step": "clip", "columns": ["jobs_share"], "high": 0.01}])
    clipped = rows(lap, prepared(lap, collected(lap)).output)
    assert not np.allclose(plain["jobs_change_1"], clipped["jobs_change_1"])
    np.testing.assert_allclose(plain["stack_overflow_change_1"], clipped["stack_overflow_change_1"])


def test_the_commit_keeps_the_lineage(lap: Lap) -> None:
    order = collected(lap)
    prepared(lap, order)
    snapshot = Tables(lap.settings.tables, lap.use_case).snapshot("features")
    assert snapshot is not None
    assert json.loads(snapshot.table.history(1)[0]["kreislauf.inputs"]) == {
        "raw": order.inputs[Stage.COLLECTION]
    }


@pytest.mark.parametrize(
    ("preparation", "said"),
    [
        ({"exclude": ["volatile"]}, "preparation.exclude: volatile is no feature; allowed: level, volatility, change_1"),
        ({"exclude": [*FEATURES.NUMERIC, *FEATURES.CATEGORICAL]}, "every feature is left out"),
        ({"cleaning": [{"step": "drop_missing", "columns": ["stars"]}]}, "cannot be done on stars; allowed: gh_pull_requests_share, "),
    ],
)  # fmt: skip
def test_a_contract_that_asks_for_what_is_not_there_goes_back(
    lap: Lap, preparation: dict[str, Any], said: str
) -> None:
    changed(lap, **preparation)
    loop = sent(lap, collected(lap))
    assert (loop.edge, loop.reason) == (Edge.DATA_SCIENCE_TO_REQUIREMENTS, Reason.FEATURES_AT_FAULT)
    assert said in loop.text


def test_cleaning_that_leaves_nothing_goes_back_to_data_engineering(lap: Lap) -> None:
    bounds = {"step": "out_of_range_missing", "columns": ["jobs_share"], "high": -1.0}
    changed(lap, cleaning=[bounds, {"step": "drop_missing", "columns": ["jobs_share"]}])
    assert "no entity has enough history" in sent_back(lap, collected(lap)).text


def test_repeated_rows_go_back_unless_the_latest_is_kept(lap: Lap) -> None:
    order = collected(lap)
    tables = Tables(lap.settings.tables, lap.use_case)
    raw = rows(lap, order.inputs[Stage.COLLECTION])
    twice = tables.write("raw", pd.concat([raw, raw]), "twice")
    order = order.model_copy(update={"inputs": {Stage.COLLECTION: twice}})
    assert "multiple_fields_uniqueness" in sent_back(lap, order).text
    changed(lap, cleaning=[{"step": "keep_latest"}])
    result = prepare(order, lap.contract, lap.settings)
    assert isinstance(result.message, Handover)
    assert result.message.summary["cleaning"] == [f"keep_latest: {len(raw)} rows"]


def test_infinite_raw_numbers_are_missing(lap: Lap) -> None:
    order = collected(lap)
    tables = Tables(lap.settings.tables, lap.use_case)
    raw = rows(lap, order.inputs[Stage.COLLECTION])
    raw.loc[raw["quarter_start"] == "2013-01-01", "jobs_share"] = np.inf
    broken = tables.write("raw", raw, "infinite")
    made = prepared(lap, order.model_copy(update={"inputs": {Stage.COLLECTION: broken}}))
    affected = int((raw["quarter_start"] == "2013-01-01").sum())
    assert made.summary["cleaning"] == [f"infinite_missing: {affected} values"]


# Leaks

LEAKING = """
from include.use_cases.technology_radar import features as radar

NUMERIC, CATEGORICAL, outcomes = (*radar.NUMERIC, "last_level", "peek"), radar.CATEGORICAL, radar.outcomes

def build(raw, as_of):
    table = radar.build(raw, as_of)
    table["last_level"] = table.groupby("entity")["level"].transform("last")
    table["peek"] = 0.5
    {more}
    return table
"""


def leak(lap: Lap, more: str = "") -> None:
    """Feature code in which ``last_level`` leaks, and whatever a test adds."""
    (lap.settings.use_cases / "radar" / "features.py").write_text(LEAKING.format(more=more))


def test_features_that_leak_are_left_out_at_the_next_attempt(lap: Lap) -> None:
    leak(lap, "table['peek'] = table['target'].fillna(0.0)")
    order = collected(lap)
    loop = sent(lap, order)
    assert (loop.edge, loop.reason) == (Edge.DATA_SCIENCE_TO_DATA_SCIENCE, Reason.FEATURES_AT_FAULT)
    assert (loop.step, loop.attempt) == (Stage.PREPARATION, 2)
    found = {(one.note, one.unit) for one in loop.evidence}
    assert found == {
        ("last_level", "share of rows that differ"), ("peek", "share of rows that differ"),
        ("peek", "rank correlation"),
    }  # fmt: skip
    assert all(one.name == "feature" and one.value for one in loop.evidence)
    assert "last_level reads the future (" in loop.text
    second = lap.receive(lap.arriving(loop))
    made = prepared(lap, second)
    assert made.summary["excluded"] == dict.fromkeys(
        ["last_level", "peek"], "at fault in a loop of this cycle"
    )
    assert set(made.summary["numeric"]) == set(FEATURES.NUMERIC)  # type: ignore[arg-type]
    assert not {"last_level", "peek"} & set(rows(lap, made.output).columns)


def test_a_loop_that_was_not_accepted_leaves_nothing_out(lap: Lap) -> None:
    leak(lap)
    order = collected(lap)
    first = sent(lap, order)
    assert sent(lap, again(order, step=Stage.PREPARATION)).evidence == first.evidence


def test_another_cycles_loop_leaves_nothing_out(lap: Lap) -> None:
    leak(lap)
    loop = sent(lap, collected(lap))
    lap.receive(lap.arriving(loop))
    assert sent(lap, collected(lap)).evidence == loop.evidence


def test_features_that_the_contract_leaves_out_may_leak(lap: Lap) -> None:
    leak(lap)
    changed(lap, exclude=["last_level"])
    made = prepared(lap, collected(lap))
    assert "last_level" not in made.summary["numeric"]  # type: ignore[operator]


def test_the_contract_decides_how_many_times_are_looked_at(lap: Lap) -> None:
    changed(lap, leak_checks=0)
    leak(lap)
    made = prepared(lap, collected(lap))
    assert made.summary["leak_checks"] == []


def test_a_leak_in_rows_or_target_goes_to_requirements(lap: Lap) -> None:
    leak(lap, "table['target'] *= 1 + len(table)")
    loop = sent(lap, collected(lap))
    assert (loop.edge, loop.reason) == (Edge.DATA_SCIENCE_TO_REQUIREMENTS, Reason.FEATURES_AT_FAULT)
    assert loop.step is None
    assert {one.note for one in loop.evidence} == {"last_level", "target"}
    assert "leaving features out does not change target" in loop.text


def test_leaks_in_every_feature_go_to_requirements(lap: Lap) -> None:
    leak(lap, "table['kind'] = table['last_level'].round(1).astype('str')")
    changed(lap, exclude=[*FEATURES.NUMERIC, "peek", "last_level", "season"])
    loop = sent(lap, collected(lap))
    assert loop.edge is Edge.DATA_SCIENCE_TO_REQUIREMENTS
    assert "no feature would be left" in loop.text


def test_nothing_is_written_where_features_leak(lap: Lap) -> None:
    leak(lap)
    sent(lap, collected(lap))
    assert Tables(lap.settings.tables, lap.use_case).snapshot("features") is None


# A person at a shell


def test_alone_the_newest_raw_data_are_prepared_and_nothing_is_recorded(lap: Lap) -> None:
    order = collected(lap)
    result = prepare_alone(lap.contract, lap.settings, as_of=AS_OF, now=AS_OF)
    assert isinstance(result.message, Handover)
    assert result.message.inputs == {Stage.COLLECTION: order.inputs[Stage.COLLECTION]}
    assert "# Features" in result.document
    assert [one.stage for one in lap.handovers(order.cycle_id)] == [Stage.COLLECTION]
    pd.testing.assert_frame_equal(rows(lap, result.message.output), rows(lap, prepared(lap, order).output))


def test_alone_also_what_was_only_collected_alone_is_found(lap: Lap) -> None:
    with pytest.raises(PreparationError, match="there is no raw data yet"):
        prepare_alone(lap.contract, lap.settings, as_of=AS_OF, now=AS_OF)
    for year in (2015, 2016):
        collect_alone(lap.contract, lap.settings, as_of=datetime(year, 1, 1, tzinfo=UTC), now=AS_OF)
    newest = prepare_alone(lap.contract, lap.settings, as_of=AS_OF, now=AS_OF).message
    named = prepare_alone(
        lap.contract, lap.settings, as_of=AS_OF, now=AS_OF + timedelta(days=1), raw_version="raw@0"
    ).message
    assert isinstance(newest, Handover)
    assert isinstance(named, Handover)
    assert (newest.inputs, named.inputs) == ({"collection": "raw@1"}, {"collection": "raw@0"})
    assert (newest.summary["last_period"], named.summary["last_period"]) == ("2015-10-01", "2014-10-01")
