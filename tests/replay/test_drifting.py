"""The loop pays: a short world that changes suddenly, lived through under each policy by the product's own functions."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import monitoring_replay
from benchmarks.drift_use_case import METRIC, Days, day_of
from benchmarks.monitoring_replay import Outcome, first_cycle, live, summary
from include.kreislauf.replay.policies import Policy
from include.kreislauf.replay.results import MetricResult, PolicyResult
from include.kreislauf.simulation.drift import Drift, DriftParameters, DriftWorld

SHORT = DriftParameters(days=150, sudden_day=60)
LEAST_GAIN = 0.04
"""Of the share of right answers; what the new entities cost is about a tenth in the last 90 of 150 days."""


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> dict[Policy, PolicyResult]:
    home = tmp_path_factory.mktemp("drifting")
    world = DriftWorld(Drift.SUDDEN, 0, SHORT)
    first_cycle(world, home / "first")
    return {policy: live(world, policy, home / "first", home / policy) for policy in Policy}


def metric(result: PolicyResult) -> MetricResult:
    return next(one for one in result.metrics if one.name == METRIC)


def level(result: PolicyResult) -> float:
    found = metric(result).mean
    assert found is not None
    return found


def test_never_shows_the_loss(lived: dict[Policy, PolicyResult]) -> None:
    assert lived[Policy.NEVER].retrained == []
    assert {one.release for one in metric(lived[Policy.NEVER]).periods} == {1}
    assert level(lived[Policy.NEVER]) < level(lived[Policy.ORACLE]) - LEAST_GAIN


def test_an_oracle_trains_again_when_the_world_changes(lived: dict[Policy, PolicyResult]) -> None:
    assert lived[Policy.ORACLE].retrained == ["2020-03-01"]  # 60 days after the start
    assert day_of(Days(DriftWorld(Drift.SUDDEN, 0, SHORT)).changes[0]) == 60


def test_a_schedule_trains_again_every_month(lived: dict[Policy, PolicyResult]) -> None:
    assert len(lived[Policy.SCHEDULED].retrained) == 5
    assert lived[Policy.SCHEDULED].releases == 5


def test_monitoring_trains_again_after_the_change_and_gains_by_it(lived: dict[Policy, PolicyResult]) -> None:
    found = lived[Policy.TRIGGERED]
    assert len(found.retrained) == 1
    assert "2020-03-01" < found.retrained[0] < "2020-04-01"
    assert level(found) > level(lived[Policy.NEVER]) + LEAST_GAIN
    (loop,) = found.loops
    assert (loop.edge, loop.state, loop.helped) == ("monitoring→data_engineering", "closed", True)
    assert loop.before is not None
    assert loop.after is not None
    assert loop.before < loop.after


def test_every_policy_is_judged_by_the_same_outcomes(lived: dict[Policy, PolicyResult]) -> None:
    counts = {
        policy: sum(one.observations for one in metric(result).periods) for policy, result in lived.items()
    }
    assert set(counts.values()) == {SHORT.days * SHORT.per_day}


def test_another_systems_metric_and_nothing_matured_are_no_numbers(lived: dict[Policy, PolicyResult]) -> None:
    uplift = next(one for one in lived[Policy.NEVER].metrics if one.name == "uplift")
    assert (uplift.mean, uplift.bad, uplift.periods) == (None, None, [])


def outcome(drift: Drift, policy: Policy, level: float, retrainings: int, seed: int = 0) -> Outcome:
    return Outcome(drift, seed, policy, level, retrainings, helped=0, judged=0, seconds=1.0)


def test_the_figures_are_the_worst_world_of_the_medians() -> None:
    found = [
        outcome(Drift.STABLE, policy, 0.8, count)
        for policy, count in (("never", 0), ("scheduled", 24), ("triggered", 2))
    ]
    for drift, recovered in (
        (Drift.SUDDEN, (0.9, 0.5, 0.95)),
        (Drift.GRADUAL, (0.8,) * 3),
        (Drift.RECURRING, (1.0,) * 3),
    ):
        for seed, share in enumerate(recovered):
            found += [outcome(drift, Policy.NEVER, 0.7, 0, seed), outcome(drift, Policy.ORACLE, 0.8, 1, seed)]
            found += [
                outcome(drift, Policy.TRIGGERED, 0.7 + share / 10, 6, seed),
                outcome(drift, Policy.SCHEDULED, 0.8, 24, seed),
            ]
    figures = summary(found)
    assert figures["recovered"] == pytest.approx({"sudden": 0.9, "gradual": 0.8, "recurring": 1.0})
    assert figures["recovered_share"] == pytest.approx(0.8)
    assert figures["retrainings_ratio"] == pytest.approx(6 / 24)
    assert figures["no_change_retrainings_per_year"] == 1.0


def test_without_the_recorded_panel_it_is_left_out_and_said(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(monitoring_replay, "DATA", tmp_path / "nowhere")
    assert monitoring_replay.panel() == "not there"
    assert "left out" in capsys.readouterr().out
