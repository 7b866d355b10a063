"""What Airflow adds to a cycle: CPU seconds by component, rows and bytes of its database, memory of processes.

Canaries go through the ring of a real embedded stack: their own work is next to nothing, so nearly all is Airflow's. A
first one warms everything up. What the components take when nothing happens is measured for a while, and taken off. The
task processes of the scheduler's LocalExecutor are weighed while they run, and the processes that watch over them.
"""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import time
from collections.abc import Mapping
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from benchmarks.parts import ENVIRONMENT, WORK
from benchmarks.service_servers import family
from benchmarks.sizing_history import rows_by_table
from include.kreislauf.embedded.airflow_api import AirflowApi
from include.kreislauf.embedded.stack import EmbeddedStack
from include.kreislauf.handovers import Role
from include.kreislauf.settings import ROOT
from include.kreislauf.store.database import Store

TICKS = os.sysconf("SC_CLK_TCK")
TASK = "airflow worker -- "
SUPERVISOR = f"{TASK}LocalExecutor"
PAUSE = 0.2


class Size(Protocol):
    """How much is measured."""

    @property
    def canaries(self) -> int:
        """That go through the ring, after the first."""

    @property
    def idle_seconds(self) -> int:
        """For which nothing happens."""


def airflow(size: Size) -> dict[str, Any]:
    """What a cycle of the canary adds to Airflow, and what runs when nothing happens."""
    home = WORK / "airflow"
    shutil.rmtree(home, ignore_errors=True)
    env = {**ENVIRONMENT, "KREISLAUF_HOME": str(home / "run"), "KREISLAUF_CANARY": "true",
           "KREISLAUF_USE_CASES": str(home / "use_cases"), "KREISLAUF_DELIVERY_INTERVAL": "1"}  # fmt: skip
    (home / "use_cases").mkdir(parents=True)
    (home / "run").mkdir()
    Store(f"sqlite:///{home / 'run' / 'kreislauf.db'}").upgrade()
    with EmbeddedStack(home / "stack", ROOT, env=env, with_triggerer=True, start_timeout=240) as stack:
        stack.wait_for_dags([*map(str, Role), "canary"])
        with stack.api() as api:
            found = _watched(home / "stack", api, size)
    shutil.rmtree(home, ignore_errors=True)
    return {"airflow": found}


def _watched(home: Path, api: AirflowApi, size: Size) -> dict[str, Any]:
    watch = _Watch(home)
    watch.canary(api)
    idle = watch.during(lambda: time.sleep(size.idle_seconds))
    rows, weight = rows_by_table(watch.database), watch.bytes()
    busy = watch.during(lambda: [watch.canary(api) for _ in range(size.canaries)])
    after = rows_by_table(watch.database)
    per_second = {name: cpu / idle.seconds for name, cpu in idle.cpu.items()}
    runs = after["dag_run"] - rows["dag_run"]
    added = {name: after[name] - rows.get(name, 0) for name in after}
    return {
        "canaries": size.canaries,
        "runs_per_cycle": round(runs / size.canaries, 1),
        "tasks_per_cycle": round(added["task_instance"] / size.canaries, 1),
        "cpu_seconds_per_cycle": {
            name: round((cpu - per_second[name] * busy.seconds) / size.canaries, 2)
            for name, cpu in busy.cpu.items()
        },
        "idle_cpu_share": {name: round(share, 4) for name, share in per_second.items()},
        "database_bytes_per_cycle": round((watch.bytes() - weight) / size.canaries),
        "database_rows_per_cycle": round(sum(added.values()) / size.canaries),
        "mib": watch.components(),
        "task_mib": watch.largest,
    }


@dataclass(frozen=True)
class _Used:
    seconds: float
    cpu: Mapping[str, float]


@dataclass
class _Watch:
    """Looks at the processes of a stack.

    Parameters
    ----------
    largest: the most memory that a task's processes had so far, in MiB, shared pages counted in proportion.
    """

    home: Path
    largest: dict[str, int] = field(default_factory=lambda: {"task": 0, "supervisor": 0})

    @property
    def database(self) -> Path:
        """Airflow's."""
        return self.home / "airflow" / "airflow.db"

    @property
    def pids(self) -> dict[str, int]:
        """Of the components."""
        found: dict[str, int] = json.loads((self.home / "stack.json").read_text())["pids"]
        return found

    def canary(self, api: AirflowApi) -> None:
        """Send one round the ring; look at the tasks meanwhile."""
        run_id = api.trigger("canary")["dag_run_id"]
        while (run := api.run("canary", run_id))["state"] in ("queued", "running"):
            self._look()
            time.sleep(PAUSE)
        if run["state"] != "success":
            raise RuntimeError(f"the canary did not come through: {run}")

    def during(self, work: Any) -> _Used:
        """What the components take while something is done."""
        since, before = time.monotonic(), self._cpu()
        work()
        after = self._cpu()
        return _Used(time.monotonic() - since, {name: after[name] - before[name] for name in before})

    def components(self) -> dict[str, int]:
        """Memory of the components, in MiB, with what they have started."""
        return {name: sum(_pss(one) for one in family(pid)) for name, pid in self.pids.items()}

    def bytes(self) -> int:
        """Of Airflow's database, without free pages."""
        with closing(sqlite3.connect(f"file:{self.database}?mode=ro", uri=True)) as db:
            pages, free, size = (
                db.execute(f"PRAGMA {name}").fetchone()[0]
                for name in ("page_count", "freelist_count", "page_size")
            )
        return int((pages - free) * size)

    def _look(self) -> None:
        for pid in family(self.pids["scheduler"]):
            with suppress(OSError):
                name = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace")
                if name.startswith(TASK):
                    kind = "supervisor" if name.startswith(SUPERVISOR) else "task"
                    self.largest[kind] = max(self.largest[kind], _pss(pid))

    def _cpu(self) -> dict[str, float]:
        return {name: sum(_whole_cpu(one) for one in family(pid)) for name, pid in self.pids.items()}


def _whole_cpu(pid: int) -> float:
    """CPU seconds of a process, and of those that it has started and that have ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return sum(map(int, fields[11:15])) / TICKS


def _pss(pid: int) -> int:
    """MiB of a process, shared pages counted in proportion."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) >> 10 for line in lines if line.startswith("Pss:")), 0)
