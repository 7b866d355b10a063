"""The overview of a use case: where the ring stands, what is live, the metric, the cycles; bounded and undisturbed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import yaml
from sqlalchemy import event

from include.kreislauf.errors import ContractError, StoreError
from include.kreislauf.feedback.in_words import predicted
from include.kreislauf.feedback.monitor import check_all, due_orders
from include.kreislauf.feedback.overview import MAX_CYCLES, MAX_VERDICTS, list_use_cases, overview
from include.kreislauf.feedback.overview_models import Overview
from include.kreislauf.handovers import Edge, Reason, Stage
from include.kreislauf.requirements.contract import Contract
from include.kreislauf.requirements.loading import load_contract
from include.kreislauf.requirements.problem import Problem
from include.kreislauf.settings import Settings
from include.kreislauf.store import contracts, cycles
from include.kreislauf.store.contracts import SignOff
from include.kreislauf.store.cycles import State
from include.kreislauf.store.database import Store
from tests.support.plant import END, PLANT, history, log, plant_values, promote
from tests.support.problems import NUMBERS, THREE, TWO

NAME = "technology_radar"
MAIN = Edge.MONITORING_TO_DATA_ENGINEERING
Make = Callable[..., Settings]


def view(settings: Settings) -> Overview:
    return overview(Store(settings.store), settings, NAME)


def here(found: Overview) -> Stage:
    return next(place.stage for place in found.standing.places if place.state == "here")


def test_the_story_is_told(told: Settings) -> None:
    found = view(told)
    assert found.use_case.title == "Future-proof software technologies"
    assert found.sign_off is not None
    assert (found.sign_off.decision, found.sign_off.how) == ("signed", "automatic")
    assert [cycle.state for cycle in found.cycles] == ["active", "refused", "live", "live"]
    assert found.current == found.cycles[0]
    assert here(found) is Stage.TRAINING
    assert found.standing.attempt == 2
    done = [place.stage for place in found.standing.places if place.state == "done"]
    assert done == [Stage.COLLECTION, Stage.PREPARATION]
    assert found.live is not None
    assert (found.live.version, found.live.metric, found.live.gain) == (2, "mae", 0.0842)
    assert f"{found.live.since:%Y-%m-%d}" == "2015-10-01"
    assert [one.version for one in found.promotions] == [1, 2]


def test_did_it_help(told: Settings) -> None:
    at_work, refused, second, first = view(told).cycles
    assert second.change is not None
    assert (second.change.before, second.change.after, second.change.helped) == (-0.006, 0.024, True)
    assert second.change.unit == "log points per period"
    assert second.release == 2
    assert at_work.change is not None
    assert (at_work.change.after, at_work.change.helped, at_work.release) == (None, None, None)
    assert refused.note == "cool-down until 2016-03-01"
    assert first.change is None


CARD = "documents/technology_radar/c0002-2015-10-01/1/model_card"
SHEET = "documents/technology_radar/c0002-2015-10-01/1/data_sheet"


def test_documents_of_cycles_and_of_the_live_release(told: Settings) -> None:
    found = view(told)
    expected = [("model card", CARD), ("data sheet", SHEET)]
    assert found.live is not None
    assert [(one.name, one.href) for one in found.live.documents] == expected
    # the first cycle was evaluated too, but nothing of it was kept
    assert [[one.href for one in cycle.documents] for cycle in found.cycles] == [[], [], [CARD, SHEET], []]


def test_documents_need_a_handover_and_a_release_has_those_it_was_made_from(installation: Make) -> None:
    def tell(story: Any) -> None:
        cycle = story.cycle("2015-10-01", "manual/requirements", "first")
        story.hand_over(cycle, Stage.COLLECTION)
        story.hand_over(cycle, Stage.EVALUATION, attempt=2)
        story.release(cycle, 1, 0.1)  # made by attempt 1
        story.hand_over(cycle, Stage.COLLECTION, Stage.EVALUATION, attempt=3)

    settings = installation(tell)
    for attempt in (1, 2, 4):
        for folder, file in (("model_cards", "model_card.html"), ("data_sheets", "data_sheet.md")):
            path = settings.artefacts / NAME / folder / f"c0001-2015-10-01-{attempt}" / file
            path.parent.mkdir(parents=True)
            path.touch()
    found = view(settings)
    base = "documents/technology_radar/c0001-2015-10-01"
    assert [one.href for one in found.cycles[0].documents] == [f"{base}/2/model_card", f"{base}/1/data_sheet"]
    assert found.live is not None
    assert [one.href for one in found.live.documents] == [f"{base}/1/data_sheet"]


def test_a_gain_in_another_metric(installation: Make) -> None:
    def tell(story: Any) -> None:
        cycle = story.cycle("2015-10-01", "manual/requirements", "first")
        story.metric = "log_loss"
        story.release(cycle, 1, 0.2)

    live = view(installation(tell)).live
    assert live is not None
    assert (live.metric, live.gain) == ("log_loss", 0.2)


def test_fired_loops_are_counted_by_edge(told: Settings) -> None:
    fired = {loop.edge: loop for loop in view(told).fired}
    assert (fired[MAIN].times, fired[MAIN].refused, fired[MAIN].in_current) == (3, 1, True)
    assert fired[MAIN].cycle_id == "c0004-2017-10-01"
    assert fired[Edge.DATA_SCIENCE_TO_DATA_SCIENCE].in_current is False
    assert fired[Edge.DATA_SCIENCE_TO_DATA_ENGINEERING].text.startswith("11 requested technologies")


def test_both_metrics_with_their_verdicts(told: Settings, contract: Contract) -> None:
    found = view(told).metrics
    declared = [(metric.name, metric.unit, metric.threshold) for metric in contract.business_metrics]
    assert [(metric.name, metric.unit, metric.threshold) for metric in found] == declared
    assert [len(metric.points) for metric in found] == [15, 15]
    uplift = found[0]
    assert [point.verdict for point in uplift.points[:7]] == ["inconclusive"] * 2 + ["healthy"] * 4 + [
        "breach"
    ]
    assert uplift.points[0].value is None
    assert uplift.points == tuple(sorted(uplift.points, key=lambda point: point.as_of))


@pytest.mark.parametrize(
    ("problem", "text"),
    [
        (
            NUMBERS,
            "a number, the target of features.py, for each technology, one quarter ahead; asked for by name",
        ),
        (TWO, "the probability of fails (not runs), failed, for each row; requests carry all features"),
        (
            THREE,
            "one of 3 classes (barolo, grignolino, barbera), cultivar, for each row; requests carry all features",
        ),
    ],
)
def test_what_is_predicted_in_words(problem: Problem, text: str) -> None:
    found = predicted(problem)
    assert (found.kind, found.classes, found.text) == (problem.kind, problem.classes, text)


def test_of_many_classes_the_first_are_named() -> None:
    many = THREE.model_copy(update={"classes": tuple(f"c{n}" for n in range(20))})
    assert "one of 20 classes (c0, c1, c2, c3, c4, c5, c6, c7 and 12 more), cultivar" in predicted(many).text


def test_a_use_case_of_two_classes(installation: Make) -> None:
    """Decisions by costs: its names, unit and classes, a loop for new categories, and no entity anywhere."""
    settings = installation(lambda _: None)
    folder = settings.use_cases / PLANT
    folder.mkdir()
    (folder / "contract.yaml").write_text(
        yaml.safe_dump(plant_values(monitoring={"retrain_on_warning": True}))
    )
    store = Store(settings.store)
    promote(store, settings)
    log(store, history("new_category", 0))
    contract = load_contract(folder / "contract.yaml")
    with store.write() as db:
        contracts.record_contract(db, contract, END)
        contracts.record_sign_off(db, PLANT, contract.hash, SignOff("signed", "ada", "person"), END)
    orders = due_orders(store, settings.use_cases, "due", END)
    [loop], faults = check_all(orders, store=store, now=END, settings=settings)
    found = overview(store, settings, PLANT)
    assert faults == []
    assert found.predicted is not None
    assert (found.predicted.kind, found.predicted.classes) == ("binary", ("runs", "fails"))
    [saved] = found.metrics
    assert (saved.name, saved.unit, saved.direction) == ("saved", "EUR per machine-hour", "higher")
    assert saved.points[-1].verdict == "healthy"
    [fired] = found.fired
    assert (fired.edge, fired.reason) == (loop.edge, Reason.NEW_CATEGORIES)
    [kind] = found.loop_kinds
    assert (kind.metric, kind.unit) == ("saved", "EUR per machine-hour")
    assert "entit" not in found.model_dump_json()


def test_a_fresh_store(installation: Make) -> None:
    found = view(installation(lambda story: None))
    assert (found.current, found.live, found.cycles, found.fired) == (None, None, (), ())
    assert [len(metric.points) for metric in found.metrics] == [0, 0]
    assert {place.state for place in found.standing.places} == {"open"}


def test_use_cases_with_the_fault_of_the_broken_one(told: Settings) -> None:
    usable, broken = list_use_cases(Store(told.store), told)
    assert (usable.name, usable.problem) == (NAME, "")
    assert broken.name == "wrong_name"
    assert "differs from its folder" in broken.problem
    assert "rename the folder" in broken.problem
    assert "differs from its folder" in overview(Store(told.store), told, "wrong_name").use_case.problem


def test_a_use_case_without_its_folder_keeps_its_past(installation: Make) -> None:
    settings = installation()
    (settings.use_cases / NAME / "contract.yaml").unlink()
    found = view(settings)
    assert found.use_case.title == "Future-proof software technologies"
    assert "no use case is named" in found.use_case.problem
    assert len(found.cycles) == 4
    assert NAME in [one.name for one in list_use_cases(Store(settings.store), settings)]


def test_an_unknown_use_case(told: Settings) -> None:
    with pytest.raises(ContractError, match="technology_radar"):
        overview(Store(told.store), told, "../../etc")


@pytest.mark.parametrize(
    ("state", "expected"),
    [(State.WAITING, Stage.REQUIREMENTS), (State.LIVE, Stage.MONITORING), (State.FAILED, Stage.COLLECTION)],
)
def test_where_a_cycle_stands_by_its_state(installation: Make, state: State, expected: Stage) -> None:
    found = view(
        installation(lambda story: story.cycle("2014-01-01", "manual/data_engineering", "again", state))
    )
    assert found.current is not None
    assert found.current.state == state
    assert here(found) is expected


def test_a_loop_inside_a_cycle_moves_the_work_back(installation: Make) -> None:
    def tell(story: Any) -> None:
        cycle = story.cycle("2014-01-01", "manual/requirements", "first")
        story.hand_over(cycle, *list(Stage)[:5])
        edge = Edge.MLOPS_TO_DATA_SCIENCE
        story.loop(cycle, edge, Reason.RELEASE_FAILED, "golden rows differ", attempt=2)

    found = view(installation(tell))
    assert here(found) is Stage.PREPARATION
    assert [p.stage for p in found.standing.places if p.state == "done"] == [
        Stage.REQUIREMENTS,
        Stage.COLLECTION,
    ]


def test_a_failed_cycle_is_shown_before_the_live_one(installation: Make) -> None:
    def tell(story: Any) -> None:
        first = story.cycle("2014-01-01", "manual/requirements", "first")
        story.release(first, 1, 0.1)
        story.cycle("2015-01-01", f"loop/{MAIN}", "fell", State.FAILED, "collect failed: disk full")
        assert len(cycles.all_cycles(story.db, NAME)) == 2

    found = view(installation(tell))
    assert found.current is not None
    assert (found.current.state, found.current.note) == ("failed", "collect failed: disk full")
    assert here(found) is Stage.COLLECTION


def test_numbers_that_are_none_are_left_out(installation: Make) -> None:
    def tell(story: Any) -> None:
        from include.kreislauf.store import messages

        cycle = story.cycle("2014-01-01", f"loop/{MAIN}", "fell")
        loop_id = story.loop(cycle, MAIN, Reason.BUSINESS_METRIC_FELL, "fell", before=1.0)
        measured = messages.Measured(
            before_low=None, before_high=None, value_after=2.0, after_low=float("-inf"), after_high=float("inf"),
            gain_low=None, gain_high=None, helped=True,
        )  # fmt: skip
        messages.close_loop(story.db, loop_id, measured)

    change = view(installation(tell)).cycles[0].change
    assert change is not None
    assert (change.after, change.low, change.high) == (2.0, None, None)


def test_thousands_of_cycles_cost_no_more_rows_or_queries(installation: Make, told: Settings) -> None:
    def tell(story: Any) -> None:
        for number in range(1200):
            day = f"{story.contract.version}"
            made = cycles.open_cycle(
                story.db, NAME, origin=f"{day}/{number}", started_by=f"loop/{MAIN}", reason="fell",
                as_of=story.now, now=story.now, state=State.REFUSED,
            )  # fmt: skip
            if number % 4 == 0:
                story.loop(made, MAIN, Reason.BUSINESS_METRIC_FELL, "fell", "refused", before=0.0)
                story.verdicts(made, number, [0.1], [100.0])

    many = installation(tell)
    found, queries = counted(many)
    assert len(found.cycles) == MAX_CYCLES
    assert sum(len(metric.points) for metric in found.metrics) == MAX_VERDICTS
    assert found.cycles[0].opened_at - found.cycles[-1].opened_at < timedelta(days=1)
    assert queries <= counted(told)[1]


def counted(settings: Settings) -> tuple[Overview, int]:
    store, statements = Store(settings.store), []
    event.listen(store.engine, "before_cursor_execute", lambda *args: statements.append(args[2]))
    return overview(store, settings, NAME), len(statements)


def test_a_store_without_schema_says_what_to_do(tmp_path: Any) -> None:
    settings = Settings(home=tmp_path)
    with pytest.raises(StoreError, match="store upgrade"):
        view(settings)


def test_a_store_that_is_no_database_says_so(tmp_path: Any) -> None:
    settings = Settings(home=tmp_path)
    (tmp_path / "kreislauf.db").write_text("not a database " * 100)
    with pytest.raises(StoreError, match="KREISLAUF_STORE_URL"):
        view(settings)
