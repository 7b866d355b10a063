"""Prediction intervals from the residuals of earlier predictions: split conformal prediction, in the order of time.

Sources: Vovk, Gammerman and Shafer, Algorithmic Learning in a Random World, 2005; Lei et al., Distribution-Free
Predictive Inference for Regression, JASA 113 (2018), theorem 2.2 for the quantile's level. In a time series residuals
are not exchangeable, so the coverage is measured, not promised.
"""

from __future__ import annotations

from math import ceil, inf

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
ROUNDING = 1e-9
"""A rank that is a whole number up to rounding is that number: 100 x 0.55 is 55.00000000000001."""


def half_width(residuals: Floats, coverage: float) -> float:
    """Half the width of an interval around the next prediction, in the unit of the residuals.

    The ceil((n + 1) coverage)-th smallest absolute residual; infinite where there are too few to say.

    Raises
    ------
    ValueError: ``coverage`` is not inside (0, 1), or a residual is not finite.
    """
    if not 0 < coverage < 1:
        raise ValueError(f"coverage must lie between 0 and 1, not {coverage}")
    sizes = np.sort(np.abs(np.asarray(residuals, dtype=np.float64).reshape(-1)))
    if not np.isfinite(sizes).all():
        raise ValueError("residuals must be finite")
    rank = ceil((sizes.size + 1) * coverage - ROUNDING)
    return float(sizes[rank - 1]) if rank <= sizes.size else inf


def rolling_half_widths(residuals: Floats, made: Ints, known: Ints, coverage: float) -> Floats:
    """For each prediction the half width from the residuals that were known when it was made; shape (n,).

    Parameters
    ----------
    residuals: shape (n,), outcome minus prediction.
    made: shape (n,), the time at which each prediction was made.
    known: shape (n,), the time at which its residual became known; a prediction at time t may use those <= t.

    Raises
    ------
    ValueError: as :func:`half_width`; shapes differ.
    """
    if not residuals.shape == made.shape == known.shape:
        raise ValueError("residuals, made and known must have one shape")
    by_time = {time: half_width(residuals[known <= time], coverage) for time in np.unique(made).tolist()}
    return np.array([by_time[time] for time in made.tolist()], dtype=np.float64)
