"""Use cases for tests: the practice example over a recorded panel, made light, with whatever a test wants different."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import yaml

from include.kreislauf.requirements.contract import Contract
from include.kreislauf.requirements.loading import contract_path, load_contract
from include.kreislauf.settings import ROOT

EXAMPLE = ROOT / "include" / "use_cases" / "technology_radar"
LIGHT: dict[str, Any] = {
    "sign_off": "automatic",
    "delivery": {"approval": "none"},
    "training": {"candidates": [{"family": "ridge"}], "held_out_periods": 4, "seed": 7},
    "governor": {"cool_down_days": 150, "max_hops": 4, "cycle_timeout_hours": 6, "help_periods": 2},
}


def write_use_case(folder: Path, name: str = "radar", **changes: Any) -> Contract:
    """Write a use case; ``changes`` replace the contract's fields, inside a section only those named."""
    (folder / name).mkdir(parents=True, exist_ok=True)
    shutil.copy(EXAMPLE / "features.py", folder / name)
    recorded = yaml.safe_load((EXAMPLE / "recorded.yaml").read_text())
    values = yaml.safe_load((EXAMPLE / "contract.yaml").read_text()) | recorded | {"name": name} | LIGHT
    for field, value in changes.items():
        values[field] = {**values.get(field, {}), **value} if isinstance(value, dict) else value
    (folder / name / "contract.yaml").write_text(
        yaml.safe_dump(json.loads(json.dumps(values)), sort_keys=False)
    )
    return load_contract(contract_path(folder, name))
