"""Evaluation as a step: the winner goes on, and each reason of the gate has its own way back."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import Pipeline

from include.kreislauf.errors import ReleaseError
from include.kreislauf.evaluation.winner import load_winner, winner_version
from include.kreislauf.handovers import Edge, Handover, Loop, Reason, Role, Stage, WorkOrder
from include.kreislauf.preparation.step import load_features
from include.kreislauf.store import live, messages, release_files
from include.kreislauf.store.live import ReleaseRow
from include.kreislauf.store.tables import Tables
from include.kreislauf.training.files import load_candidates
from tests.support.fixtures import MakeLap
from tests.support.lap import Lap
from tests.support.use_cases import EXAMPLE, write_use_case

AS_OF = datetime(2016, 1, 1, tzinfo=UTC)
FEATURES = load_features(EXAMPLE.parent, "technology_radar")
CHAIN = (Stage.COLLECTION, Stage.PREPARATION, Stage.TRAINING)


def trained(lap: Lap, as_of: datetime = AS_OF) -> WorkOrder:
    """The order of an evaluation, with candidates."""
    return lap.work(lap.order(as_of), *CHAIN)[1]


def passed(lap: Lap, order: WorkOrder) -> Handover:
    message = lap.work(order, Stage.EVALUATION)[0]
    assert isinstance(message, Handover), message
    return message


def sent_back(lap: Lap, order: WorkOrder | None = None) -> Loop:
    message = lap.work(order or trained(lap), Stage.EVALUATION)[0]
    assert isinstance(message, Loop), message
    return message


def metric(lap: Lap, **changes: Any) -> list[dict[str, Any]]:
    """The contract's business metrics with another portfolio uplift."""
    uplift, *others = (one.model_dump() for one in lap.contract.business_metrics)
    return [{**uplift, **changes}, *others]


def document(lap: Lap, message: Handover) -> str:
    with lap.store.read() as db:
        return messages.document_of(db, message.id) or ""


# The winner


def test_the_winner_goes_to_deployment_with_its_numbers(lap: Lap) -> None:
    order = trained(lap)
    made = passed(lap, order)
    assert made.output == winner_version(order.inputs[Stage.TRAINING], str(made.summary["winner"]))
    assert made.summary["champion"] == "no champion: nothing is live"
    metrics = made.summary["metrics"]
    assert isinstance(metrics, dict)
    assert metrics["mae_gain"] >= lap.contract.performance.min_gain  # type: ignore[operator]
    assert metrics["portfolio_uplift"] >= lap.contract.gate_metric.gate_threshold  # type: ignore[operator]
    assert set(made.summary["baselines"]) == {"persistence", "momentum", "drift"}  # type: ignore[arg-type]


def test_the_model_card_shows_every_model_on_the_same_rows(lap: Lap) -> None:
    card = document(lap, passed(lap, trained(lap)))
    for part in ("# Model card: Future-proof software technologies", "**pass** (ok)", "quarters 2014-10-01 to 2015-07-01",
                 "| ridge:alpha300 |", "| ridge:alpha30 |", "| persistence |", "| momentum |", "| drift |"):  # fmt: skip
        assert part in card


def test_deployment_finds_the_winner_by_its_version(lap: Lap) -> None:
    made = passed(lap, trained(lap))
    winner = load_winner(lap.settings, lap.use_case, made.output)
    assert f"{winner.family}:" in str(made.summary["winner"])
    assert winner.trained_until == "2015-07-01"
    with pytest.raises(ReleaseError, match="'nobody' is not among the candidates; allowed: ridge:alpha300"):
        load_winner(lap.settings, lap.use_case, made.output.partition("#")[0] + "#nobody")


# The ways back


