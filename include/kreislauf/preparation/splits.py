"""Which rows are learnt from, and which are predicted: by time where rows have one, else stratified or grouped.

**The boundary in time.** With horizon 1, the target of period p is known at the end of period p + 1. A prediction from
the features of period q is made at the end of q. So a model for q may learn from rows with p + horizon <= q, and from
nothing later: the rows between are purged.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sklearn.model_selection import GroupKFold, KFold, StratifiedGroupKFold, StratifiedKFold

from include.kreislauf.errors import TrainingError

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Fold:
    """One model's rows, as positions: those it learns from, and those it predicts.

    Parameters
    ----------
    time: when the predictions are made, as a number of periods; of a fold without time its number.
    """

    label: str
    time: int
    learn: Ints
    predict: Ints


@dataclass(frozen=True)
class Splits:
    """The folds on which configurations are searched, and the later ones that are held out for the gates.

    No fold of the search predicts a row whose target was not known when the first held-out prediction is made.
    """

    search: tuple[Fold, ...]
    held_out: tuple[Fold, ...]


def rolling_origin(times: Ints, labels: Sequence[str], horizon: int, min_rows: int) -> tuple[Fold, ...]:
    """One fold per period with at least ``min_rows`` rows to learn from, oldest first; the window expands.

    Parameters
    ----------
    times: shape (n,), number of each row's period.
    labels: shape (n,), name of each row's period.
    horizon: periods from a row to the end of its target; also the length of the purge.

    Source: Tashman, Out-of-sample tests of forecasting accuracy, International Journal of Forecasting 16 (2000); for
    the purge, López de Prado, Advances in Financial Machine Learning, 2018, section 7.4.
    """
    folds = []
    for time in np.unique(times).tolist():
        learn, predict = np.flatnonzero(times + horizon <= time), np.flatnonzero(times == time)
        if learn.size >= min_rows:
            folds.append(Fold(labels[predict[0]], time, learn, predict))
    return tuple(folds)


def split_by_time(
    times: Ints, labels: Sequence[str], *, horizon: int, held_out: int, search: int, min_rows: int
) -> Splits:
    """The latest ``held_out`` periods, and for the search the latest ``search`` ones that were over before them."""
    folds = rolling_origin(times, labels, horizon, min_rows)
    later = folds[-held_out:]
    earlier = [fold for fold in folds if later and fold.time + horizon <= later[0].time]
    return Splits(tuple(earlier[-search:]), later)


def split_rows(
    n_rows: int, folds: int, seed: int, *, classes: Sequence[str] | None = None, groups: Sequence[str] | None = None
) -> Splits:  # fmt: skip
    """Rows without time: one of ``folds`` parts is held out, the others are searched by cross-validation.

    With two parts there is no search.

    Parameters
    ----------
    classes: shape (n_rows,), classes whose shares every part keeps.
    groups: shape (n_rows,), groups whose rows are never on both sides.

    Raises
    ------
    TrainingError: there are fewer rows, groups, or rows of a class, than parts.
    """
    _require_enough(n_rows, folds, classes, groups)
    splitter = _splitter(folds, seed, classes is not None, groups is not None)
    positions = np.arange(n_rows)
    parts = [test for _, test in splitter.split(positions, classes, groups)]
    rest = np.setdiff1d(positions, parts[-1])
    searched = parts[:-1] if folds > 2 else []  # of two, one is held out: nothing is left to learn from
    search = tuple(
        Fold(f"fold {number}", number, np.setdiff1d(rest, part), part)
        for number, part in enumerate(searched, start=1)
    )
    return Splits(search, (Fold("held out", folds, rest, parts[-1]),))


def _splitter(
    folds: int, seed: int, stratified: bool, grouped: bool
) -> KFold | GroupKFold | StratifiedKFold | StratifiedGroupKFold:
    kinds = {
        (False, False): KFold, (False, True): GroupKFold, (True, False): StratifiedKFold,
        (True, True): StratifiedGroupKFold,
    }  # fmt: skip
    return kinds[stratified, grouped](folds, shuffle=True, random_state=seed)


def _require_enough(
    n_rows: int, folds: int, classes: Sequence[str] | None, groups: Sequence[str] | None
) -> None:
    counts = {"rows": n_rows}
    if groups is not None:
        counts["groups"] = len(set(groups))
    if classes is not None:
        counts["rows of the rarest class"] = min(
            (list(classes).count(one) for one in set(classes)), default=0
        )
    for what, count in counts.items():
        if count < folds:
            raise TrainingError(
                f"{count} {what} are fewer than {folds} folds", where="contract: training.folds",
                allowed=f"2 to {count}" if count >= 2 else "more rows", next_step="collect more, or ask for fewer folds",
            )  # fmt: skip
