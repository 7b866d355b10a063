"""Deploy: make a release of the winner, verify it, point to it by compare-and-swap, see the service answer with it."""

from __future__ import annotations

import json
import platform
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import sklearn

from include.kreislauf.deployment.confirmation import confirm
from include.kreislauf.errors import ReleaseError
from include.kreislauf.evaluation.winner import Winner, load_winner
from include.kreislauf.handovers import Edge, Evidence, Handover, Loop, Reason, Stage, StepResult, WorkOrder
from include.kreislauf.requirements.contract import Contract
from include.kreislauf.settings import Settings
from include.kreislauf.store import cycles, live, messages, release_files
from include.kreislauf.store.database import Store
from include.kreislauf.store.live import ReleaseRow

GOLDEN_ROWS = 20
MAX_SWAPS = 5


def deploy(order: WorkOrder, contract: Contract, settings: Settings) -> StepResult:
    """Discipline 6. The live release, or the loop to data science when a release fails or was rolled back."""
    store = Store(settings.store)
    if order.started_by == f"loop/{Edge.MONITORING_TO_MLOPS}":
        return StepResult(roll_back(order, store, settings))
    winner = load_winner(settings, order.use_case, order.inputs[Stage.EVALUATION])
    try:
        row = make_release(order, winner, store, settings)
        release_files.load_release(Path(row.path), row.digest).check_golden()
    except ReleaseError as error:
        return StepResult(_failed(order, error))
    previous = promote(store, row, order, _why(order, store), settings)
    answered = confirm(settings.service_url, row.use_case, row.version)
    summary = {"version": row.version, "previous": previous, "family": winner.family,
               "metrics": row.manifest["metrics"], "service": answered}  # fmt: skip
    handover = order.handover(
        Stage.DEPLOYMENT, code_version=settings.code, output=str(row.version), summary=dict(summary)
    )
    return StepResult(handover, document=release_note(contract, handover))


def make_release(order: WorkOrder, winner: Winner, store: Store, settings: Settings) -> ReleaseRow:
    """Write the release of an attempt, or find the one it made before; its row in the store comes last."""
    for _ in range(MAX_SWAPS):
        with store.read() as db:
            known = live.release_of(db, order.use_case, order.cycle_id, order.attempt)
            version = live.next_version(db, order.use_case)
        if known:
            return known
        path = (
            settings.artefacts
            / "releases"
            / order.use_case
            / f"{version:04d}-{order.cycle_id}-{order.attempt}"
        )
        manifest, digest = release_files.write_release(
            path, _manifest(order, winner, version, store), _files(winner)
        )
        row = ReleaseRow(
            use_case=order.use_case, version=version, cycle_id=order.cycle_id, attempt=order.attempt,
            path=str(path), digest=digest, manifest=manifest, as_of=order.as_of, created_at=settings.now(),
        )  # fmt: skip
        with store.write() as db:
            if live.save_release(db, row):
                return row
    raise ReleaseError("no free version number", where=order.use_case, next_step="clear the task")


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
        path, _manifest(order, winner, 0, Store(settings.store)), _files(winner)
    )
    release_files.load_release(path, digest).check_golden()
    summary: dict[str, Any] = {
        "family": winner.family,
        "trained_until": winner.trained_until,
        "digest": digest,
    }
    return path, release_note(
        contract,
        order.handover(Stage.DEPLOYMENT, code_version=settings.code, output="alone", summary=summary),
    )


def promote(store: Store, row: ReleaseRow, order: WorkOrder, reason: str, settings: Settings) -> int | None:
    """Make a release the live one; returns the version before it. Does nothing when it is live already.

    Raises
    ------
    ReleaseError: others changed the pointer again and again.
    """
    for _ in range(MAX_SWAPS):
        with store.write() as db:
            before = live.live(db, row.use_case)
            if before and before.version == row.version:
                return _before(live.promotions_of(db, row.use_case))
            if live.promote(
                db, row.use_case, row.version, expected=before, cycle_id=order.cycle_id, reason=reason,
                as_of=order.as_of, now=settings.now(),
            ):  # fmt: skip
                return before.version if before else None
    raise ReleaseError("the live release was changed by others meanwhile", where=row.use_case,
                       next_step="look at the promotions, then clear the task")  # fmt: skip


def roll_back(order: WorkOrder, store: Store, settings: Settings) -> Handover | Loop:
    """Point back to the release that was live before, then ask data science for a better one."""
    with store.read() as db:
        changes = live.promotions_of(db, order.use_case)
        # a repeated task must not flip it again
        done = bool(changes) and changes[-1].cycle_id == order.cycle_id
        wanted = changes[-1].version if done else _before(changes)
        row = live.find_release(db, order.use_case, wanted) if wanted else None
    if row is None:
        text = "nothing to roll back to: there was no release before"
    else:
        promote(store, row, order, f"rolled back: {order.reason}", settings)
        text = f"rolled back to release {row.version}: {order.reason}"
    evidence = (Evidence(name="release", value=float(row.version) if row else None, note=text),)
    return order.loop(Edge.MLOPS_TO_DATA_SCIENCE, Reason.ROLLED_BACK, text, evidence=evidence)


def _before(changes: Sequence[Any]) -> int | None:
    """The version that the live one took over from; never one that was rolled back in favour of the live one."""
    if not changes:
        return None
    first = next(one for one in changes if one.version == changes[-1].version)
    previous: int | None = first.previous
    return previous


def _failed(order: WorkOrder, error: ReleaseError) -> Loop:
    evidence = (Evidence(name="fault", value=None, note=error.text),)
    return order.loop(Edge.MLOPS_TO_DATA_SCIENCE, Reason.RELEASE_FAILED, error.text, evidence=evidence)


def _manifest(order: WorkOrder, winner: Winner, version: int, store: Store) -> dict[str, Any]:
    return {
        "use_case": order.use_case, "version": version, "cycle_id": order.cycle_id, "attempt": order.attempt,
        "contract_hash": order.contract_hash, "as_of": order.as_of.isoformat(), "inputs": winner.inputs,
        "family": winner.family, "params": winner.params, **_evaluated(order, store),
        "features": {"numeric": winner.numeric, "categorical": winner.categorical},
        "trained_until": winner.trained_until,
        "libraries": {"python": platform.python_version(), "scikit-learn": sklearn.__version__, "pandas": pd.__version__},
    }  # fmt: skip


def _why(order: WorkOrder, store: Store) -> str:
    """Why the cycle was opened: the reason that a promotion carries."""
    with store.read() as db:
        return cycles.get_cycle(db, order.use_case, order.cycle_id).reason


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
