"""While a release is tried: who is answered by which, what is seen by nobody, and that no request suffers."""

from __future__ import annotations

import time
from collections import Counter
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.kreislauf.service.arms import Control, Counts, Trial, place_of
from include.kreislauf.store import rollouts, workers
from include.kreislauf.store.rollouts import Arm, ArmCounts, Rollout, RolloutState
from tests.service.conftest import Running, Start, World

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ROW = {"stars": 2.0, "share": 0.5, "kind": "language"}


def rollout(state: RolloutState = RolloutState.CANARY, share: float = 0.25, version: int = 2) -> Rollout:
    return Rollout("radar", version, "c0002-2016-01", 1, state, 1, share, "", {}, NOW, NOW)


def tried(state: RolloutState, share: float = 0.25) -> Trial:
    return Trial(rollout(state, share), release=object())  # type: ignore[arg-type]


# Whose turn it is


@given(st.text(min_size=1, max_size=128), st.floats(0, 0.5))
def test_law_a_key_always_meets_the_same_arm(key: str, share: float) -> None:
    trial = tried(RolloutState.CANARY, share)
    assert trial.arm_of(key) == trial.arm_of(key)
    place = place_of("radar", trial.rollout.version, key)
    assert 0 <= place < 1
    assert (trial.arm_of(key) is Arm.CANARY) == (place < share)


@given(st.floats(0.05, 0.5))
def test_law_who_meets_the_canary_stays_with_it_when_its_share_grows(share: float) -> None:
    for number in range(100):
        smaller, larger = tried(RolloutState.CANARY, share / 2), tried(RolloutState.CANARY, share)
        if smaller.arm_of(str(number)) is Arm.CANARY:
            assert larger.arm_of(str(number)) is Arm.CANARY


@pytest.mark.parametrize("key", [str, lambda _: None])
def test_the_shares_are_those_asked_for_and_baseline_is_as_large_as_canary(key: Any) -> None:
    found = Counter(tried(RolloutState.CANARY, 0.2).arm_of(key(number)) for number in range(20_000))
    for arm, share in ((Arm.CANARY, 0.2), (Arm.BASELINE, 0.2), (Arm.CHAMPION, 0.6)):
        assert found[arm] / 20_000 == pytest.approx(share, abs=0.02)


def test_another_rollout_shuffles_the_keys_anew() -> None:
    keys = [str(number) for number in range(2000)]
    both = [{key for key in keys if place_of("radar", version, key) < 0.5} for version in (2, 3)]
    assert 350 < len(both[0] & both[1]) < 650


@pytest.mark.parametrize("state", [RolloutState.CANDIDATE, RolloutState.SHADOW])
def test_only_a_canary_answers(state: RolloutState) -> None:
    assert {tried(state, 0.5).arm_of(str(number)) for number in range(100)} == {Arm.CHAMPION}


def test_a_release_that_is_not_loaded_answers_nobody() -> None:
    assert Trial(rollout(share=0.5)).arm_of("a") is Arm.CHAMPION


def test_counts_add_up_and_are_forgotten_with_their_rollout() -> None:
    counts, trial = Counts(), tried(RolloutState.CANARY)
    for seconds in (0.0005, 0.001, 0.3, 99.0):
        counts.add(trial, Arm.CANARY, rows=2, seconds=seconds)
    counts.add(trial, Arm.CANARY, rows=1, error=True)
    (found,) = counts.take({"radar": trial})["radar", 2]
    assert found == ArmCounts(Arm.CANARY, 5, 9, 1, pytest.approx(99.3015), {"0.001": 2, "0.5": 1, "+Inf": 1})
    assert counts.take({}) == {}


# With a server


class Tried:
    """A service with release 1 live and release 2 tried."""

    def __init__(self, world: World, start: Start) -> None:
        self.world = world
        world.sign()
        world.release(1)
        world.release(2)
        world.promote(1)
        self.service: Running = start(world)

    def state(self, state: RolloutState, share: float = 0.25, version: int = 2) -> Rollout:
        """Bring the rollout into a state, and wait until the service knows."""
        with self.world.store.write() as db:
            known = rollouts.find(db, "radar", version)
            if known is None:
                known = rollout(state, share, version)
                assert rollouts.begin(db, known)
            else:
                known = rollouts.move(db, known, state, datetime.now(UTC), "test", {})
        assert known
        time.sleep(0.6)  # the service looks four times a second
        return known

    def worker(self) -> workers.Worker:
        end = time.monotonic() + 10
        found: list[workers.Worker] = []
        while not found and time.monotonic() < end:
            with self.world.store.read() as db:
                found = workers.alive(db, datetime.now(UTC))
        (only,) = found
        return only

    def counts(self, arm: Arm, requests: int) -> ArmCounts:
        """What the service has counted, when it has told so many requests."""
        end = time.monotonic() + 10
        while time.monotonic() < end:
            with self.world.store.read() as db:
                found = rollouts.counts_of(db, "radar", 2).get(arm)
            if found and found.requests >= requests:
                return found
            time.sleep(0.1)
        raise AssertionError(f"{found} after 10 s")

    def ask(self, key: str, **features: Any) -> dict[str, Any]:
        answer = self.service.predict({"features": {**ROW, **features}}, key=key)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found


