"""The ring on real Airflow processes: one thread per cycle, manual runs, repeated events, broken input."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from include.kreislauf.handovers import Edge, Role, Stage, split_key
from include.kreislauf.store import contracts, messages
from include.kreislauf.store.cycles import State
from tests.ring.conftest import AS_OF, USE_CASE, RunningRing

pytestmark = [pytest.mark.ring, pytest.mark.timeout(600)]


def test_the_first_cycle_went_round_on_one_key(ring: RunningRing) -> None:
    first = ring.cycles()[-1]
    runs = ring.api.runs(partition_key=first.key)
    assert {run["dag_id"] for run in runs} >= {"data_engineering", "data_science", "mlops", "monitoring"}
    assert {run["state"] for run in runs} == {"success"}
    with ring.store.read() as db:
        stages = [one.stage for one in messages.handovers_of(db, USE_CASE, first.cycle_id)]
    assert stages == [
        Stage.REQUIREMENTS,
        Stage.COLLECTION,
        Stage.PREPARATION,
        Stage.TRAINING,
        Stage.EVALUATION,
        Stage.DEPLOYMENT,
    ]
    assert first.state is State.LIVE


def test_the_service_answers_with_the_live_release(ring: RunningRing) -> None:
    version = ring.live_version()
    assert ring.service(f"/v1/{USE_CASE}/release").json()["version"] == version
    name = ring.service(f"/v1/{USE_CASE}/ranking?top=1").json()["ranking"][0]["entity"]
    rows = [{"entity": name}, {"entity": "no such technology"}]
    answer = ring.service(f"/v1/{USE_CASE}/predictions", as_of=AS_OF.isoformat(), rows=rows).json()
    assert answer["release"] == version
    assert [(one["known"], one["value"] is None) for one in answer["predictions"]] == [
        (True, False),
        (False, True),
    ]
    assert f'kreislauf_novel_predictions_total{{use_case="{USE_CASE}"}}' in ring.service("/metrics").text


@pytest.mark.parametrize("role", [Role.DATA_ENGINEERING, Role.DATA_SCIENCE, Role.MLOPS])
def test_a_manual_run_without_a_key_carries_on_around_the_ring(ring: RunningRing, role: Role) -> None:
    before = ring.live_version()
    # the candidate that is live is released again only by who insists
    run = ring.trigger(role, f"by hand from {role}", override=role is Role.MLOPS)
    assert run["partition_key"] is None
    ring.rest()
    cycle = ring.cycles()[0]
    assert (cycle.started_by, cycle.reason) == (f"manual/{role}", f"by hand from {role}")
    followers = {one["dag_id"] for one in ring.api.runs(partition_key=cycle.key)}
    later = {
        Role.DATA_ENGINEERING: {"data_science", "mlops", "monitoring"},
        Role.DATA_SCIENCE: {"mlops", "monitoring"},
    }
    if role is not Role.MLOPS and cycle.state is not State.LIVE:
        # the same data again: the gate may find the champion under another name, and must then ask a person
        assert cycle.state is State.WAITING, cycle
        answer_all(ring, "Reject")
        return
    assert followers >= later.get(role, {"monitoring"})
    assert ring.live_version() == (before or 0) + 1


def test_monitoring_by_hand_sends_the_work_back_where_a_person_wants_it(ring: RunningRing) -> None:
    ring.trigger(
        Role.MONITORING, "try the main loop", loop=Edge.MONITORING_TO_DATA_ENGINEERING.value, by=None
    )
    ring.rest()
    with ring.store.read() as db:
        row = messages.loops_of(db, USE_CASE, edges=(Edge.MONITORING_TO_DATA_ENGINEERING,))[-1]
    assert (row.state, row.loop.by, row.loop.parent_cycle_id is not None) == ("accepted", "admin", True)
    started = ring.api.runs("data_engineering", partition_key=row.loop.key)
    assert [run["state"] for run in started] == ["success"]
    answer_all(ring, "Reject")


def test_an_event_emitted_again_does_nothing(ring: RunningRing) -> None:
    first = ring.cycles()[-1]
    run = next(run for run in ring.api.runs("data_engineering", partition_key=first.key))
    with ring.store.read() as db:
        before = messages.handovers_of(db, USE_CASE, first.cycle_id)
    ring.api.clear("data_engineering", run["dag_run_id"], ["hand_over"])
    ring.api.wait_for_run("data_engineering", run["dag_run_id"], expect="success")
    wait_until(lambda: len(ring.api.runs("data_science", partition_key=first.key)) == 2)
    ring.rest()
    second = ring.api.runs("data_science", partition_key=first.key)[0]
    states = {
        one["task_id"]: one["state"] for one in ring.api.task_instances("data_science", second["dag_run_id"])
    }
    assert set(states.values()) == {"skipped"}, states
    with ring.store.read() as db:
        assert messages.handovers_of(db, USE_CASE, first.cycle_id) == before


@pytest.mark.parametrize(
    "fault", ["missing column", "empty file", "duplicate rows", "text in a number column"]
)
def test_a_broken_panel_stops_at_collection_and_asks_a_person(ring: RunningRing, fault: str) -> None:
    before = ring.live_version()
    with broken_panel(ring.panel, fault) as expected:
        ring.trigger(Role.DATA_ENGINEERING, f"broken: {fault}")
        wait_until(lambda: ring.cycles()[0].state is State.WAITING)
    cycle = ring.cycles()[0]
    with ring.store.read() as db:
        loop = messages.loops_of(db, USE_CASE, cycle_id=cycle.cycle_id)[-1].loop
        stages = [one.stage for one in messages.handovers_of(db, USE_CASE, cycle.cycle_id)]
    assert loop.edge is Edge.DATA_ENGINEERING_TO_REQUIREMENTS
    assert expected in loop.text
    assert stages == []
    assert ring.service(f"/v1/{USE_CASE}/release").json()["version"] == before == ring.live_version()
    answer_all(ring, "Reject")
    assert ring.cycles()[0].state is State.CLOSED


def test_after_the_source_was_mended_an_approval_carries_on(ring: RunningRing) -> None:
    with broken_panel(ring.panel, "missing column"):
        ring.trigger(Role.DATA_ENGINEERING, "broken, then mended")
        wait_until(lambda: ring.cycles()[0].state is State.WAITING)
    answer_all(ring, "Approve")
    ring.rest()
    cycle = ring.cycles()[0]
    with ring.store.read() as db:
        stages = {one.stage for one in messages.handovers_of(db, USE_CASE, cycle.cycle_id)}
    assert {Stage.REQUIREMENTS, Stage.COLLECTION, Stage.PREPARATION} <= stages
    answer_all(ring, "Reject")


def test_a_contract_that_must_be_signed_waits_for_a_person(ring: RunningRing) -> None:
    add_use_case(ring, "signed_radar", sign_off="required")
    run = ring.api.trigger(
        "requirements", conf={"use_case": "signed_radar", "reason": "new", "as_of": AS_OF.isoformat()}
    )
    wait_until(lambda: bool(ring.api.hitl_details("requirements", run["dag_run_id"])))
    answer_all(ring, "Approve", note="agreed", use_case="signed_radar")
    ring.api.wait_for_run("requirements", run["dag_run_id"], expect="success")
    ring.rest("signed_radar")
    assert ring.live_version("signed_radar") == 1
    with ring.store.read() as db:
        assert contracts.signed_contract(db, "signed_radar") is not None


def test_a_rejected_contract_goes_nowhere(ring: RunningRing) -> None:
    add_use_case(ring, "rejected_radar", sign_off="required")
    run = ring.api.trigger(
        "requirements", conf={"use_case": "rejected_radar", "reason": "new", "as_of": AS_OF.isoformat()}
    )
    wait_until(lambda: bool(ring.api.hitl_details("requirements", run["dag_run_id"])))
    answer_all(ring, "Reject", note="not yet", use_case="rejected_radar")
    ring.api.wait_for_run("requirements", run["dag_run_id"], expect="success")
    cycle = ring.cycles("rejected_radar")[0]
    assert (cycle.state, "not yet" in (cycle.note or "")) == (State.CLOSED, True)
    assert ring.api.runs("data_engineering", partition_key=cycle.key) == []


def test_a_result_too_good_to_be_true_asks_the_data_scientist(ring: RunningRing) -> None:
    path = add_use_case(ring, "wonder_radar", sign_off="automatic")
    path.write_text(path.read_text().replace("too_good_to_be_true: 0.5", "too_good_to_be_true: 0.001"))
    ring.api.trigger(
        "requirements", conf={"use_case": "wonder_radar", "reason": "new", "as_of": AS_OF.isoformat()}
    )
    wait_until(lambda: bool(ring.api.hitl_details("data_science")))
    (question,) = ring.api.hitl_details("data_science")
    asked = question["task_instance"]
    assert (asked["task_id"], question["options"]) == ("ask_data_scientist", ["Genuine", "A leak"])
    assert "Most important features" in question["body"]
    (cycle,) = ring.cycles("wonder_radar")
    assert cycle.state is State.WAITING
    assert ring.live_version("wonder_radar") is None
    ring.api.answer_hitl(asked["dag_id"], asked["dag_run_id"], asked["task_id"], ["Genuine"])
    ring.rest("wonder_radar")
    assert ring.live_version("wonder_radar") == 1


def test_each_family_was_searched_by_a_task_of_its_own(ring: RunningRing) -> None:
    run = next(one for one in ring.api.runs("data_science") if one["state"] == "success")
    tasks = ring.api.task_instances("data_science", run["dag_run_id"])
    searched = [one for one in tasks if one["task_id"] == "search"]
    assert sorted(one["map_index"] for one in searched) == [0, 1]  # ridge and boosting
    assert {one["state"] for one in searched} == {"success"}


def test_a_broken_contract_is_refused_and_the_others_keep_running(ring: RunningRing) -> None:
    path = add_use_case(ring, "broken_radar", sign_off="automatic")
    path.write_text(path.read_text().replace("kind: reported", "kind: vibes"))
    line = next(n for n, text in enumerate(path.read_text().splitlines(), 1) if "vibes" in text)
    run = ring.api.trigger(
        "requirements", conf={"use_case": "broken_radar", "reason": "try", "as_of": AS_OF.isoformat()}
    )
    ring.api.wait_for_run("requirements", run["dag_run_id"], expect="failed")
    log = ring.api.task_log("requirements", run["dag_run_id"], "review_contract")
    assert f"contract.yaml:{line}" in log
    allowed = log.partition("unknown kind 'vibes'; allowed: ")[2].partition(";")[0]
    assert {"portfolio_uplift", "decision_value", "reported"} <= set(allowed.split(", "))
    assert ring.api.import_errors() == []
    assert ring.cycles("broken_radar")[0].state is State.FAILED
    assert ring.service(f"/v1/{USE_CASE}/ranking").status_code == 200


def test_every_run_with_a_key_belongs_to_a_cycle_of_its_use_case(ring: RunningRing) -> None:
    keys = {run["partition_key"] for run in ring.api.runs() if run["partition_key"]}
    known = {
        (cycle.use_case, cycle.cycle_id)
        for name in {split_key(key)[0] for key in keys}
        for cycle in ring.cycles(name)
    }
    assert {split_key(key) for key in keys} <= known


def answer_all(ring: RunningRing, option: str, note: str = "a test", use_case: str = USE_CASE) -> None:
    """Answer the question of every cycle that waits for a person, and wait until nothing is at work any more."""
    while ring.cycles(use_case, State.WAITING):
        wait_until(lambda: bool(ring.api.hitl_details()))  # the store knows a little earlier than Airflow
        for question in ring.api.hitl_details():
            asked = question["task_instance"]
            ring.api.answer_hitl(
                asked["dag_id"], asked["dag_run_id"], asked["task_id"], [option], {"note": note}
            )
            ring.api.wait_for_run(asked["dag_id"], asked["dag_run_id"], expect="success")
        ring.rest(use_case)
        if option == "Approve":
            return


def add_use_case(ring: RunningRing, name: str, *, sign_off: str) -> Path:
    """A copy of the practice example under another name."""
    folder = ring.use_cases / name
    shutil.copytree(ring.use_cases / USE_CASE, folder, ignore=shutil.ignore_patterns("__pycache__"))
    path = folder / "contract.yaml"
    text = path.read_text().replace(f"name: {USE_CASE}", f"name: {name}")
    path.write_text(text.replace("sign_off: automatic", f"sign_off: {sign_off}"))
    return path


@contextmanager
def broken_panel(path: Path, fault: str) -> Iterator[str]:
    """Break the source for a while; gives what the loop must say."""
    whole = path.read_text()
    lines = whole.splitlines(keepends=True)
    broken, said = {
        "missing column": (whole.replace("jobs_share", "jobs_part", 1), "column jobs_share is missing"),
        "empty file": ("", "the file is empty"),
        "duplicate rows": (whole + lines[1], "duplicate rows"),
        "text in a number column": ("".join([lines[0], lines[1].rpartition(",")[0] + ",many\n", *lines[2:]]), "'many' in row 2 is not a number"),
    }[fault]  # fmt: skip
    try:
        path.write_text(broken)
        yield said
    finally:
        path.write_text(whole)


def wait_until(condition: object, timeout: float = 120) -> None:
    """Poll until a condition holds."""
    import time

    deadline = time.monotonic() + timeout
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < deadline, "the condition did not come true"
        time.sleep(0.3)
