"""A release of an evaluation's winner: its files, its manifest, and the note that people read."""

from __future__ import annotations

import json
import platform
from pathlib import Path
from typing import Any

import pandas as pd
import sklearn

from include.kreislauf.errors import ReleaseError
from include.kreislauf.evaluation.winner import Winner, load_winner
from include.kreislauf.handovers import Handover, Stage, WorkOrder
from include.kreislauf.requirements.contract import Contract
from include.kreislauf.settings import Settings
from include.kreislauf.store import live, messages, release_files
from include.kreislauf.store.database import Store
from include.kreislauf.store.live import ReleaseRow
from include.kreislauf.store.signing import SigningKey, TrustedKeys

GOLDEN_ROWS = 20
MAX_NUMBERS = 5
"""How often a version number is taken anew when another process took it first."""


def make_release(order: WorkOrder, winner: Winner, store: Store, settings: Settings) -> ReleaseRow:
    """Write the release of an attempt, or find the one it made before; its row in the store comes last."""
    key = SigningKey.of(settings)
    for _ in range(MAX_NUMBERS):
        with store.read() as db:
            known = live.release_of(db, order.use_case, order.cycle_id, order.attempt)
            version = live.next_version(db, order.use_case)
        if known:
            return known
        path = f"releases/{order.use_case}/{version:04d}-{order.cycle_id}-{order.attempt}"
        manifest, digest = release_files.write_release(
            settings.artefacts / path, _manifest(order, winner, version, store), _files(winner), key
        )
        row = ReleaseRow(
            use_case=order.use_case, version=version, cycle_id=order.cycle_id, attempt=order.attempt,
            path=path, digest=digest, manifest=manifest, as_of=order.as_of, created_at=settings.now(),
        )  # fmt: skip
        with store.write() as db:
            if live.save_release(db, row):
                return row
    raise ReleaseError("no free version number", where=order.use_case, next_step="clear the task")


def verify_release(row: ReleaseRow, settings: Settings) -> None:
    """Load a release as the service does, and compare its golden rows.

    Raises
    ------
    ReleaseError: it cannot be believed, or does not answer as the model did when it was made.
    """
    release_files.load_row(settings, row).check_golden()


def release_alone(order: WorkOrder, contract: Contract, settings: Settings, version: str) -> tuple[Path, str]:
    """A release of a winner, written and verified, and neither recorded nor live; its folder and its note.

    Raises
    ------
    ReleaseError: the winner is not among the candidates, or the release does not answer as the model did.
    TrainingError: the training's files are missing or were changed.
    """
    winner = load_winner(settings, order.use_case, version)
    order = order.model_copy(update={"inputs": {Stage.EVALUATION: version}})
    path = settings.artefacts / "releases-alone" / order.use_case / order.cycle_id
    _, digest = release_files.write_release(
        path, _manifest(order, winner, 0, Store(settings.store)), _files(winner), SigningKey.of(settings)
    )
    keys = TrustedKeys.of(settings)
    release_files.load_release(path, digest, keys, use_case=order.use_case, version=0).check_golden()
    summary: dict[str, Any] = {
        "family": winner.family,
        "trained_until": winner.trained_until,
        "digest": digest,
    }
    return path, release_note(
        contract,
        order.handover(Stage.DEPLOYMENT, code_version=settings.code, output="alone", summary=summary),
    )


def _manifest(order: WorkOrder, winner: Winner, version: int, store: Store) -> dict[str, Any]:
    return {
        "use_case": order.use_case, "version": version, "cycle_id": order.cycle_id, "attempt": order.attempt,
        "contract_hash": order.contract_hash, "as_of": order.as_of.isoformat(), "inputs": winner.inputs,
        "family": winner.family, "params": winner.params, **_evaluated(order, store),
        "features": {"numeric": winner.numeric, "categorical": winner.categorical},
        "trained_until": winner.trained_until,
        "libraries": {"python": platform.python_version(), "scikit-learn": sklearn.__version__, "pandas": pd.__version__},
    }  # fmt: skip


def _evaluated(order: WorkOrder, store: Store) -> dict[str, Any]:
    """What the evaluation handed over with the winner: its numbers, and the interval around its predictions."""
    with store.read() as db:
        evaluated = messages.find_handover_of(
            db, order.use_case, Stage.EVALUATION, order.inputs[Stage.EVALUATION]
        )
    summary = evaluated.summary if evaluated else {}
    metrics, interval = summary.get("metrics"), summary.get("prediction_interval")
    return {
        "metrics": dict(metrics) if isinstance(metrics, dict) else {},
        "interval": dict(interval) if isinstance(interval, dict) else {},
    }


def _files(winner: Winner) -> dict[str, bytes]:
    columns = [*winner.numeric, *winner.categorical]
    newest = winner.features.sort_values("period").groupby("entity").tail(1).set_index("entity")
    rows = newest[columns].head(GOLDEN_ROWS)
    golden = {
        "rows": rows.to_dict("records"),
        "outputs": [float(value) for value in winner.model.predict(rows)],
    }
    snapshot = {str(entity): row for entity, row in newest[columns].to_dict("index").items()}
    return {
        release_files.MODEL: release_files.dump_model(winner.model),
        release_files.SNAPSHOT: _json(snapshot),
        release_files.GOLDEN: _json(golden),
    }


def _json(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, ensure_ascii=False, allow_nan=False).encode()


def release_note(contract: Contract, handover: Handover) -> str:
    """What changed against the release before, for the people who run it."""
    summary = handover.summary
    lines = "\n".join(f"- {name}: {value}" for name, value in summary.items())
    return f"# Release {handover.output}: {contract.title}\n\nCycle `{handover.cycle_id}`.\n\n{lines}\n"
