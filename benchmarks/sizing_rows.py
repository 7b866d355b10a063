"""What a cycle costs by the rows of its table: CPU seconds, memory, and the bytes that stay.

A regression table of ten numbers and two categories, of the same contract at each size, goes through collection,
preparation, training, evaluation and the making of a release, tracked by MLflow. Each discipline is a process of its own
that first imports what Airflow's task does, with one fit at a time: so its CPU time and its memory are whole.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol

import numpy as np
import pandas as pd
from joblib import Parallel, delayed

from benchmarks.parts import WORK
from benchmarks.sizing_parts import kept, slope
from include.kreislauf.handovers import Handover, PersonAnswer, Stage, WorkOrder
from include.kreislauf.requirements.loading import contract_path, load_contract
from include.kreislauf.settings import ROOT, Settings, get_settings
from include.kreislauf.store import contracts, cycles, messages
from include.kreislauf.store.contracts import SignOff
from include.kreislauf.store.cycles import State
from include.kreislauf.store.database import Store
from include.kreislauf.training.parallel import workers

NAME, BY = "sized", "benchmark"
DRAFTED = 1_000
"""Rows of the table that the contract is drafted from."""
FOLDERS = ("tables", "artefacts", "mlflow-artefacts")
DAGS: Mapping[Stage, str] = {
    Stage.COLLECTION: "data_engineering", Stage.PREPARATION: "data_science", Stage.TRAINING: "data_science",
    Stage.EVALUATION: "data_science", Stage.DEPLOYMENT: "mlops",
}  # fmt: skip


class Size(Protocol):
    """How much is measured."""

    @property
    def rows(self) -> Sequence[int]:
        """Of the tables."""


def rows(size: Size) -> dict[str, Any]:
    """By number of rows what each discipline takes, and what one more thousand rows costs."""
    WORK.mkdir(parents=True, exist_ok=True)
    by_rows = {number: _measured(number) for number in size.rows}
    return {"rows": {str(number): found for number, found in by_rows.items()}, "row_slopes": slopes(by_rows)}


def slopes(by_rows: Mapping[int, dict[str, Any]]) -> dict[str, Any]:
    """What one thousand rows more cost, of the least-squares lines through all sizes."""

    def of(name: str, stage: Stage) -> float:
        return slope({number / 1000: one["disciplines"][stage][name] for number, one in by_rows.items()})

    return {
        "cpu_seconds": {str(stage): of("cpu_seconds", stage) for stage in DAGS},
        "peak_mib": {str(stage): of("peak_mib", stage) for stage in DAGS},
        "tables_bytes": slope({number / 1000: one["bytes"]["tables"] for number, one in by_rows.items()}),
    }


def table(number: int) -> pd.DataFrame:
    """Rows of which a model can learn something, and not all."""
    draw = np.random.default_rng(0)
    numbers = draw.normal(size=(number, 10)).round(4)
    kinds = draw.integers(0, 6, (number, 2))
    frame = pd.DataFrame(numbers, columns=[f"n{place}" for place in range(10)])
    frame["shape"], frame["colour"] = ([f"k{one}" for one in column] for column in kinds.T)
    signal = numbers @ np.linspace(0, 2, 10) + 3 * np.sin(2 * numbers[:, 9]) + kinds.sum(axis=1)
    frame["target"] = (signal + draw.normal(scale=2, size=number)).round(4)
    return frame


def fits(_size: object = None) -> dict[str, Any]:
    """MiB of a process that makes fits for a training, beside the task's own; what the rows add comes on top."""
    with workers(Settings(training_jobs=2)) as n_jobs:
        return {
            "fit_process_mib": max(Parallel(n_jobs=n_jobs)(delayed(_fitting_mib)() for _ in range(n_jobs)))
        }


def _fitting_mib() -> int:
    import_module("include.kreislauf.training.step")
    import_module("sklearn.ensemble")
    return _peak_mib()


def _measured(number: int) -> dict[str, Any]:
    with TemporaryDirectory(dir=WORK, prefix="rows-") as folder:
        home = Path(folder)
        environment = _environment(home)
        table(DRAFTED).to_csv(home / "table.csv", index=False)
        _draft(home, environment)
        table(number).to_csv(home / "table.csv", index=False)
        found = {stage: _run(stage, environment) for stage in DAGS}
        sizes = kept(home / "run")
        return {
            "csv_bytes": (home / "table.csv").stat().st_size, "disciplines": found,
            "bytes": {name: sizes[name] for name in FOLDERS},
        }  # fmt: skip


