"""The mlops DAG: one task on the straight path; what waits and asks comes only where it is needed."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from dags.common import delivery_tasks
from dags.common.delivery_tasks import AGREE, REJECT, AskMlopsEngineer, TryOut
from dags.mlops import dag
from include.kreislauf.handovers import Edge, WorkOrder

EXITS = {"hand_over", "raise_loop_to_data_science"}
ORDER = WorkOrder(
    use_case="radar", cycle_id="c0001", contract_hash="0" * 64, as_of=datetime(2026, 1, 1, tzinfo=UTC), started_by="t"
)  # fmt: skip


def test_the_straight_path_is_one_task_before_its_way_out() -> None:
    assert set(dag.get_task("deploy").downstream_task_ids) == {"try_out", "ask_mlops_engineer", *EXITS}
    assert not dag.get_task("deploy").upstream_task_ids
    assert set(dag.task_ids) == {"deploy", "try_out", "ask_mlops_engineer", "promote", *EXITS}


def test_what_waits_leads_to_a_promotion_or_to_the_question_first() -> None:
    assert set(dag.get_task("try_out").downstream_task_ids) == {"ask_mlops_engineer", "promote"}
    assert set(dag.get_task("ask_mlops_engineer").downstream_task_ids) == {"promote"}
    assert set(dag.get_task("promote").downstream_task_ids) == EXITS


def test_waiting_holds_no_worker_and_the_question_may_be_reached_from_either_task() -> None:
    waiting, ask = dag.get_task("try_out"), dag.get_task("ask_mlops_engineer")
    assert isinstance(waiting, TryOut)
    assert (waiting.mode, waiting.poke_interval) == ("reschedule", 15)
    assert isinstance(ask, AskMlopsEngineer)
    assert ask.options == [AGREE, REJECT]
    assert ask.trigger_rule == dag.get_task("promote").trigger_rule == "none_failed_min_one_success"


def test_a_rollback_is_one_click() -> None:
    assert dag.params["roll_back"] is False
    (exit_,) = (one for one in dag.tasks if one.task_id == "raise_loop_to_data_science")
    assert [outlet.name for outlet in exit_.outlets] == [f"loop/{Edge.MLOPS_TO_DATA_SCIENCE}"]


@pytest.mark.parametrize(
    ("chosen", "user", "asks_again"),
    [(AGREE, "ada", True), (AGREE, "grace", False), (REJECT, "ada", False)],
)
def test_who_trained_is_asked_again_when_agreeing(
    monkeypatch: pytest.MonkeyPatch, chosen: str, user: str, asks_again: bool
) -> None:
    class AskedAgain(Exception):
        pass

    def asks(*_: Any) -> None:
        raise AskedAgain

    def objection(_order: WorkOrder, answer: Any) -> str:
        return "no" if answer["responded_by_user"]["name"] == "ada" else ""

    monkeypatch.setattr(delivery_tasks, "order_of", lambda *_: ORDER)
    monkeypatch.setattr(delivery_tasks, "_objection", objection)
    monkeypatch.setattr(AskMlopsEngineer, "execute", asks)
    ask = AskMlopsEngineer(task_id="ask", subject="?", options=[AGREE, REJECT])
    event = {
        "chosen_options": [chosen], "params_input": {}, "responded_at": datetime.now(UTC),
        "responded_by_user": {"id": "7", "name": user},
    }  # fmt: skip
    if asks_again:
        with pytest.raises(AskedAgain):
            ask.execute_complete({}, event)
    else:
        assert ask.execute_complete({}, event)["chosen_options"] == [chosen]
