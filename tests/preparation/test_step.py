"""Preparation: a feature version that knew nothing of the future, with lineage; or the way back to the data."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from include.kreislauf.errors import PreparationError
from include.kreislauf.handovers import Edge, Handover, Loop, Reason, Stage, WorkOrder
from include.kreislauf.preparation.step import check_features, load_features, prepare
from include.kreislauf.simulation.panel import PANEL_PATH
from include.kreislauf.store.tables import Tables
from tests.support.lap import Lap
from tests.support.use_cases import EXAMPLE, write_use_case

AS_OF = datetime(2016, 1, 1, tzinfo=UTC)
FEATURES = load_features(EXAMPLE.parent, "technology_radar")


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
    assert second.summary == {"reused_from_attempt": 1}


def test_a_loop_that_asks_for_preparation_builds_the_features_anew(lap: Lap) -> None:
    order = collected(lap)
    first = prepared(lap, order)
    second = prepared(lap, again(order))
    assert (first.output, second.output) == ("features@0", "features@1")
    assert second.inputs == first.inputs


def test_another_cycles_features_are_not_used_again(lap: Lap) -> None:
    prepared(lap, collected(lap))
    other = prepared(lap, again(lap.order(AS_OF), step=Stage.TRAINING))
    assert other.output == "features@1"


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
        check_features(features(**fault), FEATURES)
    assert said in error.value.text


def test_valid_features_pass_unchanged() -> None:
    pd.testing.assert_frame_equal(check_features(features(), FEATURES), features(), check_dtype=False)


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
