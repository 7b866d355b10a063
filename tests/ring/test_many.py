"""Three use cases that have nothing in common, in one stack at once: each key on its own thread, and nobody mixes them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from sklearn.datasets import load_wine

from include.kreislauf.cli import main
from include.kreislauf.embedded.making import Place, WorldOptions, make_world, write_use_case
from include.kreislauf.embedded.stack import EmbeddedStack
from include.kreislauf.handovers import Handover, Role, Stage, split_key, to_extra
from include.kreislauf.requirements.loading import load_contract
from include.kreislauf.requirements.variants import recorded_variant
from include.kreislauf.settings import ROOT
from include.kreislauf.simulation.panel import write_panel
from include.kreislauf.simulation.technologies import simulate
from include.kreislauf.store import live, messages
from include.kreislauf.store.database import Store
from tests.ring.conftest import RunningRing, lighter

pytestmark = [pytest.mark.ring, pytest.mark.timeout(600)]

RADAR, PLANT, WINE = "technology_radar", "machine_failure", "wine"
NAMES = (RADAR, PLANT, WINE)
AS_OF = {
    RADAR: datetime(2016, 1, 1, tzinfo=UTC),
    WINE: datetime(2026, 1, 1, tzinfo=UTC),
}


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningRing]:
    """A stack in which all three have gone live, started at the same moment."""
    home = tmp_path_factory.mktemp("many")
    env = install(home)
    store = Store(f"sqlite:///{home / 'kreislauf.db'}")
    store.upgrade()
    with EmbeddedStack(home, ROOT, env=env, start_timeout=240) as stack, stack.api() as api:
        stack.wait_for_dags([str(role) for role in Role])
        running = RunningRing(stack, api, store, home)
        for name in NAMES:
            begin(running, name)
        for name in NAMES:
            running.rest(name, timeout=400)
        yield running


def install(home: Path) -> dict[str, str]:
    """Their contracts and their data; returns the stack's environment."""
    use_cases = home / "use_cases"
    radar = recorded_variant(ROOT / "include" / "use_cases" / RADAR, use_cases)
    radar.write_text(lighter(radar.read_text()))
    write_panel(simulate(0), home / "data")

    options = WorldOptions(PLANT)
    contract = write_use_case(options, ROOT / "include" / "use_cases", use_cases)
    path = use_cases / PLANT / "contract.yaml"
    path.write_text(path.read_text().replace("configurations: 4", "configurations: 1"))
    plant = make_world(options, contract, Place(use_cases, "", home))
    plant.reach(plant.start)
    AS_OF[PLANT] = plant.start

    load_wine(as_frame=True).frame.to_csv(home / "data" / "wine.csv", index=False)
    env = {
        "KREISLAUF_HOME": str(home), "KREISLAUF_DATA": str(home / "data"), "KREISLAUF_CLOCK": "given",
        "KREISLAUF_USE_CASES": str(use_cases), "OMP_NUM_THREADS": "1",
        **{f"KREISLAUF_CONNECTION_{name.upper()}": url for name, url in plant.connections().items()},
    }  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        for name, value in env.items():
            patch.setenv(name, value)
        drafted = main(
            ["new-use-case", WINE, "--data", str(home / "data" / "wine.csv"), "--target", "target", "--yes",
             "--kind", "multiclass", "--purpose", "To know the grower.", "--owner", "cellar", "--sign-off", "automatic"]
        )  # fmt: skip
    assert drafted == 0
    return env


def begin(ring: RunningRing, name: str) -> None:
    """Start the first cycle of a use case, and wait for nothing."""
    conf = {
        "use_case": name,
        "reason": f"the first of {name}",
        "by": "a test",
        "as_of": AS_OF[name].isoformat(),
    }
    ring.api.trigger(Role.REQUIREMENTS, conf=conf)


def test_all_three_went_live_in_the_same_five_dags(many: RunningRing) -> None:
    assert {name: many.live_version(name) for name in NAMES} == dict.fromkeys(NAMES, 1), many.failures()
    assert {dag["dag_id"] for dag in many.api.dags()} == {str(role) for role in Role}
    spans = {name: span(many, name) for name in NAMES}
    latest_start, first_end = max(one[0] for one in spans.values()), min(one[1] for one in spans.values())
    assert latest_start < first_end, f"they did not run at the same time: {spans}"


def test_each_thread_carries_its_own_use_case_only(many: RunningRing) -> None:
    runs = {(run["dag_id"], run["dag_run_id"]): run["partition_key"] for run in many.api.runs()}
    seen = set()
    for name in NAMES:
        for cycle in many.cycles(name):
            with many.store.read() as db:
                made = messages.handovers_of(db, name, cycle.cycle_id)
            assert [one.stage for one in made][-1] is Stage.DEPLOYMENT
            for one in made:
                keys = {key for (_, run_id), key in runs.items() if run_id == one.run_id}
                assert keys <= {None, one.key}, (one.id, keys)
                seen.add((name, split_key(one.key)[0]))
    assert seen == {(name, name) for name in NAMES}