@pytest.mark.parametrize(
    ("changes", "edge", "reason", "step", "said"),
    [
        ({"performance": {"min_gain": 0.9}}, Edge.DATA_SCIENCE_TO_DATA_SCIENCE, Reason.PERFORMANCE_SHORT,
         Stage.TRAINING, "over persistence, 90.0% needed"),
        ({"gate_threshold": 9.0}, Edge.DATA_SCIENCE_TO_DATA_ENGINEERING, Reason.BUSINESS_METRIC_SHORT,
         None, "+9.000 needed"),
    ],
)  # fmt: skip
def test_a_candidate_that_falls_short_goes_back_with_the_numbers(
    lap: Lap, changes: dict[str, Any], edge: Edge, reason: Reason, step: Stage | None, said: str
) -> None:
    if "gate_threshold" in changes:
        changes = {"business_metrics": metric(lap, **changes)}
    write_use_case(lap.settings.use_cases, **changes)
    loop = sent_back(lap)
    assert (loop.edge, loop.reason, loop.step, loop.attempt, loop.hop) == (edge, reason, step, 2, 1)
    assert said in loop.text
    assert "came closest" in loop.text
    evidence = {one.name: (one.value, one.unit) for one in loop.evidence}
    assert evidence["held_out_periods"] == (4.0, "periods")
    assert evidence["mae"][1] == "log points"
    assert evidence["mae_gain"][1] == "share of persistence"
    assert evidence["portfolio_uplift"][1] == "log points per period"
    assert loop.text.startswith(loop.evidence[1].note)


def test_too_few_held_out_periods_ask_for_more_data(lap: Lap) -> None:
    loop = sent_back(lap, trained(lap, datetime(2013, 7, 1, tzinfo=UTC)))
    assert (loop.edge, loop.reason) == (Edge.DATA_SCIENCE_TO_DATA_ENGINEERING, Reason.COVERAGE_TOO_LOW)
    assert loop.step is None
    assert "decide nothing: 4 periods and 100 rows are needed" in loop.text
    assert [one.name for one in loop.evidence] == ["held_out_periods"]


def test_the_card_of_candidates_that_were_sent_back_is_kept_with_the_loop(lap: Lap) -> None:
    write_use_case(lap.settings.use_cases, performance={"min_gain": 0.9})
    order = trained(lap)
    found = lap.steps[Stage.EVALUATION](order, lap.contract, lap.settings)
    assert "**fail** (performance_short)" in found.document


def test_a_loop_for_training_searches_wider_on_the_same_features_until_a_person_is_asked(
    make_lap: MakeLap,
) -> None:
    lap = make_lap(performance={"min_gain": 0.9}, governor={"max_hops": 3})
    sent = lap.manual(Role.REQUIREMENTS, as_of=AS_OF)
    loops = [one for one in sent if isinstance(one, Loop)]
    again = (Edge.DATA_SCIENCE_TO_DATA_SCIENCE, Reason.PERFORMANCE_SHORT)
    assert [(one.edge, one.reason) for one in loops] == [
        again, again, (Edge.DATA_SCIENCE_TO_REQUIREMENTS, Reason.BUDGET_SPENT)
    ]  # fmt: skip
    handed = lap.handovers(lap.cycles()[0].cycle_id)
    assert {one.output for one in handed if one.stage is Stage.PREPARATION} == {"features@0"}
    tried = [len(one.summary["candidates"]) for one in handed if one.stage is Stage.TRAINING]  # type: ignore[arg-type]
    assert tried == [2, 4, 4]
    assert [review.order.use_case for review in lap.questions] == ["radar"]


# Beside the champion


def go_live(
    lap: Lap, rows: pd.DataFrame, *, trained_until: str = "2015-07-01", sign: float = 1.0, **manifest: Any
) -> None:
    """Make a champion live that has seen the answers: of these rows, or their opposite."""
    numeric, categorical = list(FEATURES.NUMERIC), list(FEATURES.CATEGORICAL)
    known = rows[rows["target"].notna()]
    encode = ColumnTransformer([("numeric", "passthrough", numeric)])
    model = Pipeline([("encode", encode), ("model", KNeighborsRegressor(1))])
    model.fit(known[numeric + categorical], sign * known["target"])
    snapshot = {str(entity): {} for entity in rows["entity"].unique()}
    complete = {"use_case": lap.use_case, "version": 1, "trained_until": trained_until,
                "features": {"numeric": numeric, "categorical": {name: [] for name in categorical}}, **manifest}  # fmt: skip
    path = lap.settings.artefacts / "champion"
    files = {
        release_files.MODEL: release_files.dump_model(model),
        release_files.SNAPSHOT: pd.Series(snapshot).to_json().encode(),
        release_files.GOLDEN: b'{"rows": [], "outputs": []}',
    }
    complete, digest = release_files.write_release(path, complete, files)
    with lap.store.write() as db:
        row = ReleaseRow(lap.use_case, 1, "c0000", 1, str(path), digest, complete, AS_OF, lap.now())
        assert live.save_release(db, row)
        assert live.promote(
            db, lap.use_case, 1, expected=None, cycle_id="c0000", reason="test", as_of=AS_OF, now=lap.now()
        )


