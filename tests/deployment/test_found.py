"""What a check came to, as people read it."""

from __future__ import annotations

import pytest

from include.kreislauf.deployment.found import Found, as_markdown, number
from include.kreislauf.statistics.intervals import Interval
from include.kreislauf.statistics.verdicts import Verdict


@pytest.mark.parametrize(
    ("level", "shown"), [(0.95, "95.0%"), (0.9994, "99.9%"), (0.9997, "99.97%"), (0.999999, "99.9999%")]
)
def test_a_level_is_never_rounded_to_certainty(level: float, shown: str) -> None:
    assert number("errors", Interval(0.0, 0.1, 0.2, level)).note == f"0 to 0.2 at {shown}"


def test_a_look_before_the_verdict_is_not_told_beside_it() -> None:
    so_far = Found(Verdict.INCONCLUSIVE, "too few", final=False).record()
    assert "too few" in as_markdown({"canary_so_far": so_far})
    told = as_markdown({"canary_so_far": so_far, "canary": Found(Verdict.PASS, "enough").record()})
    assert "too few" not in told
    assert "**canary: pass**: enough" in told
