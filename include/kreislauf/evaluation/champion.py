"""The live release on the held-out rows."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import numpy.typing as npt
import pandas as pd

from include.kreislauf.errors import StoreError
from include.kreislauf.evaluation.report import KEY, Champion
from include.kreislauf.handovers import Stage
from include.kreislauf.inference.problem import ServedProblem
from include.kreislauf.inference.served import serve
from include.kreislauf.preparation.features import KEYS, day_of, names_of
from include.kreislauf.settings import Settings
from include.kreislauf.store import live
from include.kreislauf.store.database import Store
from include.kreislauf.store.release_files import LoadedRelease, load_row
from include.kreislauf.store.tables import Tables
from include.kreislauf.training.design import Rows
from include.kreislauf.training.step import Training

Mask = npt.NDArray[np.bool_]
LEAST_ROWS = 30
"""Of rows without time: fewer that the champion has not learnt from say nothing of it."""


def complete_features(training: Training) -> pd.DataFrame:
    """The feature version with the features that loops of the cycle have left out, built anew from the same raw rows.

    A champion that uses them is still what candidates have to beat. What the contract leaves out nobody sees. Rows
    without time stay as they are: nothing tells which is which.
    """
    module = training.module
    unseen = {*training.frame.columns, *training.contract.preparation.exclude}
    left_out = [name for name in names_of(module) if name not in unseen]
    if not left_out or training.raw is None or training.contract.problem.time is None:
        return training.frame
    built = module.build(training.raw.copy(), day_of(training.order.as_of, training.contract.problem))
    if not set(KEYS) <= set(built.columns):
        return training.frame
    return training.frame.merge(built[[*KEYS, *left_out]], on=list(KEYS), how="left", validate="one_to_one")


def find_champion(training: Training, held_out: pd.DataFrame, settings: Settings) -> Champion | None:
    """The live release's predictions of the held-out rows that it can predict; ``None`` if nothing is live.

    Rows without time are those that it has not learnt from: most often it has learnt from the same table, and there are
    none.

    Raises
    ------
    ReleaseError: the release's files are missing or were changed.
    """
    with Store(settings.store).read() as db:
        row = live.live_release(db, training.order.use_case)
    if row is None:
        return None
    release = load_row(settings, row)
    problem = training.contract.problem
    if ServedProblem.of(release.manifest).classes != problem.classes:
        return _not_comparable("it knows other classes")
    rows = Rows.of(complete_features(training), training.design).frame.iloc[held_out[KEY].to_numpy()]
    if problem.time is None:
        unseen = _unseen(training, release, rows)
        if unseen.sum() < LEAST_ROWS:
            return _not_comparable(f"it has learnt from all but {unseen.sum()} of the held-out rows")
        rows = rows[unseen]
    shown = _predicted(release, rows)
    return Champion(shown.assign(**{KEY: rows.index.to_numpy()}), release.manifest["trained_until"])


def _not_comparable(why: str) -> Champion:
    return Champion(pd.DataFrame(), "", f"champion not comparable: {why}")


def _unseen(training: Training, release: LoadedRelease, rows: pd.DataFrame) -> Mask:
    """Which rows without time the release has not learnt from: neither the row, nor one of its entity or group."""
    version = release.manifest["inputs"].get(Stage.PREPARATION, "")
    try:
        learnt = Tables(training.settings.tables, training.order.use_case).read(version)
    except StoreError:  # the version is gone: every row may have been in it
        return np.zeros(len(rows), dtype=np.bool_)
    learnt = learnt[learnt["target"].notna()]
    columns = [name for name in (*training.design.names, "target") if name in learnt]
    seen = _digests(rows[columns]).isin(_digests(learnt[columns])).to_numpy()
    named = [training.design.group, "entity" if training.contract.problem.entity else ""]
    for name in filter(None, named):
        seen = seen | rows[name].isin(learnt[name]).to_numpy()  # pandas gives arrays that cannot be written
    return np.asarray(~seen, dtype=np.bool_)


def _digests(rows: pd.DataFrame) -> pd.Series[Any]:
    return pd.util.hash_pandas_object(rows, index=False)


def _predicted(release: LoadedRelease, rows: pd.DataFrame) -> pd.DataFrame:
    """Predictions in the order of the rows; NaN where the release does not know the entity, or lacks a feature."""
    served = serve(release)
    classes = len(served.problem.classes)
    values = np.full((len(rows), classes or 1), np.nan)
    known = np.ones(len(rows), dtype=np.bool_)
    if served.problem.requests == "entity":
        known = rows["entity"].isin(list(release.snapshot)).to_numpy()
    columns = [*release.numeric, *release.categorical]
    if known.any() and set(columns) <= set(rows.columns):
        records = cast("list[dict[str, Any]]", rows.loc[known, columns].to_dict("records"))
        values[known] = served.probabilities(records) if classes else served.predict(records)[:, None]
    return pd.DataFrame(values, columns=[f"p{place}" for place in range(classes)] or ["prediction"])
