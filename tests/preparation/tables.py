"""Contracts of tables without code, for the tests of collection and preparation."""

from __future__ import annotations

from typing import Any

from include.kreislauf.requirements.contract import Contract

MEASURES = {"regression": "absolute_error", "binary": "hit", "multiclass": "hit"}


def table_contract(
    columns: dict[str, Any],
    problem: dict[str, Any],
    *,
    name: str = "table",
    url: str = "{data}/table.csv",
    **more: Any,
) -> Contract:
    """A contract whose features are its columns, given by type (``number``), or as in a contract.

    Parameters
    ----------
    problem: ``kind`` is regression, and requests bring the features, unless it says otherwise.
    """
    problem = {"kind": "regression", "requests": "features", **problem}
    regression = problem["kind"] == "regression"
    declared = {name: {"type": one} if isinstance(one, str) else one for name, one in columns.items()}
    outcome = {
        "kind": "outcomes", "name": "quality", "measure": MEASURES[problem["kind"]], "gate_threshold": 0.5, "direction": "lower" if regression else "higher",
        "threshold": 0.5, "test": {"bounds": [0.0, 1000.0] if regression else [0.0, 1.0]},
    }  # fmt: skip
    return Contract.model_validate({
        "version": 1, "name": name, "title": "A table", "purpose": "A test.", "owner": "tests", "sign_off": "automatic",
        "problem": problem,
        "sources": [{"kind": "table", "name": "rows", "url": url, "columns": declared}],
        "training": {"candidates": [{"family": "ridge" if regression else "logistic"}]},
        "performance": {"metric": "mae" if regression else "log_loss", "baseline": "prior", "min_gain": 0.0},
        "business_metrics": [outcome],
        "governor": {"cool_down_days": 1, "max_hops": 2},
        **more,
    })  # fmt: skip
