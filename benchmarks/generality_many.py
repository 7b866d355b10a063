"""A hundred registered use cases: what reading the five DAGs costs, and a monitoring pass over all of them.

Every use case is a plant of :mod:`tests.support.plant` with a signed contract, a signed release that is live, and what its
service has logged in a SQLite store; in one of twenty the model is stale, so that its check looks for a cause and raises
a loop. Both are measured in processes of their own, as Airflow starts them: files of DAGs are read by a process that has
imported Airflow, and read the five files once with all that they import, and once more; a pass is timed after its imports
and with them. The first pass sees everything for the first time, the second one an hour later sees nothing new.
"""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol

import yaml

from benchmarks.parts import WORK
from include.kreislauf.handovers import Role
from include.kreislauf.requirements.loading import contract_path, load_contract
from include.kreislauf.settings import ROOT, Settings, get_settings
from include.kreislauf.store import contracts
from include.kreislauf.store.contracts import SignOff
from include.kreislauf.store.database import Store
from tests.support.plant import END, START, history, log, plant_values, promote

STALE = 20
"""One use case of so many has a stale model."""


class Size(Protocol):
    """How much is measured."""

    @property
    def use_cases(self) -> int:
        """That are registered, each with a live release."""


def many(size: Size) -> dict[str, Any]:
    """Seconds of reading the DAGs, and of monitoring passes, over many use cases."""
    WORK.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=WORK, prefix="many-") as folder:
        settings = settings_of(Path(folder))
        register(settings, size.use_cases)
        parsed, passed = (_alone(part, settings) for part in ("parse", "passes"))
    return {
        "many": {"use_cases": size.use_cases, "parse": parsed, "passes": passed},
        "parse_seconds_100": parsed["again"], "monitor_seconds_100": passed["first"],
    }  # fmt: skip


def settings_of(home: Path) -> Settings:
    """Of an installation of its own."""
    return Settings(
        home=home, use_cases=home / "use_cases", store_url="", tables_url="", tracking_url="none", signing_key="",
        trusted_keys="",
    )  # fmt: skip


def register(settings: Settings, number: int) -> None:
    """Folders with contracts, signatures, live releases, and logs."""
    store = Store(settings.store)
    store.upgrade()
    for place in range(number):
        name = f"plant{place:03d}"
        folder = settings.use_cases / name
        folder.mkdir(parents=True)
        (folder / "contract.yaml").write_text(yaml.safe_dump(plant_values(name=name), sort_keys=False))
        contract = load_contract(contract_path(settings.use_cases, name))
        with store.write() as db:
            contracts.record_contract(db, contract, START)
            contracts.record_sign_off(db, name, contract.hash, SignOff("signed", "ada", "person"), START)
        promote(store, settings, name)
        log(store, history("nothing" if place % STALE else "stale_model", place), name)
    store.engine.dispose()


def _alone(part: str, settings: Settings) -> dict[str, Any]:
    """What a part measures in a process of its own."""
    environment = {
        **os.environ, "KREISLAUF_HOME": str(settings.home), "KREISLAUF_USE_CASES": str(settings.use_cases),
        "AIRFLOW_HOME": str(settings.home / "airflow"), "AIRFLOW__CORE__PLUGINS_FOLDER": str(ROOT / "plugins"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False", "KREISLAUF_TRACKING_URL": "none",
    }  # fmt: skip
    command = [sys.executable, "-m", "benchmarks.generality_many", part]
    done = subprocess.run(command, env=environment, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def parse() -> dict[str, Any]:
    """CPU seconds of reading the five files of DAGs."""
    importlib.import_module("airflow.sdk")
    importlib.import_module("airflow.providers.standard.operators.hitl")
    names = [f"dags.{role}" for role in Role]
    first, _ = _timed(names)
    for name in names:
        del sys.modules[name]
    again, dags = _timed(names)
    return {"first_with_imports": first, "again": again, "dags": dags}


def _timed(names: list[str]) -> tuple[float, int]:
    began = time.process_time()
    found = {importlib.import_module(name).dag.dag_id for name in names}
    return round(time.process_time() - began, 3), len(found)


def passes() -> dict[str, Any]:
    """Wall-clock and CPU seconds of two passes over all use cases."""
    began = time.perf_counter()
    from include.kreislauf.feedback.monitor import check_all, due_orders

    imports = time.perf_counter() - began
    settings = get_settings()
    store = Store(settings.store)
    found: dict[str, Any] = {"imports": round(imports, 2)}
    for name, now in (("first", END), ("second", END + timedelta(hours=1))):
        began, used = time.perf_counter(), time.process_time()
        orders = due_orders(store, settings.use_cases, name, now)
        loops, faults = check_all(orders, store=store, now=now, settings=settings)
        found[name] = round(time.perf_counter() - began, 2)
        found[f"{name}_cpu"] = round(time.process_time() - used, 2)
        found |= {"checked": len(orders), f"loops_{name}": len(loops)}
        assert not faults, faults
    return found


if __name__ == "__main__":
    print(json.dumps({"parse": parse, "passes": passes}[sys.argv[1]]()))
