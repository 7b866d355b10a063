"""The story of the quick start: a model is good, a wave that it does not know hurts, a new model recovers."""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import Ridge
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from include.kreislauf.simulation.panel import observed_panel
from include.kreislauf.simulation.technologies import simulate
from include.kreislauf.statistics.business import portfolio_uplift
from include.use_cases.technology_radar import features

NUMBERS = list(features.NUMERIC)
END, WAVE_HURTS = date(2022, 1, 1), pd.Timestamp("2018-04-01")


def fit(rows: pd.DataFrame) -> Pipeline:
    return make_pipeline(StandardScaler(), Ridge(100.0)).fit(rows[NUMBERS], rows["target"])


def live_uplift(panel: pd.DataFrame, as_of: date) -> pd.Series:
    """Uplift of each period after ``as_of`` with a model, and knowledge of technologies, from that time."""
    learnt = features.build(panel, as_of).dropna(subset="target")
    model, rows = fit(learnt), features.build(panel, END)
    rows = rows[rows["entity"].isin(learnt["entity"])]
    rows = rows.assign(prediction=model.predict(rows[NUMBERS]))
    joined = features.outcomes(panel, END).merge(rows[["entity", "period", "prediction"]], how="left")
    joined = joined[joined["period"] > learnt["period"].max()]
    return pd.Series({
        period: portfolio_uplift(group["prediction"], group["outcome"], 10, names=list(group["entity"]))
        for period, group in joined.groupby("period")
    })  # fmt: skip


@pytest.mark.parametrize("seed", range(3))
def test_growth_can_be_predicted_better_than_by_no_change(seed: int) -> None:
    rows = features.build(observed_panel(simulate(seed)), date(2016, 1, 1)).dropna(subset="target")
    held_out = rows["period"] >= "2014-07-01"
    model = fit(rows[~held_out & (rows["period"] < "2014-04-01")])
    target = rows[held_out]["target"]
    gain = 1 - np.abs(target - model.predict(rows[held_out][NUMBERS])).mean() / target.abs().mean()
    assert 0.05 < gain < 0.35


@pytest.mark.parametrize("seed", range(3))
def test_the_wave_hurts_a_model_that_does_not_know_it_until_it_learns(seed: int) -> None:
    panel = observed_panel(simulate(seed))
    frozen, taught = live_uplift(panel, date(2016, 1, 1)), live_uplift(panel, date(2019, 1, 1))
    before, after = frozen[frozen.index < WAVE_HURTS], frozen[frozen.index >= WAVE_HURTS]
    assert before.mean() > 0.03
    assert (before.rolling(3).mean().dropna() > 0).all()
    assert after[:4].mean() < 0.0  # far below the contract's threshold of 0.02
    assert taught[:6].mean() > 0.15