@pytest.fixture
def trial(world: World, start: Start) -> Tried:
    return Tried(world, start)


def test_a_worker_says_what_it_holds(trial: Tried) -> None:
    assert trial.worker().serving == {"radar": {"champion": 1}}
    trial.state(RolloutState.CANDIDATE)
    worker = trial.worker()
    assert worker.serving == {"radar": {"champion": 1, "candidate": 2}}
    (told,) = trial.service.client.get("/v1/workers").json()["workers"]
    assert (told["id"], told["serving"]) == (worker.id, worker.serving)
    assert trial.ask("a")["release"] == 1


def test_a_candidate_that_cannot_be_loaded_is_told_and_disturbs_nobody(trial: Tried) -> None:
    trial.world.release(3, golden_shift=1.0)
    trial.state(RolloutState.CANDIDATE, version=3)
    worker = trial.worker()
    assert worker.serving == {"radar": {"champion": 1}}
    assert worker.problems["radar"].startswith("release 3 cannot be loaded: ")
    assert "golden rows differ" in worker.problems["radar"]
    assert trial.service.client.get("/ready").status_code == 200
    assert trial.ask("a")["release"] == 1


def test_a_shadow_computes_what_the_champion_answered_and_nobody_sees_it(trial: Tried) -> None:
    trial.state(RolloutState.SHADOW)
    asked = [trial.ask(str(number), stars=float(number)) for number in range(20)]
    asked.append(trial.service.predict({"entity": "python"}, {"entity": "zig"}).json())
    assert {one["release"] for one in asked} == {1}
    counted = trial.counts(Arm.SHADOW, 21)
    assert (counted.requests, counted.rows, counted.errors) == (21, 22, 0)
    shadows = {row.prediction_id: row for row in trial.world.rows("shadow_predictions")}
    answered = {row.id: row for row in trial.world.rows()}
    assert set(shadows) == set(answered)
    for key, row in shadows.items():
        assert (row.release, row.use_case) == (2, "radar")
        before = answered[key].value
        # version 2 adds a thousand
        assert row.value == (None if before is None else pytest.approx(before + 1000, abs=1e-4))


def test_a_canary_answers_its_share_and_every_arm_is_logged(trial: Tried) -> None:
    under_way = trial.state(RolloutState.CANARY, share=0.25)
    expected = Trial(under_way, release=object())  # type: ignore[arg-type]
    for number in range(120):
        arm = expected.arm_of(key := f"user {number}")
        found = trial.ask(key)
        assert found["release"] == (2 if arm is Arm.CANARY else 1)
        assert found["predictions"][0]["value"] == pytest.approx(
            1000 * found["release"] + 4 + 1.5 + 5, abs=1e-4
        )
    arms = Counter(expected.arm_of(f"user {number}") for number in range(120))
    assert Counter(row.arm for row in trial.world.rows()) == {str(arm): n for arm, n in arms.items()}
    assert {row.release for row in trial.world.rows() if row.arm == "canary"} == {2}
    for arm in (Arm.CANARY, Arm.BASELINE):
        counted = trial.counts(arm, arms[arm])
        assert (counted.requests, counted.errors) == (arms[arm], 0)
        assert sum(counted.buckets.values()) == arms[arm]
        assert counted.seconds > 0
    metrics = trial.service.client.get("/metrics").text
    assert (
        f'kreislauf_predictions_total{{arm="canary",use_case="radar"}} {float(arms[Arm.CANARY])}' in metrics
    )


class Broken:
    """A model that fails at every row."""

    kind = "compiled"

    @property
    def predictor(self) -> Any:
        raise ZeroDivisionError("the new model")


