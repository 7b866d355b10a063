"""What baking as many loaves as predicted earns."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


def earned(predicted: Floats, happened: Floats, options: dict[str, Any]) -> Floats:
    """Price of what is sold less the cost of what is baked, for each shop and month."""
    baked = np.clip(predicted, 0, options["oven"])
    earned: Floats = options["price"] * np.minimum(baked, happened) - options["cost"] * baked
    return earned
