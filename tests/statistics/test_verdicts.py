"""Verdicts: sure enough, surely not, or not known."""

from __future__ import annotations

from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.kreislauf.statistics.intervals import Interval, mean_interval
from include.kreislauf.statistics.verdicts import Verdict, at_least, two_sided

ENDS = st.floats(-100, 100)


def interval(low: float, high: float) -> Interval:
    return Interval(low, (low + high) / 2 if high - low < inf else 0.0, high, 0.8)


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (0.02, 0.09, Verdict.PASS), (0.03, 0.09, Verdict.PASS), (0.019, 0.09, Verdict.INCONCLUSIVE),
        (-0.1, 0.02, Verdict.INCONCLUSIVE), (-0.1, 0.019, Verdict.FAIL), (-inf, inf, Verdict.INCONCLUSIVE),
        (0.02, 0.02, Verdict.PASS),
    ],
)  # fmt: skip
def test_all_of_the_interval_or_none_of_it_decides(low: float, high: float, verdict: Verdict) -> None:
    assert at_least(interval(low, high), 0.02) is verdict


@given(ends=st.tuples(ENDS, ENDS).map(sorted), threshold=ENDS, more=st.floats(0, 50))
def test_a_higher_threshold_is_never_easier(ends: list[float], threshold: float, more: float) -> None:
    order = [Verdict.FAIL, Verdict.INCONCLUSIVE, Verdict.PASS]
    found = interval(*ends)
    assert order.index(at_least(found, threshold + more)) <= order.index(at_least(found, threshold))


@given(ends=st.tuples(ENDS, ENDS).map(sorted), threshold=ENDS, wider=st.floats(0, 50))
def test_less_certainty_never_turns_the_answer_round(
    ends: list[float], threshold: float, wider: float
) -> None:
    found = at_least(interval(*ends), threshold)
    assert at_least(interval(ends[0] - wider, ends[1] + wider), threshold) in {found, Verdict.INCONCLUSIVE}


def test_each_end_of_the_interval_holds_with_the_confidence() -> None:
    assert two_sided(0.8) == pytest.approx(0.6)
    assert two_sided(0.975) == pytest.approx(0.95)
    # Student's one-sided 90 % quantile with 2 degrees of freedom is 1.8856
    found = mean_interval([4.0, 5.0, 6.0], two_sided(0.9))
    assert found.high - 5.0 == pytest.approx(1.885618 / 3**0.5, rel=1e-6)