def test_a_canary_that_fails_costs_no_request(trial: Tried) -> None:
    under_way = trial.state(RolloutState.CANARY, share=0.5)
    loaded = trial.service.app.state.service.follower.view.trials["radar"]
    object.__setattr__(loaded.release, "served", Broken())
    keys = [key for key in map(str, range(40)) if Trial(under_way, loaded.release).arm_of(key) is Arm.CANARY]
    assert len(keys) > 10
    for key in keys:
        assert trial.ask(key)["release"] == 1
    assert trial.counts(Arm.CANARY, len(keys)).errors == len(keys)
    assert {row.arm for row in trial.world.rows()} == {"champion"}


def test_a_request_that_is_wrong_is_not_the_canarys_error(trial: Tried) -> None:
    trial.state(RolloutState.CANARY, share=0.5)
    for number in range(20):
        assert trial.service.predict({"features": {"stars": 1}}, key=str(number)).status_code == 422
    trial.ask("a")
    trial.ask("b")
    with trial.world.store.read() as db:
        assert all(found.errors == 0 for found in rollouts.counts_of(db, "radar", 2).values())


def test_after_a_promotion_the_candidate_is_champion_at_once_and_the_way_back_is_warm(
    trial: Tried, monkeypatch: pytest.MonkeyPatch
) -> None:
    trial.state(RolloutState.CANDIDATE)
    follower = trial.service.app.state.service.follower
    monkeypatch.setattr(follower, "_load", None)  # nothing is loaded any more
    trial.world.promote(2)
    trial.service.wait_for(2)
    trial.state(RolloutState.PROMOTED)
    assert trial.ask("a")["release"] == 2
    trial.world.promote(1)
    trial.service.wait_for(1)
    assert trial.ask("a")["release"] == 1
    assert trial.worker().serving == {"radar": {"champion": 1}}


def test_a_stopped_service_takes_its_name_away(world: World) -> None:
    from tests.service.conftest import serving

    with serving(world):
        time.sleep(0.5)
        with world.store.read() as db:
            assert len(workers.alive(db, datetime.now(UTC))) == 1
    with world.store.read() as db:
        assert workers.alive(db, datetime.now(UTC)) == []


# While nothing is tried


def test_the_release_before_answers_the_share_that_the_contract_gives_it(world: World, start: Start) -> None:
    world.sign(control=0.2)
    for version in (1, 2, 3):
        world.release(version)
    for version in (1, 2):
        world.promote(version)
    service, keys = start(world), [f"user {number}" for number in range(100)]
    as_much_as_an_arm_looks_at: Any = SimpleNamespace(about=SimpleNamespace(use_case="radar"))
    expected = Control(2, 0.2, as_much_as_an_arm_looks_at)

    def answered() -> dict[str, int]:
        return {key: service.predict({"features": ROW}, key=key).json()["release"] for key in keys}

    time.sleep(0.6)  # the service is ready as soon as it has the champion
    found = answered()
    assert found == {key: 1 if expected.answers(key) else 2 for key in keys}
    assert 8 <= sum(version == 1 for version in found.values()) <= 35
    assert {(row.arm, row.release) for row in world.rows()} == {("champion", 2), ("control", 1)}
    assert all((row.value > 2000) == (row.release == 2) for row in world.rows())
    with world.store.write() as db:
        assert rollouts.begin(db, rollout(RolloutState.CANDIDATE, version=3))
    time.sleep(0.6)  # the service looks four times a second
    assert set(answered().values()) == {2}  # while something is tried, nobody meets the control


def test_without_a_share_or_a_release_before_there_is_no_control(world: World, start: Start) -> None:
    world.sign(control=0.2)
    world.release(1)
    world.promote(1)
    service = start(world)
    assert {service.predict({"features": ROW}, key=str(n)).json()["release"] for n in range(40)} == {1}
    assert {row.arm for row in world.rows()} == {"champion"}


def test_a_control_that_cannot_answer_leaves_it_to_the_champion(world: World, start: Start) -> None:
    world.sign(control=0.2)
    world.release(1, handle_unknown="error", compiled=False)
    world.release(2)
    for version in (1, 2):
        world.promote(version)
    service = start(world)
    time.sleep(0.6)
    odd = {"features": {**ROW, "kind": "something new"}}
    answers = [service.predict(odd, key=f"user {number}") for number in range(60)]
    assert {one.status_code for one in answers} == {200}
    assert {one.json()["release"] for one in answers} == {2}
    usual = [service.predict({"features": ROW}, key=f"user {number}") for number in range(60)]
    assert {one.json()["release"] for one in usual} == {1, 2}
