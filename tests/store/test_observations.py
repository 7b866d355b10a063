"""What happened live: idempotent outcomes and reports, and no look into the future."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select, update

from include.kreislauf.store import observations
from include.kreislauf.store.database import Store
from include.kreislauf.store.log_archive import archive
from include.kreislauf.store.observations import Verdict
from include.kreislauf.store.rollup import roll_up
from include.kreislauf.store.schema import outcome_conflicts, outcomes
from tests.support import racers
from tests.support.examples import LATER, NOW, USE_CASE, prediction, report
from tests.support.racing import Race

DAY = timedelta(days=1)
NUMBERS = count()


def log(store: Store, *rows: dict[str, Any]) -> None:
    with store.write() as db:
        observations.save_predictions(db, list(rows))


def outcome(store: Store, prediction_id: str, value: float, observed_at: datetime = NOW) -> str:
    with store.write() as db:
        return observations.save_outcome(db, prediction_id, value, observed_at, LATER)


def observed(store: Store, until: datetime, use_case: str = USE_CASE, **filters: int) -> list[Any]:
    with store.read() as db:
        return observations.observed(db, use_case, until, **filters)


def test_an_outcome_is_stored_once_and_the_first_stands(store: Store):
    row = prediction()
    log(store, row)
    assert outcome(store, row["id"], 0.1) == "stored"
    assert outcome(store, row["id"], 0.1) == "duplicate"
    assert outcome(store, row["id"], 0.2) == "conflict"
    assert [one.outcome for one in observed(store, NOW)] == [0.1]


def test_an_outcome_of_no_prediction_is_unknown(store: Store):
    assert outcome(store, "nothing", 0.1) == "unknown"


def test_of_many_different_outcomes_at_once_one_is_stored(store: Store, race: Race):
    row = prediction()
    log(store, row)
    answers = race(racers.observe, store.url, row["id"])
    assert sorted(answers) == ["conflict"] * (race.size - 1) + ["stored"]
    assert [one.outcome for one in observed(store, NOW)] == [float(answers.index("stored"))]


def test_logging_no_predictions_is_allowed(store: Store):
    log(store)
    assert observed(store, NOW) == []


def test_the_newest_prediction_of_an_entity_and_period_counts(store: Store):
    old, new = prediction(value=1.0), prediction(value=2.0, created_at=LATER)
    log(store, new, old)
    outcome(store, old["id"], 0.1)
    assert [(one.value, one.outcome) for one in observed(store, NOW)] == [(2.0, None)]


def test_releases_entities_and_periods_are_kept_apart_and_sorted(store: Store):
    rows = [
        prediction(entity=entity, period=NOW + days * DAY, release=release)
        for entity in ("b", "a")
        for days in (1, 0)
        for release in (1, 2)
    ]
    log(store, *rows)
    found = [(one.period, one.entity) for one in observed(store, NOW)]
    assert len(found) == len(rows)
    assert found == sorted(found)
    assert {one.release for one in observed(store, NOW, release=2)} == {2}
    assert observed(store, NOW, "churn") == []


MOMENTS = st.integers(0, 4).map(lambda days: NOW + days * DAY)
PREDICTIONS = st.fixed_dictionaries({
    "release": st.integers(1, 2),
    "entity": st.sampled_from(["a", "b", None]),
    "period": st.sampled_from([NOW, NOW + DAY]),
    "value": st.sampled_from([0.5, None]),
    "as_of": MOMENTS,
    "created_at": MOMENTS,
})  # fmt: skip
OUTCOMES = st.none() | st.tuples(st.floats(-1, 1), MOMENTS)


@given(st.lists(st.tuples(PREDICTIONS, OUTCOMES), max_size=12), MOMENTS)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_law_observed_is_the_newest_prediction_with_what_was_known_by_then(store: Store, happened, until):
    use_case = f"law_{next(NUMBERS)}"
    rows = [prediction(use_case=use_case, **fields) for fields, _ in happened]
    outcomes = {row["id"]: known for row, (_, known) in zip(rows, happened, strict=True) if known}
    log(store, *rows)
    with store.write() as db:
        for prediction_id, (value, at) in outcomes.items():
            assert observations.save_outcome(db, prediction_id, value, at, LATER) == "stored"

    newest: dict[tuple[Any, ...], dict[str, Any]] = {}
    for row in sorted(rows, key=lambda row: row["id"], reverse=True):
        key = (row["release"], row["entity"], row["period"])
        if row["as_of"] <= until and (key not in newest or row["created_at"] >= newest[key]["created_at"]):
            newest[key] = row
    expected = set()
    for row in newest.values():
        value, at = outcomes.get(row["id"], (None, until))
        seen = value if at <= until else None
        expected.add((row["release"], row["entity"], row["period"], row["value"], row["as_of"], seen))

    found = observed(store, until, use_case)
    assert len(found) == len(expected)
    assert {(o.release, o.entity, o.period, o.value, o.as_of, o.outcome) for o in found} == expected


def test_a_report_is_stored_once(store: Store):
    with store.write() as db:
        assert observations.save_report(db, report()) == "stored"
        assert observations.save_report(db, report(created_at=LATER, observed_at=LATER)) == "duplicate"
        assert len(observations.reported(db, USE_CASE, "productivity", LATER)) == 1


OTHER = [{"metric": "joy"}, {"release": 2}, {"value": 98.0}, {"period": LATER}]


@pytest.mark.parametrize("other", OTHER, ids=str)
def test_the_same_id_about_something_else_is_a_conflict(store: Store, other: dict[str, object]):
    with store.write() as db:
        observations.save_report(db, report())
        assert observations.save_report(db, report(**other)) == "conflict"


def test_the_same_id_in_another_use_case_is_another_report(store: Store):
    with store.write() as db:
        assert observations.save_report(db, report()) == "stored"
        assert observations.save_report(db, report(use_case="churn")) == "stored"


def test_the_same_report_sent_at_once_is_stored_once(store: Store, race: Race):
    answers = race(racers.send_report, store.url)
    assert sorted(answers) == ["duplicate"] * (race.size - 1) + ["stored"]


def test_reports_are_told_by_period_and_never_before_they_were_observed(store: Store):
    times = [NOW + DAY, NOW, NOW + 3 * DAY]
    with store.write() as db:
        for number, at in enumerate(times):
            observations.save_report(db, report(id=str(number), period=at, observed_at=at))

    def periods(until: datetime, metric: str = "productivity") -> list[datetime]:
        with store.read() as db:
            return [row.period for row in observations.reported(db, USE_CASE, metric, until)]

    assert periods(NOW + DAY) == [NOW, NOW + DAY]
    assert periods(NOW - DAY) == periods(NOW + DAY, metric="joy") == []


def test_the_first_verdict_of_a_time_stands_and_the_newest_are_told(store: Store):
    first = Verdict(USE_CASE, "uplift", 1, NOW, "c1", "breach", 0.004, 0.001, 0.007, 0.01, 3, "fell")
    judged = [replace(first, as_of=NOW + days * DAY) for days in range(3)]
    with store.write() as db:
        observations.save_verdicts(db, judged, LATER)
        observations.save_verdicts(db, [replace(first, verdict="healthy", value=None)], LATER)
        assert observations.verdicts_of(db, USE_CASE) == judged
        assert observations.verdicts_of(db, USE_CASE, limit=2) == judged[1:]


def test_an_outcome_carries_when_it_was_written_and_by_whom(store: Store):
    before, rows = datetime.now(UTC), [prediction() for _ in range(3)]
    log(store, *rows)
    with store.write() as db:
        for number, row in enumerate(rows):
            client = f"key{number}" if number else None
            observations.save_outcome(db, row["id"], 1.0, NOW, LATER, client)
        found = db.execute(select(outcomes.c["logged_at", "client"]).order_by(outcomes.c.client)).all()
    assert sorted({one.client or "" for one in found}) == ["", "key1", "key2"]
    assert all(before <= one.logged_at <= datetime.now(UTC) for one in found)


def test_the_time_of_writing_never_goes_back(store: Store):
    ahead, row = datetime.now(UTC) + timedelta(hours=1), prediction()
    log(store, row, late := prediction())
    outcome(store, row["id"], 1.0)
    with store.write() as db:  # as if the clock had been ahead, and was put right since
        db.execute(update(outcomes).values(logged_at=ahead))
    outcome(store, late["id"], 1.0)
    with store.read() as db:
        assert set(db.scalars(select(outcomes.c.logged_at))) == {ahead}


def test_what_contradicts_an_outcome_is_kept_once_beside_it(store: Store):
    row = prediction()
    log(store, row)
    assert [outcome(store, row["id"], value) for value in (1.0, 2.0, 2.0, 3.0)] == [
        "stored", "conflict", "conflict", "conflict",
    ]  # fmt: skip
    with store.read() as db:
        assert db.scalars(select(outcome_conflicts.c.value)).all() == [2.0]
        assert db.scalars(select(outcomes.c.value)).all() == [1.0]


def test_what_contradicts_an_outcome_goes_with_it(store: Store, tmp_path: Path):
    rows = [prediction(id=name, created_at=at) for name, at in (("older", NOW), ("newest", LATER))]
    log(store, *rows)
    for row in rows:
        assert [outcome(store, row["id"], value) for value in (1.0, 2.0)] == ["stored", "conflict"]
    roll_up(store, USE_CASE, NOW + DAY, LATER)
    archive(store, USE_CASE, NOW + DAY, tmp_path, LATER)
    with store.read() as db:  # the newest of an entity and a period stays, with all that is known of it
        for table in (outcomes, outcome_conflicts):
            assert db.scalars(select(table.c.prediction_id)).all() == ["newest"]


@pytest.mark.parametrize("rolled", [False, True])
def test_of_many_periods_only_the_newest_are_read(store: Store, rolled: bool):
    rows = [prediction(entity=name, period=NOW + number * DAY, as_of=NOW + number * DAY)
            for number in range(6) for name in "ab"]  # fmt: skip
    log(store, *rows)
    if rolled:
        roll_up(store, USE_CASE, NOW + 4 * DAY, LATER)
    until = NOW + 9 * DAY
    everything = observed(store, until)
    for periods in range(1, 8):
        first = NOW + (6 - periods) * DAY
        assert observed(store, until, periods=periods) == [one for one in everything if one.period >= first]
    assert observed(store, NOW - DAY, periods=2) == []