def held_out(lap: Lap, order: WorkOrder) -> pd.DataFrame:
    """The features of an evaluation's order."""
    index = load_candidates(lap.settings.artefacts, lap.use_case, order.inputs[Stage.TRAINING]).index
    return Tables(lap.settings.tables, lap.use_case).read(index["features"])


@pytest.fixture
def later(lap: Lap) -> WorkOrder:
    """An evaluation as of 2017: four quarters are held out, of which the champion of 2016 has seen none."""
    return trained(lap, datetime(2017, 1, 1, tzinfo=UTC))


def test_candidates_worse_than_the_champion_go_back_to_training(lap: Lap, later: WorkOrder) -> None:
    go_live(lap, held_out(lap, later))
    loop = sent_back(lap, later)
    assert (loop.edge, loop.reason) == (Edge.DATA_SCIENCE_TO_DATA_SCIENCE, Reason.WORSE_THAN_CHAMPION)
    assert loop.step is Stage.TRAINING
    assert "against the champion, 2.0% tolerated" in loop.text


def test_candidates_better_than_the_champion_pass(lap: Lap, later: WorkOrder) -> None:
    go_live(lap, held_out(lap, later), sign=-1.0)
    assert passed(lap, later).summary["champion"] == "champion compared on 4 periods after 2015-07-01"


def test_the_champion_is_compared_on_the_rows_that_it_knows(lap: Lap, later: WorkOrder) -> None:
    """It is right about its few entities: that is enough to be better, however little it knows of the others."""
    rows = held_out(lap, later)
    few = rows[rows["entity"].isin(sorted(rows["entity"].unique())[:12])]
    go_live(lap, few)
    assert sent_back(lap, later).reason is Reason.WORSE_THAN_CHAMPION


def test_only_periods_that_the_champion_has_not_learnt_from_count(lap: Lap, later: WorkOrder) -> None:
    go_live(lap, held_out(lap, later), trained_until="2016-07-01")
    assert str(passed(lap, later).summary["champion"]).startswith("champion not comparable")


def test_a_champion_that_knows_none_of_the_entities_is_not_comparable(lap: Lap, later: WorkOrder) -> None:
    rows = held_out(lap, later)
    go_live(lap, rows.assign(entity="old-" + rows["entity"]))
    assert str(passed(lap, later).summary["champion"]).startswith("champion not comparable")


def test_a_champion_of_other_features_is_not_comparable_and_blocks_nothing(
    lap: Lap, later: WorkOrder
) -> None:
    """After the use case's feature code has changed, the old release cannot predict the new rows."""
    old = {"numeric": [*FEATURES.NUMERIC, "gone"], "categorical": {}}
    go_live(lap, held_out(lap, later), features=old)
    assert str(passed(lap, later).summary["champion"]).startswith("champion not comparable")


def test_a_second_cycle_on_real_data_is_compared_with_the_first(lap: Lap) -> None:
    lap.manual(Role.REQUIREMENTS, as_of=AS_OF)
    first = lap.live()
    assert first is not None
    assert Path(first.path).is_dir()
    lap.manual(Role.REQUIREMENTS, as_of=datetime(2017, 1, 1, tzinfo=UTC))
    second = next(one for one in lap.handovers(lap.cycles()[-1].cycle_id) if one.stage is Stage.EVALUATION)
    assert second.summary["champion"] == "champion compared on 4 periods after 2015-07-01"
