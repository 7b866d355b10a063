"""Deploy: make a release of the winner, verify it, point to it by compare-and-swap, see the service answer with it."""

from __future__ import annotations

from include.kreislauf.deployment.confirmation import confirm
from include.kreislauf.deployment.promotion import promote, roll_back
from include.kreislauf.deployment.release import make_release, release_note, verify_release
from include.kreislauf.errors import ReleaseError
from include.kreislauf.evaluation.winner import load_winner
from include.kreislauf.handovers import Edge, Evidence, Loop, Reason, Stage, StepResult, WorkOrder
from include.kreislauf.requirements.contract import Contract
from include.kreislauf.settings import Settings
from include.kreislauf.store import cycles
from include.kreislauf.store.database import Store


def deploy(order: WorkOrder, contract: Contract, settings: Settings) -> StepResult:
    """Discipline 6. The live release, or the loop to data science when a release fails or was rolled back."""
    store = Store(settings.store)
    if order.started_by == f"loop/{Edge.MONITORING_TO_MLOPS}":
        return StepResult(roll_back(order, store, settings))
    winner = load_winner(settings, order.use_case, order.inputs[Stage.EVALUATION])
    try:
        row = make_release(order, winner, store, settings)
        verify_release(row, settings)
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


def _failed(order: WorkOrder, error: ReleaseError) -> Loop:
    evidence = (Evidence(name="fault", value=None, note=error.text),)
    return order.loop(Edge.MLOPS_TO_DATA_SCIENCE, Reason.RELEASE_FAILED, error.text, evidence=evidence)


def _why(order: WorkOrder, store: Store) -> str:
    """Why the cycle was opened: the reason that a promotion carries."""
    with store.read() as db:
        return cycles.get_cycle(db, order.use_case, order.cycle_id).reason
