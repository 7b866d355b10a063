"""The timeline of a run: cycles, the business metric before and after, as JSON, text and picture."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from include.kreislauf.embedded.timeline import Timeline, as_text, build_timeline, write_timeline
from include.kreislauf.handovers import Role
from tests.support.lap import Lap
from tests.support.outcomes import happen, quarter

AS_OF = datetime(2016, 1, 1, tzinfo=UTC)
UNTIL = quarter("2018Q1")


@pytest.fixture
def run(scripted: Lap) -> Lap:
    """A first release that fell, a loop, and a second release that is better; a third cycle still waits."""
    scripted.manual(Role.REQUIREMENTS, as_of=AS_OF, reason="the first model")
    scripted.check([happen(scripted, f"2016Q{number}", -0.05, novel=5) for number in (1, 2, 3)][-1])
    happen(scripted, "2017Q1", 0.03)
    scripted.check(happen(scripted, "2017Q2", 0.05))
    scripted.run(scripted.by_hand(Role.REQUIREMENTS, reason="another idea"))
    return scripted


def timeline(lap: Lap, until: datetime = UNTIL) -> Timeline:
    return build_timeline(lap.store, lap.contract, until, lap.now() - timedelta(seconds=60))


def test_the_file_has_what_the_read_me_promises(run: Lap, tmp_path: Path) -> None:
    path = write_timeline(timeline(run), tmp_path / "new" / "folder")
    told = json.loads(path.read_text())
    assert path.name == "timeline.json"
    assert {"cycles", "mae", "mae_persistence", "first_champion_seconds"} <= set(told)
    promised = {"key", "started_by", "release", "seconds", "business_metric_before", "business_metric_after"}
    assert all(promised <= set(cycle) for cycle in told["cycles"])


def test_a_picture_is_drawn_beside_it(run: Lap, tmp_path: Path) -> None:
    path = write_timeline(timeline(run), tmp_path)
    assert path.with_suffix(".png").read_bytes().startswith(b"\x89PNG\r\n")
    assert sorted(one.name for one in tmp_path.iterdir() if one.suffix in (".json", ".png", ".tmp")) == [
        "timeline.json",
        "timeline.png",
    ]


def test_each_cycle_has_its_metric_before_and_after(run: Lap) -> None:
    first, second, third = timeline(run).cycles
    assert (first.key, first.started_by, first.reason) == (
        "radar|c0001-2016-01-01",
        "manual/requirements",
        "the first model",
    )
    assert (first.release, first.business_metric_before) == (1, None)
    assert first.business_metric_after == pytest.approx(-0.05)
    assert (second.started_by, second.release, second.helped) == ("loop/monitoring→data_engineering", 2, True)
    assert second.business_metric_before == pytest.approx(-0.05)
    assert second.business_metric_after == pytest.approx(0.04)
    assert (third.state, third.release, third.seconds, third.business_metric_after) == (
        "active",
        None,
        None,
        None,
    )


def test_times_are_machine_time(run: Lap) -> None:
    found = timeline(run)
    assert found.first_champion_seconds is not None
    assert 0 <= found.first_champion_seconds <= 60
    assert all(0 <= (cycle.seconds or 0) < 60 for cycle in found.cycles)
    assert found.cycles[0].seconds is not None


def test_errors_are_over_the_predictions_with_an_outcome(run: Lap) -> None:
    """Half is predicted to grow by one and grows by the uplift, half to stand still and shrinks by it."""
    found = timeline(run)
    uplifts = [-0.05, -0.05, -0.05, 0.03, 0.05]
    assert found.predictions_with_outcome == 5 * 20
    assert found.mae == pytest.approx(sum((1 - uplift) / 2 + abs(uplift) / 2 for uplift in uplifts) / 5)
    assert found.mae_persistence == pytest.approx(sum(abs(uplift) for uplift in uplifts) / 5)


def test_periods_name_the_release_that_was_asked(run: Lap) -> None:
    periods = timeline(run).periods
    assert [(one.period[:10], one.release) for one in periods] == [
        ("2016-01-01", 1), ("2016-04-01", 1), ("2016-07-01", 1), ("2017-01-01", 2), ("2017-04-01", 2)
    ]  # fmt: skip
    assert [one.novelty for one in periods] == pytest.approx([0.2, 0.2, 0.2, 0, 0])


def test_a_timeline_ends_where_it_is_told(run: Lap) -> None:
    assert len(timeline(run, quarter("2016Q4")).periods) == 2


def test_the_text_tells_the_story_on_a_terminal(run: Lap) -> None:
    text = as_text(timeline(run))
    lines = text.splitlines()
    assert lines[0].split() == ["cycle", "state", "release", "before", "after", "started", "by"]
    assert lines[1].startswith(
        "c0001-2016-01-01     live           1        -  -0.0500  manual/requirements: the first model"
    )
    assert lines[2].startswith(
        "c0002-2017-01-01     live           2  -0.0500  +0.0400  loop/monitoring→data_engineering: "
    )
    assert "live MAE 0.5" in lines[-1]
    assert "over 100 predictions" in lines[-1]


def test_before_anything_has_happened_there_is_a_file_and_no_picture(scripted: Lap, tmp_path: Path) -> None:
    empty = timeline(scripted)
    assert (empty.cycles, empty.mae, empty.mae_persistence, empty.first_champion_seconds) == (
        [],
        None,
        None,
        None,
    )
    path = write_timeline(empty, tmp_path)
    assert json.loads(path.read_text())["cycles"] == []
    assert not path.with_suffix(".png").exists()
    assert as_text(empty).endswith("no outcome has matured yet")
