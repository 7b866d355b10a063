"""Observations in the order in which they became known: each once, however passes are cut, at the cost of what is new."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, event, text, update

from include.kreislauf.monitoring.observing import AGAIN, Bookmark, Observation, read_on
from include.kreislauf.store import observations
from include.kreislauf.store.arrivals import Arrivals, OutcomesOf, ReportsOf
from include.kreislauf.store.database import Store
from include.kreislauf.store.log_archive import archive
from include.kreislauf.store.rollup import roll_up
from include.kreislauf.store.schema import outcomes, reports
from tests.support.examples import NOW, USE_CASE, prediction, report

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
NUMBERS = count()


@dataclass(frozen=True)
class Happened:
    """A prediction and its outcome, in hours: predicted, observed, written down."""

    predicted: int
    observed: int
    written: int | None
    release: int = 1
    arm: str = "champion"


def hours(number: float) -> datetime:
    return NOW + number * HOUR


def log(store: Store, happened: Sequence[Happened], use_case: str = USE_CASE) -> list[str]:
    """Ids in the order given; the value of each outcome is its place."""
    return [_log_one(store, use_case, place, one) for place, one in enumerate(happened)]


def _log_one(store: Store, use_case: str, place: int, one: Happened) -> str:
    row = prediction(
        id=f"{use_case}-{place:03d}", use_case=use_case, as_of=hours(one.predicted), release=one.release,
        arm=one.arm, entity=f"e{place}", created_at=hours(one.predicted),
    )  # fmt: skip
    at, observed = None if one.written is None else hours(one.written), hours(one.observed)
    with store.write() as db:
        observations.save_predictions(db, [row])
        observations.save_outcome(db, row["id"], float(place), observed, observed, f"key{place}")
        db.execute(update(outcomes).where(outcomes.c.prediction_id == row["id"]).values(logged_at=at))
    return str(row["id"])


def source(use_case: str = USE_CASE, maturity: timedelta = timedelta(), **fields: Any) -> OutcomesOf:
    return OutcomesOf(use_case, **{"release": 1, "arms": ("champion",), "maturity": maturity, **fields})


def read(
    store: Store, of: Arrivals, mark: Bookmark | None, as_of: datetime
) -> tuple[list[Observation], Bookmark]:
    """What is new, and the bookmark as the next pass finds it."""
    with store.read() as db:
        found, after = read_on(db, of, mark, as_of)
    return found, Bookmark.from_dict(json.loads(json.dumps(after.to_dict())))


def places(found: Sequence[Observation]) -> list[int]:
    return [int(one.value) for one in found]


def test_an_observation_carries_what_was_predicted_who_sent_the_outcome_and_how_late_it_came(
    store: Store,
) -> None:
    ids = log(store, [Happened(0, 1, 2)])
    [found], _ = read(store, source(), None, hours(3))
    assert found == Observation(hours(2), ids[0], 0.0, 0.5, "key0", HOUR)


def test_an_outcome_counts_when_it_is_mature_and_there(store: Store) -> None:
    log(store, [Happened(0, 1, 1), Happened(0, 1, 40), Happened(5, 30, 30)])
    found, _ = read(store, source(maturity=DAY), None, hours(48))
    assert [(int(one.value), one.known_at) for one in found] == [
        (0, hours(24)),
        (2, hours(30)),
        (1, hours(40)),
    ]


def test_before_its_maturity_an_outcome_waits(store: Store) -> None:
    log(store, [Happened(0, 1, 1)])
    of = source(maturity=DAY)
    found, mark = read(store, of, None, hours(23))
    assert found == []
    found, mark = read(store, of, mark, hours(24))
    assert places(found) == [0]
    assert read(store, of, mark, hours(25))[0] == []


def test_an_outcome_dated_in_the_future_waits_for_its_time(store: Store) -> None:
    log(store, [Happened(0, 50, 1), Happened(60, 1, 1)])
    for maturity in (timedelta(), HOUR):
        of = source(maturity=maturity)
        found, mark = read(store, of, None, hours(2))
        assert found == []
        found, mark = read(store, of, mark, hours(51))
        assert places(found) == [0]
        assert places(read(store, of, mark, hours(70))[0]) == [1]


def test_what_another_release_or_arm_answered_is_not_taken(store: Store) -> None:
    log(store, [Happened(0, 1, 1), Happened(0, 1, 1, release=2), Happened(0, 1, 1, arm="canary")])
    log(store, [Happened(0, 1, 1)], use_case="churn")
    _, mark = read(store, source(), None, hours(0))
    assert places(read(store, source(), mark, hours(2))[0]) == [0]
    assert places(read(store, source(), None, hours(2))[0]) == [0]
    assert sorted(places(read(store, source(arms=("champion", "canary")), None, hours(2))[0])) == [0, 2]


def test_predictions_before_a_time_can_be_left_out(store: Store) -> None:
    log(store, [Happened(0, 9, 9), Happened(5, 9, 9)])
    assert places(read(store, source(since=hours(1)), None, hours(10))[0]) == [1]


def test_what_is_written_a_moment_before_the_last_one_is_not_lost(store: Store) -> None:
    log(store, [Happened(0, 1, 10)])
    _, mark = read(store, source(), None, hours(10))
    late = prediction(as_of=hours(0))
    with store.write() as db:  # another process's transaction, which took its time
        observations.save_predictions(db, [late])
        observations.save_outcome(db, late["id"], 7.0, hours(1), hours(1))
        written = hours(10) - AGAIN / 2
        db.execute(update(outcomes).where(outcomes.c.value == 7.0).values(logged_at=written))
    found, mark = read(store, source(), mark, hours(11))
    assert places(found) == [7]
    assert read(store, source(), mark, hours(12))[0] == []


def test_records_of_an_older_version_count_once(store: Store) -> None:
    log(store, [Happened(0, 1, None), Happened(0, 30, None)])
    found, mark = read(store, source(), None, hours(2))
    assert places(found) == [0]
    log(store, [Happened(0, 3, 3)], use_case="churn")
    found, mark = read(store, source(), mark, hours(4))
    assert found == []
    assert places(read(store, source(), mark, hours(31))[0]) == [1]


def test_an_outcome_that_comes_after_its_day_went_to_an_archive_counts(store: Store, tmp_path: Path) -> None:
    log(store, [Happened(0, 1, 1), Happened(1, 2, 2)])
    _, mark = read(store, source(), None, hours(3))
    late = prediction(id="late", as_of=hours(3), entity="late")
    with store.write() as db:
        observations.save_predictions(db, [late])
    until = NOW + 2 * DAY
    roll_up(store, USE_CASE, until, until)
    archive(store, USE_CASE, until, tmp_path, until)
    with store.write() as db:
        assert db.scalar(text("SELECT count(*) FROM predictions")) == 0
        assert observations.save_outcome(db, "late", 9.0, hours(50), hours(50)) == "stored"
        db.execute(update(outcomes).where(outcomes.c.prediction_id == "late").values(logged_at=hours(50)))
    assert places(read(store, source(), mark, hours(60))[0]) == [9]
    assert places(read(store, source(), None, hours(60))[0]) == [0, 1, 9]


def test_reports_are_observations_in_the_order_of_their_writing(store: Store) -> None:
    with store.write() as db:
        for place, written in enumerate([5, 4, 6]):
            observations.save_report(db, report(id=f"r{place}", value=float(place), observed_at=hours(1)))
            db.execute(update(reports).where(reports.c.id == f"r{place}").values(logged_at=hours(written)))
        observations.save_report(db, report(id="future", value=3.0, observed_at=hours(20)))
        observations.save_report(db, report(id="other", value=4.0, observed_at=hours(1), release=2))
    one = report()
    of = ReportsOf(USE_CASE, one["metric"], one["release"])
    found, mark = read(store, of, None, hours(10))
    assert places(found) == [1, 0, 2]
    assert places(read(store, of, mark, hours(30))[0]) == [3]


TIMES = st.integers(0, 60)
HAPPENED = st.builds(Happened, TIMES, TIMES, TIMES, st.sampled_from([1, 1, 2]))


@given(
    st.lists(HAPPENED, max_size=14), st.lists(TIMES, max_size=5), st.sampled_from([0, 7, 24]), st.booleans()
)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_law_order_and_number_do_not_depend_on_how_passes_are_cut(
    store: Store, happened: list[Happened], cuts: list[int], maturity: int, history: bool
) -> None:
    """Live, where a pass finds what was written by then; and over history, where all was written later."""
    use_case = f"law_{next(NUMBERS)}"
    with store.write() as db:  # what is written now is never older than what was written before
        db.execute(delete(outcomes))
    if history:
        happened = [Happened(one.predicted, one.observed, 10_000, one.release) for one in happened]
        log(store, happened, use_case)
    of = source(use_case, maturity=maturity * HOUR)
    found, mark, before = [], None, -1
    for cut in [*sorted(cuts), 100]:
        for place, one in enumerate(happened):
            if not history and one.written is not None and before < one.written <= cut:
                _log_one(store, use_case, place, one)
        new, mark = read(store, of, mark, hours(cut))
        found, before = found + new, cut
    assert [(one.known_at, one.id) for one in found] == sorted((one.known_at, one.id) for one in found)
    at_once, _ = read(store, of, None, hours(100))
    assert found == at_once
    assert len(found) == sum(one.release == 1 for one in happened)


def test_of_many_predictions_those_with_an_outcome_are_found_from_the_outcomes(store: Store) -> None:
    log(store, [Happened(0, 1, 1), Happened(0, 2, 2), Happened(0, 3, 3, release=2)])
    log(store, [Happened(0, 4, 4)], "another")
    few, _ = read(store, source(), None, hours(9))
    silent = [
        prediction(id=f"s{place}", release=1, as_of=hours(0), created_at=hours(0)) for place in range(9)
    ]
    with store.write() as db:
        observations.save_predictions(db, silent)
    asked: list[str] = []
    with store.read() as db:
        event.listen(db, "before_cursor_execute", lambda *given: asked.append(given[2]))
        many, _ = read_on(db, source(), None, hours(9))
    assert [one for one in asked if "LEFT OUTER JOIN predictions" in one]
    assert many == few
    assert places(many) == [0, 1]


@pytest.mark.parametrize("store", ["sqlite"], indirect=True)
def test_reading_on_takes_the_ways_that_cost_what_is_new(store: Store) -> None:
    log(store, [Happened(0, 1, 1), Happened(20, 21, 21)])
    _, mark = read(store, source(maturity=DAY), None, hours(22))
    asked: list[tuple[str, Any]] = []
    with store.read() as db:
        event.listen(db, "before_cursor_execute", lambda *given: asked.append((given[2], given[3])))
        read_on(db, source(maturity=DAY), mark, hours(30))
        plans = [
            row[3]
            for statement, values in list(asked)
            for row in db.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values)
        ]
    assert not [one for one in plans if one.startswith("SCAN")]
    ways = " ".join(plans)
    assert "ix_outcomes_use_case (use_case=? AND logged_at>?)" in ways
    assert "ix_predictions_as_of (use_case=? AND as_of>? AND as_of<?)" in ways
    assert "ix_predictions_release" not in ways
