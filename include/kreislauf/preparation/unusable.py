"""Features that no model can learn from: identifiers, and declared columns in which nothing stands."""

from __future__ import annotations

import pandas as pd

from include.kreislauf.preparation.declared import NOTHING, DeclaredFeatures
from include.kreislauf.preparation.features import FeatureModule

LEAST_ROWS = 30
"""Fewer rows do not show that each has a value of its own."""
OWN_VALUES = 0.95
"""Share of the rows with a value of their own from which a text is an identifier; also how densely a running number runs."""
IN_ORDER = 0.5
"""How densely a number runs that goes up, or down, from each row to the next."""
ADVICE = "to say so, set feature: false on the column in the contract"
EMPTY = f"missing in every row; {ADVICE}"
NAMES = f"an identifier: nearly every row has a value of its own; {ADVICE}"
COUNTS = f"an identifier: a running number; {ADVICE}"


def unusable_features(frame: pd.DataFrame, module: FeatureModule) -> dict[str, str]:
    """Names of the features to leave out, each with the reason.

    Whoever learns from an identifier learns its rows by heart, or the order of the file. Numbers that code computes
    are not looked at: a running number may be meant there.

    Parameters
    ----------
    frame: what the module has built, in the order of the raw rows.
    """
    found = {name: NAMES for name in module.CATEGORICAL if name in frame and _names_rows(frame[name])}
    if isinstance(module, DeclaredFeatures):
        found |= {name: COUNTS for name in module.NUMERIC if _counts_rows(frame[name])}
        found |= {name: EMPTY for name in module.NUMERIC if frame[name].isna().all()}
        found |= {name: EMPTY for name in module.CATEGORICAL if frame[name].eq(NOTHING).all()}
    return found


def _names_rows(values: pd.Series) -> bool:
    """Whether (nearly) every row that has a text has one of its own."""
    known = values[values.notna() & (values != NOTHING)]
    return len(known) >= LEAST_ROWS and known.nunique() >= OWN_VALUES * len(known)


def _counts_rows(values: pd.Series) -> bool:
    """Whether the numbers are whole, all different, and leave few gaps: fewer where they are in no order."""
    known = values.dropna()
    if len(known) < LEAST_ROWS or (known % 1 != 0).any() or known.nunique() < len(known):
        return False
    ordered = known.is_monotonic_increasing or known.is_monotonic_decreasing
    dense = len(known) / (known.max() - known.min() + 1)
    return bool(dense >= (IN_ORDER if ordered else OWN_VALUES))
