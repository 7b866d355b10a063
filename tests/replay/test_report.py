"""Policies side by side, as a table, as JSON and as a picture."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
from matplotlib import pyplot

from include.kreislauf.monitoring.history import PeriodLine
from include.kreislauf.replay.policies import Policy
from include.kreislauf.replay.report import Replay, as_text, drawn, write_replay
from include.kreislauf.replay.results import LoopResult, MetricResult, PolicyResult


def result(policy: str, *values: float, retrained: tuple[str, ...] = ()) -> PolicyResult:
    periods = [PeriodLine(f"2016-0{month}-01", 1, value, 1) for month, value in enumerate(values, start=1)]
    mean = sum(values) / len(values)
    uplift = MetricResult("uplift", "log points", 0.02, "higher", mean, 0.5, periods)
    asked = MetricResult("incidents", "a day", 3.0, "lower", None, None, [])
    loop = LoopResult("2016-02-01", "monitoring→data_engineering", "it fell", "closed", "", 0.01, 0.03, True)
    return PolicyResult(
        policy, [uplift, asked], list(retrained), len(retrained), 12.34, [loop] * len(retrained), []
    )


@pytest.fixture
def replay() -> Replay:
    policies = [result("never", 0.03, 0.01), result("triggered", 0.03, 0.05, retrained=("2016-02-01",))]
    return Replay(
        "radar",
        "radar/contract.yaml",
        "c0ffee",
        "a world",
        "2016-01-01",
        "2016-03-01",
        3,
        ["2016-02-01"],
        policies,
    )


def test_the_table_has_a_line_per_policy(replay: Replay) -> None:
    lines = as_text(replay).splitlines()
    assert "radar, a world, 2016-01-01 to 2016-03-01" in lines[0]
    assert lines[2].split() == [
        "policy",
        "uplift",
        "uplift",
        "bad",
        "retrainings",
        "releases",
        "helped",
        "machine",
        "s",
    ]
    assert lines[3].split() == ["never", "0.02", "50%", "0", "0", "0", "of", "0", "12.3"]
    assert lines[4].split() == ["triggered", "0.04", "50%", "1", "1", "1", "of", "1", "12.3"]


def test_what_a_replay_cannot_know_is_said(replay: Replay) -> None:
    assert "incidents: nothing that a replay can know" in as_text(replay)


def test_bad_is_told_of_the_first_metric_that_is_known(replay: Replay) -> None:
    known_last = [dataclasses.replace(one, metrics=one.metrics[::-1]) for one in replay.policies]
    text = as_text(dataclasses.replace(replay, policies=known_last))
    assert [line.split()[2] for line in text.splitlines()[3:5]] == ["50%", "50%"]
    assert "uplift bad" in text


@pytest.mark.parametrize(("direction", "told"), [("higher", "bad below 0.02"), ("lower", "bad above 0.02")])
def test_bad_is_told_on_its_side_of_the_threshold(replay: Replay, direction: str, told: str) -> None:
    first = replay.policies[0]
    metric = dataclasses.replace(first.metrics[0], direction=direction)
    text = as_text(dataclasses.replace(replay, policies=[dataclasses.replace(first, metrics=[metric])]))
    assert told in text


def test_what_the_first_cycle_cost_is_said_to_be_left_out(replay: Replay) -> None:
    assert "without the first cycle" in as_text(replay)


def test_a_monitoring_that_raised_nothing_says_so(replay: Replay) -> None:
    line = "triggered: monitoring raised nothing"
    triggered = replay.policies[1]
    quiet = dataclasses.replace(triggered, loops=[])
    refused = dataclasses.replace(quiet, refused=triggered.loops)
    told = [
        line in as_text(dataclasses.replace(replay, policies=[one])) for one in (triggered, refused, quiet)
    ]
    assert told == [False, False, True]


def test_lines_that_lie_on_each_other_can_be_told_apart(replay: Replay) -> None:
    same = [dataclasses.replace(replay.policies[0], policy=str(one)) for one in Policy]
    figure = drawn(dataclasses.replace(replay, policies=same))
    lines = [one for one in figure.axes[0].get_lines() if one.get_label() in list(Policy)]
    assert (
        len({line.get_linestyle() for line in lines})
        == len({line.get_marker() for line in lines})
        == len(Policy)
    )
    pyplot.close(figure)


def test_the_files_hold_all_of_it(replay: Replay, tmp_path: Path) -> None:
    path = write_replay(replay, tmp_path / "new")
    told = json.loads(path.read_text())
    assert [one["policy"] for one in told["policies"]] == ["never", "triggered"]
    assert told["policies"][1]["loops"][0]["helped"] is True
    assert told["policies"][0]["metrics"][0]["periods"][1]["value"] == 0.01
    assert (tmp_path / "new" / "replay.png").read_bytes().startswith(b"\x89PNG\r\n")
    assert sorted(one.name for one in path.parent.iterdir()) == ["replay.json", "replay.png"]


def test_where_nothing_matured_there_is_a_picture_too(tmp_path: Path) -> None:
    bare = PolicyResult("never", [MetricResult("m", "u", 1.0, "higher", None, None, [])], [], 0, 0.0, [], [])
    path = write_replay(
        Replay(
            "radar", "radar/contract.yaml", "c0ffee", "a world", "2016-01-01", "2016-01-01", 3, [], [bare]
        ),
        tmp_path,
    )
    assert path.with_suffix(".png").exists()
