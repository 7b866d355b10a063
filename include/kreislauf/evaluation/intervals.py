"""Prediction intervals of held-out predictions, each from residuals that were known when it was made."""

from __future__ import annotations

import numpy as np
import pandas as pd

from include.kreislauf.statistics.conformal import half_width, rolling_half_widths


def with_intervals(rows: pd.DataFrame, coverage: float, horizon: int) -> pd.DataFrame:
    """The rows of one model with ``low``, ``high``, and ``next_half_width`` (of the prediction after the last one).

    Parameters
    ----------
    rows: of the search and held out, columns part, fold, time, prediction, target. Without time (one held-out fold)
        the residuals of the search calibrate the held-out predictions.
    horizon: periods until a residual is known, as :func:`~include.kreislauf.training.design.purge_of` counts.
    """
    residuals = (rows["target"] - rows["prediction"]).to_numpy(np.float64)
    made = rows["time"].to_numpy(np.int64)
    widths = rolling_half_widths(residuals, made, made + horizon, coverage)
    return rows.assign(
        low=rows["prediction"] - widths,
        high=rows["prediction"] + widths,
        next_half_width=half_width(residuals, coverage),
    )
