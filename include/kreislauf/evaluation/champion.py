"""The live release on the held-out rows."""

from __future__ import annotations

from datetime import date
from typing import Any, cast

import numpy as np
import pandas as pd

from include.kreislauf.evaluation.report import Champion
from include.kreislauf.inference.served import serve
from include.kreislauf.preparation.features import KEYS, names_of
from include.kreislauf.settings import Settings
from include.kreislauf.store import live
from include.kreislauf.store.database import Store
from include.kreislauf.store.release_files import LoadedRelease, load_row
from include.kreislauf.training.step import Training


def complete_features(training: Training) -> pd.DataFrame:
    """The feature version with the features that loops of the cycle have left out, built anew from the same raw rows.

    A champion that uses them is still what candidates have to beat. What the contract leaves out nobody sees.
    """
    module = training.module
    unseen = {*training.frame.columns, *training.contract.preparation.exclude}
    left_out = [name for name in names_of(module) if name not in unseen]
    if not left_out or training.raw is None:
        return training.frame
    built = module.build(training.raw.copy(), training.order.as_of.date())
    return training.frame.merge(built[[*KEYS, *left_out]], on=list(KEYS), how="left", validate="one_to_one")


def find_champion(
    use_case: str, held_out: pd.DataFrame, features: pd.DataFrame, settings: Settings
) -> Champion | None:
    """The live release's predictions of the held-out rows, for the entities it knows; ``None`` if nothing is live.

    Raises
    ------
    ReleaseError: the release's files are missing or were changed.
    """
    with Store(settings.store).read() as db:
        row = live.live_release(db, use_case)
    if row is None or "period" not in held_out:
        return None
    release = load_row(settings, row)
    rows = held_out[["entity", "period"]].merge(features, on=["entity", "period"], how="left")
    return Champion(
        predictions=rows[["entity", "period"]].assign(prediction=_predict_known(release, rows)),
        trained_until=date.fromisoformat(release.manifest["trained_until"]),
    )


def _predict_known(
    release: LoadedRelease, rows: pd.DataFrame
) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Predictions in the order of the rows; NaN where the release does not know the entity, or lacks a feature."""
    values = np.full(len(rows), np.nan)
    columns = [*release.numeric, *release.categorical]
    known = rows["entity"].isin(list(release.snapshot)).to_numpy()
    if known.any() and set(columns) <= set(rows.columns):
        records = cast("list[dict[str, Any]]", rows.loc[known, columns].to_dict("records"))
        values[known] = serve(release).predict(records)
    return values
