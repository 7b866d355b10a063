"""Beside what is live: compared on what it knows and has not learnt from."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pandas as pd
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import Pipeline

from include.kreislauf.evaluation.champion import complete_features
from include.kreislauf.evaluation.step import _Evaluation
from include.kreislauf.handovers import Edge, Evidence, Reason, Role, Stage
from include.kreislauf.preparation.features import load_features
from include.kreislauf.store import live, messages, release_files
from include.kreislauf.store.live import ReleaseRow
from include.kreislauf.store.signing import SigningKey
from include.kreislauf.store.tables import Tables
from include.kreislauf.training.files import load_candidates
from include.kreislauf.training.step import Training
from tests.evaluation.conftest import CHAIN, Trained
from tests.support.lap import Lap
from tests.support.use_cases import EXAMPLE

AS_OF = datetime(2016, 1, 1, tzinfo=UTC)
FEATURES = load_features(EXAMPLE.parent, "technology_radar")


def go_live(
    found: Trained,
    rows: pd.DataFrame,
    *,
    trained_until: str = "2015-07-01",
    share: float = 0.9,
    **manifest: Any,
) -> None:
    """Make a champion live that has seen the answers: of these rows a share, or their opposite."""
    numeric, categorical = list(FEATURES.NUMERIC), list(FEATURES.CATEGORICAL)
    known = rows[rows["target"].notna()]
    encode = ColumnTransformer([("numeric", "passthrough", numeric)])
    model = Pipeline([("encode", encode), ("model", KNeighborsRegressor(1))])
    model.fit(known[numeric + categorical], share * known["target"])
    snapshot = {str(entity): {} for entity in rows["entity"].unique()}
    complete = {"use_case": found.lap.use_case, "version": 1, "trained_until": trained_until,
                "features": {"numeric": numeric, "categorical": {name: [] for name in categorical}}, **manifest}  # fmt: skip
    path = found.lap.settings.artefacts / "champion"
    files = {
        release_files.MODEL: release_files.dump_model(model),
        release_files.SNAPSHOT: pd.Series(snapshot).to_json().encode(),
        release_files.GOLDEN: b'{"rows": [], "outputs": []}',
    }
    key = SigningKey.of(found.lap.settings)
    complete, digest = release_files.write_release(path, complete, files, key)
    with found.lap.store.write() as db:
        now = found.lap.now()
        row = ReleaseRow(found.lap.use_case, 1, "c0000", 1, "champion", digest, complete, AS_OF, now)
        assert live.save_release(db, row)
        assert live.promote(
            db, found.lap.use_case, 1, expected=None, cycle_id="c0000", reason="test", as_of=AS_OF, now=now
        )


@pytest.fixture
def rows(later: Trained) -> pd.DataFrame:
    """The features of the evaluation as of 2017."""
    version = later.order.inputs[Stage.TRAINING]
    index = load_candidates(later.lap.settings.artefacts, later.lap.use_case, version).index
    return Tables(later.lap.settings.tables, later.lap.use_case).read(index["features"])


def test_candidates_worse_than_the_champion_go_back_to_training(later: Trained, rows: pd.DataFrame) -> None:
    go_live(later, rows)
    loop = later.sent_back()
    assert (loop.edge, loop.reason) == (Edge.DATA_SCIENCE_TO_DATA_SCIENCE, Reason.WORSE_THAN_CHAMPION)
    assert loop.step is Stage.TRAINING
    assert "over the champion" in loop.text
    assert "2.0% more error is tolerated" in loop.text


def test_candidates_better_than_the_champion_pass(later: Trained, rows: pd.DataFrame) -> None:
    go_live(later, rows, share=-1.0)
    assert later.passed().summary["champion"] == "champion compared on 4 periods after 2015-07-01"


def test_the_champion_is_compared_on_the_rows_that_it_knows(later: Trained, rows: pd.DataFrame) -> None:
    """It is right about its few entities: that is enough to be better, however little it knows of the others."""
    go_live(later, rows[rows["entity"].isin(sorted(rows["entity"].unique())[:12])])
    assert later.sent_back().reason is Reason.WORSE_THAN_CHAMPION


def test_only_periods_that_the_champion_has_not_learnt_from_count(later: Trained, rows: pd.DataFrame) -> None:
    go_live(later, rows, trained_until="2016-07-01")
    assert str(later.passed().summary["champion"]).startswith("champion not comparable")


def test_a_champion_that_knows_none_of_the_entities_is_not_comparable(
    later: Trained, rows: pd.DataFrame
) -> None:
    go_live(later, rows.assign(entity="old-" + rows["entity"]))
    assert str(later.passed().summary["champion"]).startswith("champion not comparable")


def test_a_champion_of_other_features_is_not_comparable_and_blocks_nothing(
    later: Trained, rows: pd.DataFrame
) -> None:
    """After the use case's feature code has changed, the old release cannot predict the new rows."""
    go_live(later, rows, features={"numeric": [*FEATURES.NUMERIC, "gone"], "categorical": {}})
    assert str(later.passed().summary["champion"]).startswith("champion not comparable")


def test_leaving_features_out_does_not_rid_candidates_of_a_champion_that_uses_them(
    later: Trained, rows: pd.DataFrame
) -> None:
    """Else a loop that finds features at fault would let candidates pass that have just been found worse."""
    go_live(later, rows)
    fault = Evidence(name="feature", value=-0.1, unit="importance, mae", note="volatility")
    loop = later.order.loop(
        Edge.DATA_SCIENCE_TO_DATA_SCIENCE, Reason.FEATURES_AT_FAULT, "at fault", evidence=(fault,), step=Stage.PREPARATION
    )  # fmt: skip
    with later.lap.store.write() as db:
        messages.ledger_entry(db, loop, later.lap.now())
    again = later.lap.receive(later.lap.arriving(loop))
    _, order = later.lap.work(again, Stage.PREPARATION, Stage.TRAINING)
    kept = Tables(later.lap.settings.tables, later.lap.use_case).read(order.inputs[Stage.PREPARATION])
    assert "volatility" not in kept.columns
    second = replace(later, order=order)
    assert second.sent_back().reason is Reason.WORSE_THAN_CHAMPION


def test_what_the_contract_leaves_out_nobody_sees(later: Trained, rows: pd.DataFrame) -> None:
    training = training_of(later)
    assert complete_features(training) is training.frame
    less = replace(training)
    less.__dict__["frame"] = training.frame.drop(columns=["volatility", "trend"])
    whole = complete_features(less)
    pd.testing.assert_frame_equal(whole[rows.columns], rows)
    asked = less.contract.preparation.model_copy(update={"exclude": ("trend",)})
    without = replace(less, contract=less.contract.model_copy(update={"preparation": asked}))
    without.__dict__["frame"] = less.frame
    assert set(rows.columns) - set(complete_features(without).columns) == {"trend"}


def training_of(found: Trained) -> Training:
    return Training(found.order, found.contract, found.lap.settings)


def test_a_second_cycle_on_real_data_is_compared_with_the_first(lap: Lap) -> None:
    lap.manual(Role.REQUIREMENTS, as_of=AS_OF)
    assert lap.live() is not None
    _, order = lap.work(lap.order(datetime(2017, 1, 1, tzinfo=UTC)), *CHAIN)
    report = _Evaluation(order, lap.contract, lap.settings, None).report
    assert report.champion_note == "champion compared on 4 periods after 2015-07-01"
    assert {one.n_periods for one in report.comparisons} == {4}
