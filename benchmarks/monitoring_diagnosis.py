"""How often the right way back is chosen, per cause: simulated logs in a real store, real releases, the real rules.

Each history of :mod:`benchmarks.diagnosis_world` is judged by the real detector; at its alarm, the log as it stands then
is put into a SQLite store beside signed releases, and the signals, the challenger and the diagnosis do the rest.
"""

from __future__ import annotations

import json
import shutil
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol

import numpy as np
from joblib import Parallel, delayed
from sqlalchemy import insert

from benchmarks.diagnosis_world import BAD, CAUSES, NUMERIC, SATISFIED, History, champion, live
from include.kreislauf.deployment.contents import contents_of
from include.kreislauf.evaluation.winner import Winner
from include.kreislauf.feedback.looking import look, situation_of
from include.kreislauf.handovers import Reason, WorkOrder
from include.kreislauf.monitoring.diagnosis import Diagnosis, diagnose
from include.kreislauf.monitoring.verdicts import Judgement
from include.kreislauf.requirements.contract import Contract, Reported
from include.kreislauf.requirements.loading import load_contract
from include.kreislauf.settings import ROOT, Settings
from include.kreislauf.statistics.fall_detector import FallDetector
from include.kreislauf.store import live as pointer
from include.kreislauf.store.database import Store, insert_rows
from include.kreislauf.store.live import ReleaseRow
from include.kreislauf.store.observations import Verdict, save_verdicts
from include.kreislauf.store.release_files import write_release
from include.kreislauf.store.schema import outcomes, predictions
from include.kreislauf.store.signing import SigningKey
from include.kreislauf.training.parallel import limited

EXPECTED = {
    "new_entities": Reason.NEW_ENTITIES, "feature_shift": Reason.FEATURES_SHIFTED,
    "stale_model": Reason.CHALLENGER_BETTER, "bad_release": Reason.WORSE_THAN_BEFORE,
    "wrong_requirement": Reason.METRIC_AND_MODEL_DISAGREE, "no_cause": None,
}  # fmt: skip
USE_CASE, METRIC = "simulated", "satisfied_users"
START = datetime(2026, 1, 1, tzinfo=UTC)
MATURITY = 2.0
FIRST_SEED = 3_000
"""The seeds below were looked at while the rules were written."""
DETECTOR = FallDetector(SATISFIED, BAD, 0.01, 90)


class Sized(Protocol):
    @property
    def scenarios(self) -> int: ...


@dataclass(frozen=True)
class _Place:
    settings: Settings
    empty: Path
    rows: dict[tuple[str, bool], ReleaseRow]
    contract: Contract


def diagnosis(size: Sized) -> dict[str, Any]:
    """Share of the histories of each cause whose way back is the right one, and what was said of the others."""
    with TemporaryDirectory() as folder:
        place = _prepared(Path(folder))
        asked = [(cause, seed) for cause in CAUSES for seed in range(FIRST_SEED, FIRST_SEED + size.scenarios)]
        answers = Parallel(n_jobs=2)(delayed(limited(_said))(place, cause, seed) for cause, seed in asked)
    said: dict[str, list[str]] = {cause: [] for cause in CAUSES}
    for (cause, _), answer in zip(asked, answers, strict=True):
        said[cause].append(answer)
    right = {cause: found.count(str(EXPECTED[cause])) / len(found) for cause, found in said.items()}
    return {
        "diagnosis": right,
        "diagnosis_said": {cause: dict(Counter(found)) for cause, found in said.items()},
    }


def _said(place: _Place, cause: str, seed: int) -> str:
    _, history = live(cause, seed)
    days = history.days + MATURITY
    state = DETECTOR.update(DETECTOR.begin(), history.satisfied, days)
    if state.alarm_at is None:
        return "None"
    found = _diagnosed(place, cause, history, state.alarm_at, seed)
    if found is None:
        return "None"
    return str(found.reason) if found.sure else "no cause is visible"


def _diagnosed(place: _Place, cause: str, history: History, alarm_at: int, seed: int) -> Diagnosis | None:
    at = history.days[alarm_at - 1] + MATURITY
    as_of = START + timedelta(days=float(at))
    path = place.empty.with_name(f"{cause}{seed}.db")
    shutil.copy(place.empty, path)
    store = Store(f"sqlite:///{path}")
    family = ("trees", "ridge")[seed % 2]
    release = _promoted(store, place, family, bad=cause == "bad_release")
    _log(store, release, history, at)
    order = WorkOrder(use_case=USE_CASE, cycle_id=release.cycle_id, contract_hash=place.contract.hash, as_of=as_of,
                      started_by="benchmark")  # fmt: skip
    value = float(history.satisfied[max(0, alarm_at - 200) : alarm_at].mean())
    judged = Judgement("breach", value, None, None, {}, "has fallen")
    with store.read() as db:
        seen = look(db, order, place.contract, place.settings, as_of)
        assert seen is not None
        found = diagnose(
            situation_of(db, order, place.contract, seen, place.contract.business_metrics[0], judged)
        )
    store.engine.dispose()
    for one in path.parent.glob(f"{path.name}*"):
        one.unlink()
    return found


