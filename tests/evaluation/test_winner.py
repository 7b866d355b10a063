"""Who wins: the best business metric of those that pass every gate, whatever their order."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from include.kreislauf.evaluation.gates import TIE_DECIMALS, Thresholds, decide
from include.kreislauf.evaluation.models import Estimate, GateReason, Report, Scores
from include.kreislauf.evaluation.report import build_report
from include.kreislauf.statistics.verdicts import Verdict
from tests.evaluation.worlds import guess, predicted, question, report, tried, truth, verdict

ROWS = truth()


def scores(name: str, *, business: float | None = 0.05, gain: float = 0.3, **changes: Any) -> Scores:
    """What one candidate came to; passes unless a test says otherwise."""
    (candidate,) = tried(name)
    fields: dict[str, Any] = {
        "name": name, "family": candidate.family, "params": {}, "complexity": candidate.complexity, "error": 1 - gain,
        "further": {}, "gain": Estimate(value=gain, low=gain - 0.01, high=gain + 0.01),
        "business": Estimate(value=None) if business is None else Estimate(value=business, low=business - 0.01, high=business + 0.01),
        "business_by_period": {}, "coverage": 0.8, "n_periods": 8, "n_rows": 160,
    }  # fmt: skip
    return Scores(**{**fields, **changes})


def made_of(*candidates: Scores) -> Report:
    return Report(
        metric="mae", baseline="persistence", candidates=candidates, baselines=(), comparisons=(), champion_note="none",
        held_out=tuple(ROWS["fold"].unique()),
    )  # fmt: skip


def winner(*candidates: Scores) -> str | None:
    return decide(made_of(*candidates), Thresholds()).winner


def test_the_best_business_metric_wins_not_the_smallest_error() -> None:
    assert (
        winner(scores("ridge", business=0.03, gain=0.5), scores("random_forest", business=0.05))
        == "random_forest"
    )
    real = {"ridge": guess(ROWS, 0.3, 2), "random_forest": guess(ROWS, 0.7, 3)}
    assert verdict(ROWS, real).winner == "random_forest"


def test_ties_go_to_the_simpler_model() -> None:
    simple, rich = (
        scores("ridge", business=0.0501),
        scores("hist_gradient_boosting", business=0.0504, gain=0.5),
    )
    assert winner(rich, simple) == "ridge"
    clearly = scores("hist_gradient_boosting", business=0.0501 + 10**-TIE_DECIMALS)
    assert winner(clearly, simple) == "hist_gradient_boosting"
    ensemble = scores("mean:ridge+random_forest", gain=0.6)
    assert winner(ensemble, scores("hist_gradient_boosting")) == "hist_gradient_boosting"


def test_among_equally_simple_ones_the_smaller_error_wins() -> None:
    assert winner(scores("ridge:a", gain=0.3), scores("ridge:b", gain=0.4)) == "ridge:b"
    assert winner(scores("ridge:b", gain=0.3), scores("ridge:a", gain=0.4)) == "ridge:a"


def test_one_without_a_business_metric_is_no_winner() -> None:
    decision = decide(made_of(scores("ridge", business=None)), Thresholds())
    assert (decision.verdict, decision.reason) == (Verdict.INCONCLUSIVE, GateReason.BUSINESS_METRIC_SHORT)
    assert "portfolio uplift unknown" in decision.text


def test_the_text_says_what_the_winner_won_with() -> None:
    decision = decide(made_of(scores("ridge")), Thresholds(min_business=0.01, business="productivity"))
    assert decision.text == (
        "ridge: MAE gain +30.0% (+29.0% to +31.0%) over persistence, 2.0% needed; "
        "productivity +0.050 (+0.040 to +0.060), +0.010 needed; none"
    )


CANDIDATE = st.builds(
    scores,
    st.sampled_from(
        ["ridge", "nearest_neighbours", "random_forest", "extra_trees", "hist_gradient_boosting", "mean"]
    ),
    business=st.one_of(st.none(), st.floats(-0.05, 0.1)),
    gain=st.floats(-0.1, 0.9),
    coverage=st.one_of(st.none(), st.floats(0.6, 1.0)),
    n_rows=st.sampled_from([99, 100, 160]),
)


@settings(deadline=None)
@given(
    candidates=st.lists(CANDIDATE, min_size=1, max_size=6, unique_by=lambda one: one.name),
    seed=st.randoms(use_true_random=False),
)
def test_the_winner_passes_every_gate_and_does_not_depend_on_the_order(
    candidates: list[Scores], seed: Any
) -> None:
    decision = decide(made_of(*candidates), Thresholds())
    mixed = list(candidates)
    seed.shuffle(mixed)
    again = decide(made_of(*mixed), Thresholds())
    assert (again.verdict, again.reason, again.winner, again.closest, again.text) == (
        decision.verdict, decision.reason, decision.winner, decision.closest, decision.text
    )  # fmt: skip
    passing = [
        one for one in candidates if all(said.verdict is Verdict.PASS for said in decision.results[one.name])
    ]
    too_good = any(one.gain.value is not None and one.gain.value > 0.8 for one in candidates)
    assert (
        (decision.winner is not None)
        == (decision.verdict is Verdict.PASS)
        == (bool(passing) and not too_good)
    )
    if decision.winner is not None:
        won = next(one for one in passing if one.name == decision.winner)
        best = max(one.business.value or 0.0 for one in passing)
        assert round(won.business.value or 0.0, TIE_DECIMALS) == round(best, TIE_DECIMALS)


@settings(max_examples=15, deadline=None)
@given(
    skills=st.lists(st.sampled_from(np.linspace(-0.5, 0.95, 12).tolist()), min_size=2, max_size=4),
    seed=st.integers(0, 99),
)
def test_so_it_is_with_predictions(skills: list[float], seed: int) -> None:
    models = {f"ridge:{n}": guess(ROWS, skill, seed + n) for n, skill in enumerate(skills)}
    decision = verdict(ROWS, models)
    assert verdict(ROWS, dict(reversed(models.items()))).winner == decision.winner
    assert decision.winner is None or all(
        one.verdict is Verdict.PASS for one in decision.results[decision.winner]
    )


@pytest.mark.parametrize("seed", range(3))
def test_the_order_of_rows_does_not_matter(seed: int) -> None:
    models = {"ridge": guess(ROWS, 0.6), "random_forest": guess(ROWS, 0.5, 3)}
    mixed = predicted(ROWS, models).sample(frac=1, random_state=seed)
    shuffled: pd.DataFrame = mixed.reset_index(drop=True)
    assert build_report(shuffled, tried(*models), question()) == report(ROWS, models)