def test_each_release_answers_for_what_it_has_learnt(many: RunningRing) -> None:
    with many.store.read() as db:
        releases = {name: live.live_release(db, name) for name in NAMES}
    for name, row in releases.items():
        assert row is not None
        contract = load_contract(many.use_cases / name / "contract.yaml")
        assert row.manifest["use_case"] == name
        assert row.manifest["contract_hash"] == contract.hash
        assert tuple(row.manifest["problem"]["classes"]) == contract.problem.classes
    frame = load_wine(as_frame=True).frame
    features = frame.drop(columns="target").iloc[0].to_dict()
    body: dict[str, Any] = {"as_of": AS_OF[WINE].isoformat(), "rows": [{"features": features}]}
    (answer,) = many.service(f"/v1/{WINE}/predictions", **body).json()["predictions"]
    assert answer["label"] == str(frame["target"].iloc[0])
    assert sum(answer["probabilities"].values()) == pytest.approx(1)
    refused = many.service(f"/v1/{PLANT}/predictions", **body)
    assert (refused.status_code, "machine_type" in refused.text) == (422, True)
    assert many.service(f"/v1/{RADAR}/ranking?top=1").json()["ranking"]
    assert many.service(f"/v1/{WINE}/ranking?top=1").status_code in (404, 409)


def test_an_event_of_one_use_case_on_the_thread_of_another_is_refused(many: RunningRing) -> None:
    raw, other = newest(many, WINE, Stage.COLLECTION), newest(many, PLANT, Stage.COLLECTION)
    before = {name: messages_of(many, name) for name in NAMES}
    emit(many, "raw_data", to_extra(raw), other.key)
    run = wait_for(many, "data_science", other.key, number=2)
    ended = many.api.wait_for_run("data_science", run["dag_run_id"], expect="failed")
    log = many.api.task_log("data_science", ended["dag_run_id"], "prepare")
    assert f"a message of {raw.key} arrived on the thread of {other.key}" in log
    many.rest(PLANT)
    assert {name: messages_of(many, name) for name in NAMES} == before
    assert {name: many.live_version(name) for name in NAMES} == dict.fromkeys(NAMES, 1)


def test_a_form_of_one_use_case_on_the_thread_of_another_is_refused(many: RunningRing) -> None:
    key = newest(many, PLANT, Stage.COLLECTION).key
    conf = {"use_case": WINE, "reason": "mixed up", "by": "a test", "as_of": AS_OF[WINE].isoformat()}
    run = many.api.trigger(Role.DATA_ENGINEERING, conf=conf, partition_key=key)
    many.api.wait_for_run(Role.DATA_ENGINEERING, run["dag_run_id"], expect="failed")
    log = many.api.task_log(Role.DATA_ENGINEERING, run["dag_run_id"], "plan")
    assert f"the partition key is of '{PLANT}', the form of '{WINE}'" in log


def span(ring: RunningRing, name: str) -> tuple[str, str]:
    """When the first run with a key of a use case was started, and when its last one ended."""
    keys = {cycle.key for cycle in ring.cycles(name)}
    own = [run for run in ring.api.runs() if run["partition_key"] in keys]
    return min(run["start_date"] for run in own), max(run["end_date"] for run in own)


def newest(ring: RunningRing, name: str, stage: Stage) -> Handover:
    """The newest handover of a stage."""
    with ring.store.read() as db:
        found = messages.latest_handover(db, name, stage)
    assert found is not None
    return found


def messages_of(ring: RunningRing, name: str) -> list[str]:
    """Ids of all that a use case has handed over and sent back."""
    with ring.store.read() as db:
        made = [
            one.id for cycle in ring.cycles(name) for one in messages.handovers_of(db, name, cycle.cycle_id)
        ]
        return made + [row.loop.id for row in messages.loops_of(db, name)]


def emit(ring: RunningRing, asset: str, extra: dict[str, Any], key: str) -> None:
    """An asset event from outside, as anybody with the right to it can send it."""
    (found,) = [one for one in ring.api.assets() if one["name"] == asset]
    token = httpx.post(
        f"{ring.stack.airflow_url}/auth/token", trust_env=False,
        json={"username": ring.stack.username, "password": ring.stack.password},
    ).json()["access_token"]  # fmt: skip
    body = {"asset_id": found["id"], "extra": extra, "partition_key": key}
    answer = httpx.post(
        f"{ring.stack.airflow_url}/api/v2/assets/events", json=body, trust_env=False,
        headers={"Authorization": f"Bearer {token}"},
    )  # fmt: skip
    assert answer.status_code == 200, answer.text


def wait_for(ring: RunningRing, dag_id: str, key: str, number: int) -> dict[str, Any]:
    """The newest run of a DAG on a thread, once there are so many."""
    deadline = time.monotonic() + 60
    while len(runs := ring.api.runs(dag_id, partition_key=key)) < number:
        assert time.monotonic() < deadline, runs
        time.sleep(0.3)
    return runs[0]
