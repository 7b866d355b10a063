"""What warns before outcomes are known: only what is sure, only from what the store has, at the cost of a window."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from functools import lru_cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from sqlalchemy import event, insert

from include.kreislauf.monitoring.shift import LARGEST, feature_shift, novelty, prediction_shift, profiles_of
from include.kreislauf.monitoring.signals import UNITS, Watched, signals_of
from include.kreislauf.requirements.contract import Contract
from include.kreislauf.requirements.loading import load_contract
from include.kreislauf.requirements.monitoring import Monitoring
from include.kreislauf.statistics.stability import Profile
from include.kreislauf.store import rollouts, workers
from include.kreislauf.store import signals as kept
from include.kreislauf.store.database import Store
from include.kreislauf.store.release_files import PROFILE, LoadedRelease
from include.kreislauf.store.rollouts import Arm, ArmCounts, Rollout, RolloutState
from include.kreislauf.store.schema import outcomes, predictions, reports
from include.kreislauf.store.signals import Signal
from include.kreislauf.store.workers import Worker
from tests.support.examples import NOW, USE_CASE, prediction, release, report
from tests.support.use_cases import EXAMPLE

ROW = release(1)
WATCHED = Watched(ROW, NOW, "there are none")
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def request(number: int = 0, *, entity: str | None = "python", known: bool = True, **features: Any) -> Any:
    sent = json.dumps(features) if features else None
    at = NOW - number * HOUR
    return SimpleNamespace(entity=entity, known=known, value=0.5, features=sent, as_of=at)


def requests(known: Iterable[bool]) -> list[Any]:
    return [request(number, known=one) for number, one in enumerate(known)]


def contract(**monitoring: Any) -> Contract:
    return example().model_copy(update={"name": USE_CASE, "monitoring": Monitoring(**monitoring)})


@lru_cache(maxsize=1)
def example() -> Contract:
    return load_contract(EXAMPLE / "contract.yaml")


def loaded(files: dict[str, bytes], snapshot: dict[str, Any]) -> LoadedRelease:
    manifest = {"features": {"numeric": ["x"], "categorical": {"kind": ["a"]}}}
    return LoadedRelease(Path(), manifest, snapshot, {}, files, "test")


# Novelty


def test_novelty_warns_when_it_is_surely_above_the_limit() -> None:
    found = novelty(requests(n % 2 == 0 for n in range(200)), 0.1)
    assert (found.value, found.warning, found.limit) == (0.5, True, 0.1)
    assert "outside of what the model knows" in found.text


def test_novelty_that_may_be_chance_does_not_warn() -> None:
    assert not novelty(requests(n % 8 != 0 for n in range(64)), 0.1).warning


def test_new_entities_show_first_in_the_newest_requests() -> None:
    rows = requests([n % 2 == 0 for n in range(100)] + [True] * 1500)
    assert sum(not row.known for row in rows) / len(rows) < 0.1
    assert novelty(rows, 0.1).warning


def test_one_request_sent_again_and_again_is_no_new_evidence() -> None:
    burst = [SimpleNamespace(**{**vars(request(known=False)), "entity": "spam"}) for _ in range(300)]
    assert not novelty(burst + requests([True] * 300), 0.1).warning


def test_new_categories_are_named_the_most_frequent_first() -> None:
    sent = [
        request(n, entity=None, known=n % 2 == 0, x=0.0, kind="xy"[n % 7 == 0] if n % 2 else "a")
        for n in range(200)
    ]
    found = novelty(sent, 0.1, {"kind": {"a", "b"}})
    assert found.warning
    assert found.text.endswith("10% allowed; new: kind 'x' (86), kind 'y' (14)")
    assert "new:" not in novelty(requests([False] * 200), 0.1, {"kind": {"a"}}).text


def test_few_requests_say_nothing() -> None:
    found = novelty(requests([False] * 20), 0.1)
    assert (found.value, found.warning, found.text) == (None, False, "not known: 20 requests, 50 needed")


# Shifts


def spread(generator: np.random.Generator, size: int, mean: float = 0.0, kind: str = "ab") -> list[Any]:
    return [
        request(n, entity=None, x=float(generator.normal(mean)), kind=str(generator.choice(list(kind)))) for n in range(size)
    ]  # fmt: skip


@pytest.fixture
def generator() -> np.random.Generator:
    return np.random.default_rng(7)


@pytest.fixture
def profiles(generator: np.random.Generator) -> dict[str, Profile]:
    return {
        "x": Profile.of_numbers(generator.normal(size=1000)),
        "kind": Profile.of_categories(generator.choice(["a", "b"], 1000).tolist()),
    }


def test_features_spread_as_in_training_have_not_shifted(
    generator: np.random.Generator, profiles: dict[str, Profile]
) -> None:
    assert not any(feature_shift(profiles, spread(generator, 800), 0.2).warning for _ in range(20))


def test_a_shift_names_the_worst_features(
    generator: np.random.Generator, profiles: dict[str, Profile]
) -> None:
    found = feature_shift(profiles, spread(generator, 200, mean=3.0), 0.2)
    assert found.warning
    assert "requests with features: x " in found.text
    assert "kind" not in found.text
    other = feature_shift(profiles, spread(generator, 200, kind="ac"), 0.2)
    assert other.warning
    assert "requests with features: kind " in other.text


def test_a_category_that_is_not_sent_is_the_one_that_training_learnt_as_missing() -> None:
    learnt = {"kind": Profile.of_categories(["a"] * 700 + ["missing"] * 300)}
    sent = [request(number, entity=None, n=number, kind=None if number % 10 < 3 else "a") for number in range(400)]  # fmt: skip
    found = feature_shift(learnt, sent, 0.2)
    assert (found.warning, round(found.value or 0, 1)) == (False, 0)
    never = {"kind": Profile.of_categories(["a"] * 1000)}
    assert feature_shift(never, sent, 0.2).warning


def test_a_recent_shift_shows_although_most_requests_are_older(
    generator: np.random.Generator, profiles: dict[str, Profile]
) -> None:
    rows = spread(generator, 60, mean=3.0) + spread(generator, 1500)
    assert feature_shift(profiles, rows, 0.2).warning


def test_requests_without_features_say_nothing_about_them(profiles: dict[str, Profile]) -> None:
    found = feature_shift(profiles, requests([True] * 500), 0.2)
    assert (found.value, found.text) == (None, "not known: 0 requests with features, 50 needed")


def test_the_profile_of_a_release_is_what_training_left_in_it(profiles: dict[str, Profile]) -> None:
    text = json.dumps({name: one.to_dict() for name, one in profiles.items()})
    assert profiles_of(loaded({PROFILE: text.encode()}, {})) == profiles


def test_of_an_old_release_the_entities_that_it_knows_are_the_profile() -> None:
    snapshot = {f"e{n}": {"x": float(n), "kind": "a"} for n in range(50)}
    found = profiles_of(loaded({}, snapshot))
    assert {sum(one.counts) for one in found.values()} == {50}


def test_predictions_that_moved_warn(generator: np.random.Generator) -> None:
    def answered(size: int, mean: float) -> list[Any]:
        rows = spread(generator, size)
        return [SimpleNamespace(**{**vars(row), "value": float(generator.normal(mean))}) for row in rows]

    first = answered(400, 0.0)
    assert not prediction_shift(first, answered(400, 0.0), 0.2).warning
    assert prediction_shift(first, answered(200, 1.5), 0.2).warning
    assert prediction_shift(first, answered(20, 1.5), 0.2).value is None


def test_of_several_classes_predictions_are_counted_by_class(generator: np.random.Generator) -> None:
    def answered(*shares: int) -> list[Any]:
        values = generator.permutation(
            [float(place) for place, share in enumerate(shares) for _ in range(share)]
        )
        return [
            SimpleNamespace(**{**vars(request(n, entity=None)), "value": value})
            for n, value in enumerate(values.tolist())
        ]

    classes, first = ("a", "b", "c"), answered(200, 150, 50)
    assert not prediction_shift(first, answered(200, 150, 50), 0.2, classes).warning
    assert prediction_shift(first, answered(50, 50, 300), 0.2, classes).warning
    assert prediction_shift(first, answered(200, 0, 0, 200), 0.2, classes).warning  # of another contract


# From the store


def log(store: Store, rows: Iterable[dict[str, Any]]) -> None:
    with store.write() as db:
        db.execute(insert(predictions), list(rows))


def minutes(size: int, **fields: Any) -> list[dict[str, Any]]:
    """One prediction a minute from NOW on."""
    times = [NOW + timedelta(minutes=n) for n in range(size)]
    return [prediction(as_of=at, period=at, created_at=at, **fields) for at in times]


def taken(
    store: Store, as_of: datetime = NOW + DAY, watched: Watched = WATCHED, **limits: Any
) -> dict[str, Signal]:
    with store.read() as db:
        return {one.name: one for one in signals_of(db, watched, contract(**limits), as_of, as_of)}


def test_with_an_empty_store_nothing_is_known_and_nothing_warns(store: Store) -> None:
    found = taken(store)
    assert set(found) == set(UNITS)
    assert not any(one.warning for one in found.values())
    known = {name for name, one in found.items() if one.value is not None}
    assert known == {"data_freshness", "feedback_starved"}
    assert found["feature_shift"].text == "not known: there are none"


def test_only_the_live_releases_requests_since_its_promotion_count(store: Store) -> None:
    log(store, minutes(100, known=True))
    log(store, minutes(100, known=False, release=2))
    log(store, minutes(100, known=False, arm="canary"))
    log(store, [prediction(as_of=NOW - HOUR, known=False) for _ in range(100)])
    log(store, [prediction(as_of=NOW + 2 * DAY, known=False) for _ in range(100)])
    assert taken(store)["novelty"].value == 0.0


def test_of_a_day_with_too_many_requests_all_of_it_is_looked_at(store: Store) -> None:
    log(store, (row for n in range(24) for row in [
        prediction(id=f"{n:02d}-{m:03d}", as_of=NOW + n * HOUR + timedelta(seconds=m), known=n < 12) for m in range(150)
    ]))  # fmt: skip
    with store.read() as db:
        rows = kept.newest_requests(db, USE_CASE, 1, NOW, NOW + DAY, LARGEST)
    assert len(rows) == len({row.id for row in rows}) <= LARGEST
    assert [row.as_of for row in rows] == sorted((row.as_of for row in rows), reverse=True)
    assert 0.3 < sum(row.known for row in rows) / len(rows) < 0.7


def test_reading_the_newest_requests_uses_the_index_of_time(store: Store) -> None:
    """On SQLite the other index would sort all that a release has ever answered."""
    statements: list[tuple[str, Any]] = []

    def remember(_connection: Any, _cursor: Any, statement: str, values: Any, *_: Any) -> None:
        statements.append((statement, values))

    event.listen(store.engine, "before_cursor_execute", remember)
    with store.read() as db:
        kept.newest_requests(db, USE_CASE, 1, NOW, NOW + DAY, 100)
        event.remove(store.engine, "before_cursor_execute", remember)
        if db.dialect.name != "sqlite":
            pytest.skip("a plan on an empty PostgreSQL table says nothing")
        statement, values = statements[-1]
        plan = " ".join(str(row) for row in db.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values))
    assert "ix_predictions_as_of" in plan
    assert "ix_predictions_release" not in plan


def test_what_a_busy_neighbour_sends_hides_no_feedback(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept, "OUTCOMES", 3)
    log(store, [prediction(id="own"), *(prediction(id=f"b{n}", use_case="busy") for n in range(9))])
    with store.write() as db:
        busy = [{**outcome(f"b{n}", NOW + 5 * DAY), "use_case": "busy"} for n in range(9)]
        db.execute(insert(outcomes), [outcome("own", NOW + 4 * DAY), *busy])
        assert kept.newest_feedback(db, USE_CASE, 1, NOW + 10 * DAY) == NOW + 4 * DAY
        assert len(kept.newest_outcomes(db, USE_CASE, 1, NOW + 10 * DAY, 10)) == 1


def test_old_data_warn_only_where_the_contract_has_a_limit(store: Store) -> None:
    assert not taken(store, NOW + 400 * DAY)["data_freshness"].warning
    found = taken(store, NOW + 400 * DAY, max_age_days=365.0)["data_freshness"]
    assert (found.value, found.warning) == (400.0, True)


def outcome(id_: str, at: datetime) -> dict[str, Any]:
    times = dict.fromkeys(("observed_at", "created_at", "logged_at"), at)
    return {"prediction_id": id_, "use_case": USE_CASE, "value": 1.0, **times}


def test_feedback_is_starved_when_nothing_comes_back(store: Store) -> None:
    found = taken(store, NOW + 10 * DAY, starved_days=7.0)["feedback_starved"]
    assert (found.value, found.warning) == (10.0, True)
    assert "nothing has come back" in found.text
    log(store, [prediction(id="a"), prediction(id="b", release=2)])
    with store.write() as db:
        db.execute(insert(outcomes), [outcome("a", NOW + 4 * DAY), outcome("b", NOW + 9 * DAY)])
    fed = taken(store, NOW + 10 * DAY, starved_days=7.0)["feedback_starved"]
    assert (fed.value, fed.warning) == (6.0, False)


def test_a_report_is_feedback_too(store: Store) -> None:
    with store.write() as db:
        db.execute(insert(reports), [report(metric="development_productivity", observed_at=NOW + 8 * DAY)])
    assert taken(store, NOW + 10 * DAY)["feedback_starved"].value == 2.0


@pytest.fixture
def tried(store: Store) -> Callable[..., None]:
    """A canary that is tried beside the release, and what the service has counted of the release meanwhile."""

    def begin(errors: int) -> None:
        rollout = Rollout(USE_CASE, 2, "c2", 1, RolloutState.CANARY, 1, 0.1, "", {}, NOW, NOW)
        counts = ArmCounts(Arm.BASELINE, 1000, 1000, errors, 20.0, {"0.025": 980, "0.1": 20})
        with store.write() as db:
            assert rollouts.begin(db, rollout)
            rollouts.save_counts(db, USE_CASE, 2, "worker", [counts], NOW)

    return begin


def test_errors_are_known_only_while_the_service_counts_them(
    store: Store, tried: Callable[..., None]
) -> None:
    assert taken(store)["service_errors"].value is None
    tried(errors=100)
    found = taken(store)
    assert (found["service_errors"].value, found["service_errors"].warning) == (0.1, True)
    assert found["service_latency"].value == pytest.approx(0.0625)
    assert not found["service_latency"].warning


def test_errors_within_the_limit_do_not_warn(store: Store, tried: Callable[..., None]) -> None:
    tried(errors=11)
    assert not taken(store)["service_errors"].warning


def test_a_worker_that_cannot_load_the_release_warns(store: Store) -> None:
    serving, broken = {USE_CASE: {"champion": 1}}, {USE_CASE: "its files were changed"}
    with store.write() as db:
        workers.beat(db, Worker("a", "host", 1, serving, {}, NOW, NOW + DAY))
        workers.beat(db, Worker("b", "host", 2, {}, broken, NOW, NOW + DAY))
    found = taken(store)["service_workers"]
    assert (found.value, found.warning) == (1.0, True)
    assert found.text.endswith("do not answer with release 1; its files were changed")


# Kept


def test_signals_of_the_newest_pass_are_kept_and_the_first_of_a_time_stands(store: Store) -> None:
    first, again = Signal("novelty", 0.2, 0.1, True, "first"), Signal("novelty", 0.3, 0.1, True, "again")
    with store.write() as db:
        kept.save_signals(db, USE_CASE, 1, NOW, [Signal("old", None, None, False, "")], NOW)
        kept.save_signals(db, USE_CASE, 1, NOW + DAY, [first], NOW)
        kept.save_signals(db, USE_CASE, 1, NOW + DAY, [again], NOW)
        assert kept.newest_signals(db, USE_CASE, 1) == [first]
        assert kept.newest_signals(db, USE_CASE, 2) == []
