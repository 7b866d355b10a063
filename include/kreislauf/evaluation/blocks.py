"""What is drawn together in a bootstrap of held-out rows."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pandas as pd

MOST = 1000
"""Blocks beyond so many are bundled: more make an interval no better, and cost memory."""


def blocks_of(rows: pd.DataFrame) -> Iterator[tuple[str, npt.NDArray[np.intp]]]:
    """Each block of rows (column block: a period, a group, or a row alone) and the positions of its rows, in the order of
    time; of very many whole bundles of them.
    """
    codes, names = pd.factorize(rows["block"].astype(str), sort=True)
    for place in range(min(len(names), MOST)):
        inside = np.flatnonzero(codes % MOST == place)
        yield str(names[place]), np.asarray(inside, dtype=np.intp)
