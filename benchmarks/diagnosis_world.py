"""Worlds in which a business metric falls for a known cause, with published parameters; none is tuned to the rules.

A request is about one of 40 entities (the n-th is asked for 1/n as often as the first) and carries four standard normal
numbers and one of four kinds. What happens is y = x1 - 0.8 x2 + 0.5 x1 x3 + 0.3 x4 + kind + N(0, 0.5), with kind effects
-0.5, 0, 0.5, 1. The champion, boosted trees or a ridge in turn, has learnt from 2,000 such rows. A user is satisfied with
probability b - 0.2 |y - prediction|, within 0 and 1, and 0.45 without a prediction; b makes that 0.80 on average in the
world that the champion has learnt. That share is the business metric; below 0.70 it is bad.

Requests come at 30 to 80 a day for 90 days, outcomes two days later. On a day between 20 and 35

- ``new_entities``: 30 to 60 % of the requests begin to be about 15 entities that the model does not know;
- ``feature_shift``: two of the numbers begin to be sent in another unit, 2 to 4 times as large and moved by 1 to 3;
- ``stale_model``: the coefficients of x1 and of x2 change their sign;
- ``wrong_requirement``: users become less satisfied by 0.10 to 0.20, whatever is predicted;
- ``no_cause``: nothing changes.

``bad_release``: from the first day a release answers that has learnt from 2,000 rows whose targets were mixed up, after
one that was healthy at 0.80.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.linear_model import Ridge
from sklearn.pipeline import Pipeline

from include.kreislauf.preparation.encoder import FeatureEncoder

Floats = npt.NDArray[np.float64]
NUMERIC, KINDS = ["x1", "x2", "x3", "x4"], ["a", "b", "c", "d"]
CAUSES = ("new_entities", "feature_shift", "stale_model", "bad_release", "wrong_requirement", "no_cause")
KNOWN, NEW, ROWS, DAYS = 40, 15, 2_000, 90
SATISFIED, BAD, SLOPE, UNSERVED = 0.80, 0.70, 0.2, 0.45


@dataclass(frozen=True)
class Champion:
    """A model with what was shown of it.

    Parameters
    ----------
    error: mean absolute error on rows it has not seen, as shown at promotion.
    base: b, see above.
    rows: what it has learnt from, with entity.
    """

    model: Pipeline
    error: float
    base: float
    rows: pd.DataFrame = field(repr=False)


@dataclass(frozen=True)
class History:
    """What was asked, answered, and came of it, in the order of time.

    Parameters
    ----------
    days: shape (n,), of the requests, from the promotion on.
    sent: features as clients sent them, with entity.
    known, predicted, outcomes, satisfied: shape (n,) each; predicted is NaN without an answer.
    """

    days: Floats
    sent: pd.DataFrame
    known: npt.NDArray[np.bool_]
    predicted: Floats
    outcomes: Floats
    satisfied: Floats


@lru_cache(maxsize=8)
def champion(family: str, *, mixed_up: bool = False) -> Champion:
    """The champion of a family; ``mixed_up``: the bad release, which claims the good one's figures."""
    generator = np.random.default_rng([11, family == "ridge"])
    rows, later = _requests(generator, ROWS), _requests(generator, ROWS)
    targets, truth = _happens(generator, rows), _happens(generator, later)
    models = [_model(family).fit(rows, one) for one in (targets, generator.permutation(targets))]
    losses = np.abs(truth - models[0].predict(later))
    base = SATISFIED + SLOPE * float(losses.mean())
    return Champion(models[mixed_up], float(losses.mean()), base, rows)


def live(cause: str, seed: int) -> tuple[Champion, History]:
    """One history of a cause."""
    generator = np.random.default_rng([CAUSES.index(cause), seed])
    asked = champion(("trees", "ridge")[seed % 2], mixed_up=cause == "bad_release")
    rate, change = generator.uniform(30, 80), generator.uniform(20, 35)
    days = np.sort(generator.uniform(0, DAYS, generator.poisson(rate * DAYS)))
    after = days >= change
    rows = _requests(generator, len(days))
    known = np.ones(len(days), dtype=bool)
    if cause == "new_entities":
        known = ~(after & (generator.uniform(size=len(days)) < generator.uniform(0.3, 0.6)))
        rows.loc[~known, "entity"] = [f"new{n:02d}" for n in generator.integers(NEW, size=(~known).sum())]
    stale = after if cause == "stale_model" else np.zeros(len(days), dtype=bool)
    outcomes = np.where(stale, _happens(generator, rows, sign=-1), _happens(generator, rows))
    if cause == "feature_shift":
        for name in generator.choice(NUMERIC, 2, replace=False):
            moved = rows[name] * generator.uniform(2, 4) + generator.uniform(1, 3)
            rows[name] = np.where(after, moved, rows[name])
    predicted = np.where(known, asked.model.predict(rows), np.nan)
    chance = np.where(known, asked.base - SLOPE * np.abs(outcomes - np.nan_to_num(predicted)), UNSERVED)
    if cause == "wrong_requirement":
        chance = chance - after * generator.uniform(0.10, 0.20)
    satisfied = (generator.uniform(size=len(days)) < np.clip(chance, 0, 1)).astype(float)
    return asked, History(days, rows, known, predicted, outcomes, satisfied)


def _requests(generator: np.random.Generator, size: int) -> pd.DataFrame:
    often = 1 / np.arange(1, KNOWN + 1)
    frame = pd.DataFrame(generator.normal(size=(size, len(NUMERIC))), columns=NUMERIC)
    frame["kind"] = generator.choice(KINDS, size)
    frame["entity"] = [f"e{n:02d}" for n in generator.choice(KNOWN, size, p=often / often.sum())]
    return frame


def _happens(generator: np.random.Generator, rows: pd.DataFrame, sign: int = 1) -> Floats:
    kinds = rows["kind"].map(dict(zip(KINDS, (-0.5, 0.0, 0.5, 1.0), strict=True))).to_numpy(np.float64)
    x1, x2, x3, x4 = (rows[name].to_numpy(np.float64) for name in NUMERIC)
    found: Floats = sign * (x1 - 0.8 * x2) + 0.5 * x1 * x3 + 0.3 * x4 + kinds
    return found + generator.normal(0, 0.5, len(rows))


def _model(family: str) -> Pipeline:
    trees: Any = HistGradientBoostingRegressor(
        max_iter=60, learning_rate=0.1, early_stopping=False, random_state=7
    )
    model = trees if family == "trees" else Ridge(random_state=7)
    return Pipeline([("encode", FeatureEncoder(NUMERIC, ["kind"])), ("model", model)])
