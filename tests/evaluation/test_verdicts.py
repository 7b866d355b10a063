"""Estimates against thresholds: sure enough, surely not, or not known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.kreislauf.evaluation.gates import Thresholds, decide
from include.kreislauf.evaluation.models import Estimate, GateReason, Report
from include.kreislauf.statistics.intervals import Interval, block_bootstrap_gain
from include.kreislauf.statistics.verdicts import Verdict
from tests.evaluation.worlds import guess, question, report, truth

NUMBER = st.floats(-10, 10)


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (0.02, 0.03, Verdict.PASS),
        (0.02, 0.02, Verdict.PASS),
        (0.0199, 0.03, Verdict.INCONCLUSIVE),
        (0.01, 0.02, Verdict.INCONCLUSIVE),
        (0.01, 0.0199, Verdict.FAIL),
        (None, 0.03, Verdict.INCONCLUSIVE),
        (None, 0.01, Verdict.FAIL),
        (0.02, None, Verdict.PASS),
        (0.01, None, Verdict.INCONCLUSIVE),
        (None, None, Verdict.INCONCLUSIVE),
    ],
)
def test_an_estimate_reaches_a_threshold_only_with_its_whole_interval(
    low: float | None, high: float | None, verdict: Verdict
) -> None:
    assert Estimate(value=0.02, low=low, high=high).against(0.02) is verdict


def test_what_is_not_known_decides_nothing() -> None:
    assert Estimate(value=None).against(-100.0) is Verdict.INCONCLUSIVE
    assert Estimate.of(None, 0.6) == Estimate(value=None, level=0.6)
    assert Estimate(value=None).text() == "unknown"


def test_an_interval_without_an_end_is_kept_without_one() -> None:
    made = Estimate.of(Interval(float("-inf"), 0.1, float("inf"), 0.6), 0.6)
    assert made == Estimate(value=0.1, low=None, high=None, level=0.6)
    assert (made.text(), Estimate(value=0.084, low=0.051, high=0.11).text()) == (
        "+10.0%",
        "+8.4% (+5.1% to +11.0%)",
    )
    assert Estimate.model_validate_json(made.model_dump_json()) == made


@given(low=NUMBER, width=st.floats(0, 5), wider=st.floats(0, 5), threshold=NUMBER)
def test_a_wider_interval_never_turns_one_sure_answer_into_the_other(
    low: float, width: float, wider: float, threshold: float
) -> None:
    narrow = Estimate(value=low + width / 2, low=low, high=low + width).against(threshold)
    wide = Estimate(value=low + width / 2, low=low - wider, high=low + width + wider).against(threshold)
    assert wide in (narrow, Verdict.INCONCLUSIVE)


ROWS = truth(held_out=12)
CYCLE = (ROWS["time"] % 8 >= 4).to_numpy()
MOODY = np.where(CYCLE, guess(ROWS, 0.75), guess(ROWS, 0.25, 2))
"""Four good periods after four bad ones."""


def moody(**asked: float) -> Report:
    horizon = int(asked.pop("horizon", 1))
    return report(ROWS, {"ridge": MOODY}, asked=question(horizon=horizon, **asked))


def gain(made: Report) -> tuple[float, float, float]:
    one = made.candidates[0].gain
    assert one.value is not None
    assert one.low is not None
    assert one.high is not None
    return one.low, one.value, one.high


def test_more_confidence_needs_more_and_says_less() -> None:
    levels = [0.6, 0.8, 0.95, 0.999]
    lows, values, highs = zip(*(gain(moody(confidence=one)) for one in levels), strict=True)
    assert lows == tuple(sorted(lows, reverse=True))
    assert highs == tuple(sorted(highs))
    assert len(set(lows)) == len(set(highs)) == len(levels)
    assert len(set(values)) == 1
    between = Thresholds(min_gain=(lows[1] + lows[2]) / 2, interval_tolerance=0.5)
    assert decide(moody(confidence=0.8), between).verdict is Verdict.PASS
    unsure = decide(moody(confidence=0.95), between)
    assert (unsure.verdict, unsure.reason) == (Verdict.INCONCLUSIVE, GateReason.PERFORMANCE_SHORT)
    above = Thresholds(min_gain=(highs[1] + highs[2]) / 2)
    assert decide(moody(confidence=0.8), above).verdict is Verdict.FAIL
    assert decide(moody(confidence=0.95), above).verdict is Verdict.INCONCLUSIVE


def test_the_interval_is_two_sided_so_that_each_end_holds_with_the_confidence() -> None:
    assert moody(confidence=0.8).candidates[0].gain.level == pytest.approx(0.6)
    assert moody(confidence=0.95).candidates[0].gain.level == pytest.approx(0.9)
    assert moody().candidates[0].business.level == pytest.approx(0.8)


def test_targets_that_overlap_over_four_periods_are_drawn_four_periods_at_a_time() -> None:
    """Single periods look as if there were four times as many of them as there are."""
    low, value, high = gain(moody(horizon=4, confidence=0.9))
    single_low, single_value, single_high = gain(moody(confidence=0.9))
    assert value == single_value
    assert high - low > 1.3 * (single_high - single_low)
    held_out = ROWS["part"] == "held_out"
    own = (ROWS["target"] - MOODY)[held_out].abs()
    other = ROWS.loc[held_out, "target"].abs()
    blocks = {
        name: (own[part].tolist(), other[part].tolist())
        for name, part in own.groupby(ROWS["block"]).groups.items()
    }
    expected = block_bootstrap_gain(blocks, lambda mine, theirs: 1 - mine / theirs, 0.8, length=4)
    assert (low, value, high) == pytest.approx((expected.low, expected.mean, expected.high))


def test_the_business_metric_is_drawn_over_the_horizon_too() -> None:
    one, four = (moody(horizon=n).candidates[0].business for n in (1, 4))
    assert one.value == four.value
    assert (one.low, one.high) != (four.low, four.high)
