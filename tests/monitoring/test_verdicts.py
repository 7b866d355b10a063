"""From matured outcomes to a verdict; and that the lab and the live metric are one and the same."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from include.kreislauf.evaluation import business
from include.kreislauf.monitoring import verdicts
from include.kreislauf.periods import shift
from include.kreislauf.requirements.contract import PortfolioUplift, Reported
from include.kreislauf.statistics.business import portfolio_uplift
from include.kreislauf.statistics.intervals import mean_interval

START = datetime(2016, 1, 1, tzinfo=UTC)
UPLIFT = PortfolioUplift(
    kind="portfolio_uplift", name="uplift", top=2, gate_threshold=0.01, threshold=0.01, window_periods=3
)
REPORTED = Reported(kind="reported", name="productivity", threshold=96.0, window_periods=2, min_reports=4)


@dataclass(frozen=True)
class Row:
    """A prediction, as the store gives it."""

    entity: str | None
    period: datetime
    value: float | None
    outcome: float | None

    @property
    def known(self) -> bool:
        return self.value is not None


@dataclass(frozen=True)
class Told:
    """What a user reported."""

    period: datetime
    value: float


def quarter(number: int) -> datetime:
    return shift(START, "quarter", number)


def rows(*uplifts: float) -> list[Row]:
    """One quarter per uplift: of four entities the recommended two grow by it, the others shrink."""
    return [
        Row(name, quarter(number), 1.0 if name < "c" else 0.0, uplift if name < "c" else -uplift)
        for number, uplift in enumerate(uplifts)
        for name in "abcd"
    ]


# The metric of a period


def test_uplift_is_what_the_recommended_grew_more_than_all() -> None:
    assert verdicts.uplift_by_period(rows(0.05, -0.02), 2) == pytest.approx(
        {quarter(0): 0.05, quarter(1): -0.02}
    )


numbers = st.floats(-1, 1, allow_subnormal=False)
entities = st.dictionaries(
    st.text("abcdefgh", min_size=1, max_size=4), st.tuples(numbers, numbers), min_size=1, max_size=12
)


@settings(deadline=None)
@given(st.lists(entities, min_size=1, max_size=4), st.integers(1, 12))
def test_law_the_lab_and_the_live_metric_are_the_same_number(
    panel: list[dict[str, tuple[float, float]]], top: int
) -> None:
    live = [
        Row(name, quarter(number), value, outcome)
        for number, members in enumerate(panel)
        for name, (value, outcome) in members.items()
    ]
    lab = pd.DataFrame(
        [(row.entity, row.period.replace(tzinfo=None), row.value, row.outcome) for row in live],
        columns=["entity", "period", "prediction", "target"],
    )
    by_period = {
        period.date().isoformat(): value for period, value in verdicts.uplift_by_period(live, top).items()
    }
    lab["fold"] = lab["period"].dt.date.map(str)
    assert by_period == {
        fold: found[0] for fold, found in business.uplifts(lab, top).items() if np.isfinite(found[0])
    }


def test_both_call_the_one_function() -> None:
    assert business.portfolio_uplift is verdicts.portfolio_uplift is portfolio_uplift


def test_an_entity_that_the_release_does_not_know_counts_in_all_but_is_never_recommended() -> None:
    known = rows(0.05)
    wave = [Row(f"new{number}", quarter(0), None, 0.4) for number in range(4)]
    found = verdicts.uplift_by_period(known + wave, 2)[quarter(0)]
    assert found == pytest.approx(0.05 - (0.4 * 4) / 8)


@pytest.mark.parametrize(("with_outcome", "matured"), [(4, True), (2, True), (1, False), (0, False)])
def test_a_period_matures_when_half_of_its_outcomes_are_known(with_outcome: int, matured: bool) -> None:
    one = rows(0.05)
    some = [
        row if number < with_outcome else Row(row.entity, row.period, row.value, None)
        for number, row in enumerate(one)
    ]
    assert (quarter(0) in verdicts.uplift_by_period(some, 2)) is matured


def test_a_period_in_which_nothing_could_be_recommended_has_no_uplift() -> None:
    assert verdicts.uplift_by_period([Row("a", quarter(0), None, 0.1)], 2) == {}


def test_predictions_of_no_entity_take_no_part() -> None:
    nameless = [Row(None, quarter(0), 9.0, 9.0)] * 3
    assert verdicts.uplift_by_period(rows(0.05) + nameless, 2) == verdicts.uplift_by_period(rows(0.05), 2)


# Verdicts


@pytest.mark.parametrize(
    ("uplifts", "verdict"),
    [
        ((), "inconclusive"),
        ((-0.5, -0.5), "inconclusive"),
        ((0.02, 0.02, 0.02), "healthy"),
        ((0.01, 0.01, 0.01), "healthy"),
        ((0.0099, 0.0099, 0.0099), "breach"),
        ((-0.5, 0.02, 0.02, 0.02), "healthy"),
        ((0.5, 0.0, 0.0, 0.0), "breach"),
    ],
)
def test_the_mean_of_the_window_against_the_threshold(uplifts: tuple[float, ...], verdict: str) -> None:
    exact = UPLIFT.model_copy(update={"threshold": 0.01 - 1e-12})  # means carry rounding errors
    assert verdicts.judge_uplift(exact, rows(*uplifts)).verdict == verdict


def test_a_judgement_shows_its_interval_and_every_period() -> None:
    judged = verdicts.judge_uplift(UPLIFT, rows(0.4, 0.01, 0.02, 0.06))
    expected = mean_interval([0.01, 0.02, 0.06], UPLIFT.level)
    assert (judged.value, judged.low, judged.high) == pytest.approx(
        (expected.mean, expected.low, expected.high)
    )
    assert list(judged.by_period.values()) == pytest.approx([0.4, 0.01, 0.02, 0.06])
    assert judged.text == "mean of 3 periods 0.03 is not below the threshold 0.01 (log points per period)"


def test_a_window_of_one_period_has_no_interval() -> None:
    judged = verdicts.judge_uplift(UPLIFT.model_copy(update={"window_periods": 1}), rows(0.05))
    assert judged.text.startswith("mean of 1 period 0.05 is not below")
    assert (judged.verdict, judged.low, judged.high) == ("healthy", None, None)


def test_an_inconclusive_judgement_shows_the_last_value_there_is() -> None:
    judged = verdicts.judge_uplift(UPLIFT, rows(0.04, -0.05))
    assert (judged.value, judged.low, judged.high) == (pytest.approx(-0.05), None, None)
    assert judged.text == "2 matured periods, 3 needed"


def told(*values: list[float]) -> list[Told]:
    return [Told(quarter(number), value) for number, reports in enumerate(values) for value in reports]


@pytest.mark.parametrize(
    ("reports", "verdict", "value", "text"),
    [
        (told([97, 95], [97, 97]), "healthy", 96.5, "mean of 2 periods 96.5 is not below the threshold 96"),
        (told([97, 95], [95, 96]), "breach", 95.75, "mean of 2 periods 95.75 is below the threshold 96"),
        (told([90, 90, 90, 90], [100]), "breach", 95.0, "mean of 2 periods 95 is below"),
        (told([90] * 9, [97, 97], [97, 97]), "healthy", 97.0, "not below"),
        (told([90, 90], [90]), "inconclusive", None, "3 reports, 4 needed"),
        (told([90] * 9, [90], [90]), "inconclusive", None, "2 reports, 4 needed"),
        (told([90] * 9), "inconclusive", 90.0, "1 matured period, 2 needed"),
        ([], "inconclusive", None, "0 reports, 4 needed"),
    ],
)
def test_a_reported_metric_is_the_mean_of_its_periods(
    reports: list[Told], verdict: str, value: float | None, text: str
) -> None:
    judged = verdicts.judge_reported(REPORTED, reports)
    assert (judged.verdict, judged.value) == (verdict, value)
    assert text in judged.text


# Novelty


def test_novelty_is_the_share_of_requested_entities_that_the_release_does_not_know() -> None:
    old = rows(0.05)
    new = [Row("new", quarter(1), None, None), Row("a", quarter(1), 1.0, None)]
    assert verdicts.novelty(old) == 0.0
    assert verdicts.novelty(old + new) == 0.5
    assert verdicts.novelty(old + new, periods=2) == pytest.approx(1 / 6)


def test_without_requests_nothing_is_known_of_novelty() -> None:
    assert verdicts.novelty([]) is None


@pytest.mark.parametrize(
    ("value", "verdict", "side"), [(97, "breach", "above"), (95, "healthy", "not above")]
)
def test_where_less_is_better_a_mean_above_the_threshold_is_a_breach(
    value: float, verdict: str, side: str
) -> None:
    cost = REPORTED.model_copy(update={"direction": "lower"})
    judged = verdicts.judge_reported(cost, told([value, value], [value, value]))
    assert judged.verdict == verdict
    assert f"is {side} the threshold 96" in judged.text
