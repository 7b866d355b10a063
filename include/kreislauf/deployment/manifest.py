"""What a release says of itself: what it was made from, by which code, who approved it, what goes in and comes out."""

from __future__ import annotations

import importlib.metadata
import platform
from typing import Any

from sqlalchemy import Connection

from include.kreislauf.deployment.contents import Contents
from include.kreislauf.evaluation.winner import SEPARATOR, Winner
from include.kreislauf.handovers import Handover, Stage, WorkOrder
from include.kreislauf.inference.problem import ServedProblem
from include.kreislauf.inference.served import MAX_TEXT, MISSING
from include.kreislauf.settings import Settings
from include.kreislauf.store import contracts, messages
from include.kreislauf.store.database import Store

LIBRARIES = ("scikit-learn", "numpy", "pandas", "treelite")
DRAFT = "https://json-schema.org/draft/2020-12/schema"


def manifest_of(
    order: WorkOrder, winner: Winner, contents: Contents, version: int, store: Store, settings: Settings
) -> dict[str, Any]:
    """The manifest but for the files' hashes; the same for the same winner."""
    chosen = order.inputs[Stage.EVALUATION]
    with store.read() as db:
        evaluated = messages.find_handover_of(db, order.use_case, Stage.EVALUATION, chosen)
        trained = messages.find_handover_of(db, order.use_case, Stage.TRAINING, winner.inputs["candidates"])
        approver = _approver(db, order.use_case, order.contract_hash)
    return {
        "use_case": order.use_case, "version": version, "cycle_id": order.cycle_id, "attempt": order.attempt,
        "contract_hash": order.contract_hash, "approver": approver, "as_of": order.as_of.isoformat(),
        "inputs": winner.inputs, "code_version": settings.code, "libraries": libraries(),
        "mlflow": _tracked(trained, chosen.partition(SEPARATOR)[2]),
        "family": winner.family, "params": winner.params, "trained_until": winner.trained_until,
        "features": {"numeric": winner.numeric, "categorical": winner.categorical}, "entities": contents.entities,
        "engine": contents.engine, "problem": contents.problem.to_dict(),
        "schemas": schemas(winner, contents.problem),
        "metrics": _part(evaluated, "metrics"), "interval": _part(evaluated, "prediction_interval"),
        "decision": str(evaluated.summary.get("decision", "")) if evaluated else "",
    }  # fmt: skip


def libraries() -> dict[str, str]:
    """Versions of what computes a prediction."""
    found = {name: importlib.metadata.version(name) for name in LIBRARIES}
    return {"python": platform.python_version(), **found}


def schemas(winner: Winner, problem: ServedProblem) -> dict[str, Any]:
    """JSON Schemas of one row's features, as the service takes them, and of its answer."""
    gaps = problem.may_be_missing
    numbers = {name: {"type": ["number", "null"] if name in gaps else "number"} for name in winner.numeric}
    texts = {name: _text(seen) for name, seen in winner.categorical.items()}
    return {"input": _object({**numbers, **texts}), "output": _object(_answer(problem))}


def _text(seen: list[str]) -> dict[str, Any]:
    kind = ["string", "null"] if MISSING in seen else "string"
    return {"type": kind, "minLength": 1, "maxLength": MAX_TEXT, "examples": seen[:5]}


def _answer(problem: ServedProblem) -> dict[str, Any]:
    value: dict[str, Any] = {"value": {"type": "number"}}
    if not problem.classes:
        return value
    shares = {name: {"type": "number", "minimum": 0, "maximum": 1} for name in problem.classes}
    actions = problem.decision.names if problem.decision else [None]
    return {**value, "label": {"enum": list(problem.classes)}, "probabilities": _object(shares),
            "action": {"enum": list(actions)}}  # fmt: skip


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    return {"$schema": DRAFT, "type": "object", "properties": properties, "required": list(properties),
            "additionalProperties": False}  # fmt: skip


def _approver(db: Connection, use_case: str, contract_hash: str) -> dict[str, str]:
    """Who signed the contract that this release fulfils; empty: nobody has (a release made alone)."""
    found = contracts.sign_off_of(db, use_case, contract_hash)
    return {"by": found.by, "how": found.how} if found and found.decision == "signed" else {}


def _tracked(trained: Handover | None, candidate: str) -> dict[str, str]:
    """The MLflow runs of the candidate and of its training; empty where nothing was tracked."""
    tracking = _part(trained, "tracking")
    run = (tracking.get("runs") or {}).get(candidate)
    return {"run": str(run), "training": str(tracking.get("parent", ""))} if run else {}


def _part(handover: Handover | None, name: str) -> dict[str, Any]:
    """A part of what was handed over that has parts itself."""
    found = handover.summary.get(name) if handover else None
    return dict(found) if isinstance(found, dict) else {}
