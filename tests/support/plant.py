"""A plant whose machines fail: two classes, requests that carry all features, and what may go wrong after a promotion.

A machine of kind a, b or c has a heat and a vibration, standard normal each. It fails with the logit of
-2 + 1.5 vibration + heat + kind, where the kinds add -0.5, 0 and 0.5. The champion has learnt from 3,000 such machines.
Requests come at 60 a day for 40 days, outcomes a day later. From day 15 on

- ``new_category``: four in ten machines are of kind d, which the model does not know, and which adds 2;
- ``recalibrated``: the vibration is sent in another unit: twice as large, and one more;
- ``stale_model``: vibration and heat do the opposite;
- ``nothing``: nothing changes.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sqlalchemy import insert

from include.kreislauf.preparation.encoder import FeatureEncoder
from include.kreislauf.requirements.contract import Contract
from include.kreislauf.settings import Settings
from include.kreislauf.statistics.stability import Profile
from include.kreislauf.store import live, release_files
from include.kreislauf.store.database import Store
from include.kreislauf.store.live import ReleaseRow
from include.kreislauf.store.release_files import dump_model, write_release
from include.kreislauf.store.schema import outcomes, predictions
from include.kreislauf.store.signing import SigningKey
from include.kreislauf.training.parallel import one_thread

Floats = npt.NDArray[np.float64]
Cause = Literal["new_category", "recalibrated", "stale_model", "nothing"]
PLANT = "plant"
NUMERIC, KINDS = ["heat", "vibration"], {"a": -0.5, "b": 0.0, "c": 0.5, "d": 2.0}
START = datetime(2026, 1, 1, tzinfo=UTC)
DAYS, CHANGE, A_DAY = 40, 15, 60
END = START + timedelta(days=DAYS)


def plant_contract(**changes: Any) -> Contract:
    """A contract about it, not signed by anybody."""
    return Contract.model_validate(plant_values(**changes))


def plant_values(**changes: Any) -> dict[str, Any]:
    """Such a contract as it stands in a file."""
    values: dict[str, Any] = {
        "version": 1, "name": PLANT, "title": "Machines that fail", "purpose": "Service before it is too late.",
        "owner": "maintenance",
        "problem": {"kind": "binary", "target": "state", "classes": ["runs", "fails"], "requests": "features"},
        "sources": [{"kind": "table", "name": "machines", "url": "{data}/machines.csv", "columns": {
            "state": {"type": "text"}, "heat": {"type": "number"}, "vibration": {"type": "number"}, "kind": {"type": "text"}}}],
        "training": {"candidates": [{"family": "ridge"}]},
        "performance": {"metric": "log_loss", "baseline": "prior", "min_gain": 0.1},
        "business_metrics": [{
            "kind": "decision_value", "name": "saved", "without": "wait", "unit": "EUR per machine-hour", "per": 8,
            "actions": {"wait": {"runs": 0, "fails": 800}, "service": {"runs": 80, "fails": 160}},
            "gate_threshold": 1, "threshold": 2, "maturity_days": 1, "test": {"bounds": [-10, 80]},
        }],
        "governor": {"cool_down_days": 7, "max_hops": 4},
    }  # fmt: skip
    return {**values, **changes}


@dataclass(frozen=True)
class Happened:
    """Requests in the order of time, what was answered, and what came of it."""

    at: list[datetime]
    sent: pd.DataFrame
    predicted: Floats
    failed: Floats


def history(cause: Cause, seed: int) -> Happened:
    """What happens to the champion."""
    generator = np.random.default_rng([11, seed])
    days = np.sort(generator.uniform(0, DAYS, DAYS * A_DAY))
    after = days >= CHANGE
    machines = _machines(generator, len(days))
    if cause == "new_category":
        machines.loc[after & (generator.uniform(size=len(days)) < 0.4), "kind"] = "d"
    sign = np.where(after & (cause == "stale_model"), -1.0, 1.0)
    failed = _fails(generator, machines, sign)
    if cause == "recalibrated":
        machines.loc[after, "vibration"] = 2 * machines["vibration"][after] + 1
    predicted = champion().predict_proba(machines)[:, 1]
    return Happened([START + timedelta(days=float(one)) for one in days], machines, predicted, failed)


@lru_cache(maxsize=1)
def champion() -> Pipeline:
    """The model that is live."""
    machines, failed = learnt()
    with one_thread():
        return _unfitted().fit(machines, failed)


def learnt() -> tuple[pd.DataFrame, Floats]:
    """What it has learnt from."""
    generator = np.random.default_rng(7)
    machines = _machines(generator, 3_000)
    return machines, _fails(generator, machines, np.ones(3_000))


def log(store: Store, happened: Happened, use_case: str = PLANT) -> None:
    """What the service has written down."""
    kinds = set(KINDS) - {"d"}
    rows = happened.sent.to_dict("records")
    asked = [
        {"id": f"{use_case}{number:06d}", "use_case": use_case, "release": 1, "entity": None, "known": row["kind"] in kinds,
         "value": float(value), "period": at, "as_of": at, "created_at": at, "features": json.dumps(row)}
        for number, (at, row, value) in enumerate(zip(happened.at, rows, happened.predicted, strict=True))
    ]  # fmt: skip
    came = [
        {"prediction_id": one["id"], "use_case": use_case, "value": float(failed), **dict.fromkeys(("observed_at", "created_at", "logged_at"), one["as_of"] + timedelta(days=1))}
        for one, failed in zip(asked, happened.failed, strict=True)
    ]  # fmt: skip
    with store.write() as db:
        db.execute(insert(predictions), asked)
        db.execute(insert(outcomes), came)


def promote(store: Store, settings: Settings, use_case: str = PLANT) -> ReleaseRow:
    """The champion as a signed release that is live."""
    machines, failed = learnt()
    chosen = np.take_along_axis(champion().predict_proba(machines), failed.astype(int)[:, None], axis=1)
    profiles = {name: Profile.of_numbers(machines[name]).to_dict() for name in NUMERIC}
    profiles["kind"] = Profile.of_categories(machines["kind"]).to_dict()
    manifest = {
        "use_case": use_case, "version": 1, "metrics": {"log_loss": float(-np.log(chosen).mean())},
        "features": {"numeric": NUMERIC, "categorical": {"kind": ["a", "b", "c"]}},
    }  # fmt: skip
    files = {
        release_files.MODEL: dump_model(champion()), release_files.SNAPSHOT: b"{}",
        release_files.GOLDEN: b"{}", release_files.PROFILE: json.dumps(profiles).encode(),
    }  # fmt: skip
    path = Path(use_case) / "releases" / "1"
    complete, digest = write_release(settings.artefacts / path, manifest, files, SigningKey.of(settings))
    row = ReleaseRow(use_case, 1, "c0001", 1, str(path), digest, complete, START, START)
    with store.write() as db:
        live.save_release(db, row)
        live.promote(db, use_case, 1, expected=None, cycle_id="c0001", reason="test", as_of=START, now=START)
    return row


def _unfitted() -> Pipeline:
    return Pipeline([("encode", FeatureEncoder(NUMERIC, ["kind"])), ("model", LogisticRegression())])


def _machines(generator: np.random.Generator, size: int) -> pd.DataFrame:
    frame = pd.DataFrame(generator.normal(size=(size, 2)), columns=NUMERIC)
    return frame.assign(kind=generator.choice(["a", "b", "c"], size))


def _fails(generator: np.random.Generator, machines: pd.DataFrame, sign: Floats) -> Floats:
    kind = machines["kind"].map(KINDS).to_numpy(np.float64)
    logit = -2 + sign * (1.5 * machines["vibration"] + machines["heat"]).to_numpy(np.float64) + kind
    found: Floats = (generator.uniform(size=len(machines)) < 1 / (1 + np.exp(-logit))).astype(np.float64)
    return found