def _environment(home: Path) -> dict[str, str]:
    return {
        **os.environ, "KREISLAUF_HOME": str(home / "run"), "KREISLAUF_USE_CASES": str(home / "use_cases"),
        "KREISLAUF_DATA": str(home), "KREISLAUF_TRAINING_JOBS": "1", "AIRFLOW_HOME": str(home / "airflow"),
        "MLFLOW_DISABLE_TELEMETRY": "true", "OMP_NUM_THREADS": "1", "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
    }  # fmt: skip


def _draft(home: Path, environment: dict[str, str]) -> None:
    (home / "use_cases").mkdir()
    command = [
        sys.executable, "-m", "include.kreislauf", "new-use-case", NAME, "--data", str(home / "table.csv"), "--target",
        "target", "--purpose", "Size it.", "--owner", BY, "--sign-off", "automatic", "--yes",
    ]  # fmt: skip
    subprocess.run(command, env=environment, cwd=ROOT, check=True, capture_output=True)
    _run("opened", environment)


def _run(part: str, environment: dict[str, str]) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.sizing_rows", part]
    done = subprocess.run(command, env=environment, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def opened() -> dict[str, Any]:
    """Sign the contract and open the cycle; what its first discipline is ordered to do is kept beside the store."""
    settings = get_settings()
    contract = load_contract(contract_path(settings.use_cases, NAME))
    store, now = Store(settings.store), settings.now()
    store.upgrade()
    with store.write() as db:
        contracts.record_contract(db, contract, now)
        contracts.record_sign_off(db, NAME, contract.hash, SignOff("signed", BY, "person"), now)
        cycle = cycles.open_cycle(db, NAME, origin=BY, started_by=BY, reason="sized", as_of=now, now=now)
        cycles.set_state(db, cycle, State.ACTIVE, now)
    order = WorkOrder(
        use_case=NAME, cycle_id=cycle.cycle_id, contract_hash=contract.hash, as_of=now, run_id="sized", started_by=BY
    )  # fmt: skip
    _order(settings).write_text(order.model_dump_json())
    return {}


def discipline(stage: Stage) -> dict[str, Any]:
    """Do the work of a discipline, as an Airflow task does; CPU seconds and MiB of it and of its imports."""
    import_module("airflow.sdk.execution_time.task_runner")
    import_module(f"dags.{DAGS[stage]}")
    settings = get_settings()
    step = _step(stage)
    imports, base = time.process_time(), _peak_mib()
    order = WorkOrder.model_validate_json(_order(settings).read_text())
    message = step(order, load_contract(contract_path(settings.use_cases, NAME)), settings)
    if isinstance(message, Handover):
        _order(settings).write_text(order.after(message).model_dump_json())
    return {
        "cpu_seconds": round(time.process_time() - imports, 2), "imports_cpu_seconds": round(imports, 2),
        "imported_mib": base, "peak_mib": _peak_mib(),
    }  # fmt: skip


def _step(stage: Stage) -> Any:
    """What does a discipline's work and gives its message."""
    if stage is Stage.DEPLOYMENT:
        from include.kreislauf.deployment.release import release_alone

        return lambda order, contract, settings: release_alone(
            order, contract, settings, order.inputs[Stage.EVALUATION]
        )
    from include.kreislauf.replay.ring import STEPS

    answer = {"answer": PersonAnswer(genuine=True, by=BY)} if stage is Stage.EVALUATION else {}
    return partial(_handed_over, partial(STEPS[stage], **answer))


def _handed_over(step: Any, order: WorkOrder, contract: Any, settings: Settings) -> Handover:
    result = step(order, contract, settings)
    if not isinstance(result.message, Handover):
        raise RuntimeError(f"not handed over: {result.message.text}")
    with Store(settings.store).write() as db:
        messages.save_handover(db, result.message, result.document, datetime.now(UTC))
    return result.message


def _order(settings: Settings) -> Path:
    return settings.home.parent / "order.json"


def _peak_mib() -> int:
    """The most memory that this process has had so far."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) >> 10 for line in lines if line.startswith("VmHWM:"))


if __name__ == "__main__":
    print(json.dumps(opened() if sys.argv[1] == "opened" else discipline(Stage(sys.argv[1]))))
