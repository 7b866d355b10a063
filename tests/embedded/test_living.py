"""Steps of several use cases: in the order of time, and side by side."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from include.kreislauf.embedded.living import TOGETHER, steps_together

START = datetime(2016, 1, 1, tzinfo=UTC)
HOURS = st.lists(st.integers(0, 5000), max_size=12, unique=True).map(sorted)


def at(hours: int) -> datetime:
    return START + timedelta(hours=hours)


@given(st.dictionaries(st.sampled_from("abcd"), HOURS))
def test_every_step_is_gone_once_and_in_its_use_cases_order(steps: dict[str, list[int]]) -> None:
    times = {name: [at(one) for one in own] for name, own in steps.items()}
    gone = [step for batch in steps_together(times) for step in batch]
    for name, own in times.items():
        assert [now for other, now in gone if other == name] == own
    assert len(gone) == sum(map(len, times.values()))


@given(st.dictionaries(st.sampled_from("abcd"), HOURS, min_size=2))
def test_what_is_gone_at_once_lies_close_together_and_after_what_was_gone_before(
    steps: dict[str, list[int]],
) -> None:
    times = {name: [at(one) for one in own] for name, own in steps.items()}
    before = START
    for batch in steps_together(times):
        moments = [now for _, now in batch]
        assert max(moments) - min(moments) < TOGETHER
        assert len({name for name, _ in batch}) == len(batch)
        assert min(moments) >= before
        before = min(moments)


def test_quarters_and_weeks_meet() -> None:
    weeks = [datetime(2016, 1, 4, tzinfo=UTC) + timedelta(weeks=number) for number in range(14)]
    quarters = [datetime(2016, 1, 1, tzinfo=UTC), datetime(2016, 4, 1, tzinfo=UTC)]
    met = [sorted(name for name, _ in batch) for batch in steps_together({"radar": quarters, "plant": weeks})]
    assert met.count(["plant", "radar"]) == 2
    assert len(met) == 14