def _promoted(store: Store, place: _Place, family: str, *, bad: bool) -> ReleaseRow:
    """The first release, and a bad one that took over from it healthy, live since the first day."""
    good = place.rows[family, False]
    live_one = place.rows[family, True] if bad else good
    with store.write() as db:
        for row in (good, live_one) if bad else (good,):
            pointer.save_release(db, row)
            pointer.promote(db, USE_CASE, row.version, expected=pointer.live(db, USE_CASE), cycle_id=row.cycle_id,
                            reason="benchmark", as_of=START, now=START)  # fmt: skip
        healthy = Verdict(
            USE_CASE, METRIC, good.version, START, good.cycle_id, "healthy", SATISFIED, None, None, BAD, 0, ""
        )
        save_verdicts(db, [healthy] if bad else [], START)
    return live_one


def _log(store: Store, release: ReleaseRow, history: History, until: float) -> None:
    """What the service has logged by a day."""
    asked, answered = [], []
    sent = history.sent.to_dict("records")
    for number in range(int(np.searchsorted(history.days, until, side="right"))):
        row, known = dict(sent[number]), bool(history.known[number])
        entity, at = row.pop("entity"), START + timedelta(days=float(history.days[number]))
        asked.append(
            {"id": f"p{number:06d}", "use_case": USE_CASE, "release": release.version, "entity": entity, "known": known,
             "value": float(history.predicted[number]) if known else None, "period": at, "as_of": at,
             "created_at": at, "features": json.dumps(row)}
        )  # fmt: skip
        came = at + timedelta(days=MATURITY)
        if history.days[number] + MATURITY <= until:
            answered.append({"prediction_id": f"p{number:06d}", "use_case": USE_CASE, "value": float(history.outcomes[number]),
                             "observed_at": came, "created_at": came, "logged_at": came})  # fmt: skip
    with store.write() as db:
        insert_rows(db, predictions, asked)
        db.execute(insert(outcomes), answered)


def _prepared(folder: Path) -> _Place:
    settings = Settings(
        home=folder, store_url="", tables_url="", tracking_url="none", signing_key="", trusted_keys=""
    )
    empty = folder / "empty.db"
    store = Store(f"sqlite:///{empty}")
    store.upgrade()
    store.engine.dispose()
    rows = {
        (family, bad): _release(settings, family, bad, version)
        for version, (family, bad) in enumerate(
            [("trees", False), ("trees", True), ("ridge", False), ("ridge", True)], start=1
        )
    }
    return _Place(settings, empty, rows, _contract())


def _release(settings: Settings, family: str, bad: bool, version: int) -> ReleaseRow:
    """A signed release as the deployment makes it."""
    made = champion(family, mixed_up=bad)
    winner = Winner(
        family=family, params={}, model=made.model, numeric=NUMERIC, categorical={"kind": ["a", "b", "c", "d"]},
        features=made.rows.assign(period=START), trained_until="2025-12-01", inputs={},
    )  # fmt: skip
    manifest = {"use_case": USE_CASE, "version": version, "metrics": {"mae": made.error},
                "features": {"numeric": NUMERIC, "categorical": winner.categorical}}  # fmt: skip
    path = f"releases/{version}"
    complete, digest = write_release(
        settings.artefacts / path, manifest, contents_of(winner).files, SigningKey.of(settings)
    )
    return ReleaseRow(USE_CASE, version, f"c{version:04d}", 1, path, digest, complete, START, START)


def _contract() -> Contract:
    """The practice example's, with the metric of these worlds first and all else at its default."""
    known = load_contract(ROOT / "include" / "use_cases" / "technology_radar" / "contract.yaml")
    test = {"bounds": [0, 1], "reference": SATISFIED}
    metric = Reported.model_validate(
        {
            "kind": "reported",
            "name": METRIC,
            "threshold": BAD,
            "window_periods": 1,
            "unit": "share",
            "test": test,
        }
    )
    changes = {"name": USE_CASE, "business_metrics": (metric, known.gate_metric)}
    return known.model_copy(update=changes)
