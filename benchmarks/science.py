"""``make bench-science``: what the data scientist's part is worth on a recorded panel, and what it costs.

Each January from 2016 on, a search with what was known then; the chosen candidate is the plain mean of the best
configurations of the three best families, decided before anything is judged (equal weights: Bates and Granger, The
combination of forecasts, 1969). Each quarter it is fitted anew on what was known then. Intervals of the gain come from a
bootstrap over periods, in blocks as long as the horizon.

Writes ``benchmarks/results/science.json``. Needs the recorded panel in ``../shared/data/panel``.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
from joblib import parallel_config

from benchmarks.parts import RESULTS, machine
from benchmarks.science_replay import (
    METRIC,
    TRAINING,
    Question,
    chosen_technologies,
    features,
    of_kind,
    replay,
    splits_before,
    tried,
)
from include.kreislauf.collection.step import collect_alone
from include.kreislauf.evaluation.intervals import with_intervals
from include.kreislauf.evaluation.step import evaluate
from include.kreislauf.handovers import Handover, Stage, WorkOrder
from include.kreislauf.preparation.splits import rolling_origin
from include.kreislauf.preparation.step import prepare_alone
from include.kreislauf.requirements.loading import load_contract
from include.kreislauf.requirements.variants import recorded_variant
from include.kreislauf.settings import ROOT, Settings
from include.kreislauf.statistics.intervals import block_bootstrap_gain
from include.kreislauf.training.design import Rows
from include.kreislauf.training.final import finish
from include.kreislauf.training.search import Searched, exhaustive, search
from include.kreislauf.training.step import train

SHARED = ROOT.parent / "shared" / "data"
PANEL = SHARED / "panel" / "tech_quarter_panel.csv"
RESULT = RESULTS / "science.json"
CHOSEN = "mean"
KINDS = ("mean", "stack", *(one.family for one in TRAINING.candidates), "momentum", "drift")
GRID = 16
"""Configurations of each family in the comparison with the exhaustive grid."""
GRID_YEARS = ("2018", "2020")
COVERAGE = 0.8
TARGETS = {
    "next_quarter.mae_gain": ">= 0.08", "next_year.mae_gain": ">= 0.19", "ci": "above 0", "coverage_80": "0.75 to 0.85",
    "search_cpu_ratio_to_grid": "<= 1/3", "pipeline_seconds": "<= 60",
}  # fmt: skip


def main() -> int:
    if not PANEL.exists():
        print(
            f"skipped: {PANEL} is not there; it holds the recorded panel that this benchmark judges",
            file=sys.stderr,
        )
        return 0
    panel = pd.read_csv(PANEL, parse_dates=["quarter_start"])
    technologies = chosen_technologies(panel)
    n_jobs = joblib.cpu_count()
    print(f"{len(technologies)} technologies judged, {n_jobs} CPUs", flush=True)
    with parallel_config(backend="loky", inner_max_num_threads=1):
        quarter = judged(panel, technologies, 1, n_jobs)
        year = judged(panel, technologies, 4, n_jobs)
        searched = against_grid(panel, technologies, n_jobs)
    result = {
        "machine": machine(("scikit-learn", "numpy", "pandas", "joblib", "mlflow")), "technologies": len(technologies), "targets": TARGETS,
        "next_quarter": quarter, "next_year": year, "coverage_80": quarter["coverage"], **searched, **pipeline(),
    }  # fmt: skip
    RESULT.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(result, indent=1))
    return 0


def judged(panel: pd.DataFrame, technologies: list[str], horizon: int, n_jobs: int) -> dict[str, Any]:
    """The gains over persistence for one horizon, and the coverage of the chosen candidate's intervals."""
    print(f"horizon {horizon}", flush=True)
    frame, design = features(panel, horizon)
    predictions = replay(Rows.of(frame, design), Question(horizon), n_jobs)
    own, base = (of_kind(predictions, kind, technologies) for kind in (CHOSEN, "persistence"))
    interval = block_bootstrap_gain(_losses(own, base), METRIC.gain, 0.95, length=horizon)
    return {
        "mae_gain": round(interval.mean, 4), "ci": [round(interval.low, 4), round(interval.high, 4)],
        "mae": round(_mae(own), 5), "mae_persistence": round(_mae(base), 5), "rows": len(own),
        "periods": int(own["period"].nunique()),
        "first": f"{own['period'].min():%Y-%m-%d}", "last": f"{own['period'].max():%Y-%m-%d}",
        "coverage": round(_coverage(predictions, technologies, horizon), 4),
        "gain_by_model": {
            kind: round(1 - _mae(of_kind(predictions, kind, technologies)) / _mae(base), 4) for kind in KINDS
        },
    }  # fmt: skip


def _mae(rows: pd.DataFrame) -> float:
    return float((rows["target"] - rows["prediction"]).abs().mean())


def _losses(own: pd.DataFrame, base: pd.DataFrame) -> dict[str, tuple[list[float], list[float]]]:
    assert own[["period", "entity"]].equals(base[["period", "entity"]])
    pairs = pd.DataFrame(
        {
            "period": own["period"],
            "own": (own["target"] - own["prediction"]).abs(),
            "base": base["target"].abs(),
        }
    )
    return {
        str(period): (part["own"].tolist(), part["base"].tolist()) for period, part in pairs.groupby("period")
    }


def _coverage(predictions: pd.DataFrame, technologies: list[str], horizon: int) -> float:
    """Share of outcomes inside intervals from residuals that were known; each year is calibrated by its own search."""
    inside = []
    for _, year in predictions.groupby("year"):
        rows = year[year["model"].str.startswith(f"{CHOSEN}:") & year["entity"].isin(technologies)]
        rows = with_intervals(rows.reset_index(drop=True), COVERAGE, horizon)
        held = rows[(rows["part"] == "held_out") & np.isfinite(rows["low"])]
        inside += held["target"].between(held["low"], held["high"]).tolist()
    return float(np.mean(inside))


def against_grid(panel: pd.DataFrame, technologies: list[str], n_jobs: int) -> dict[str, Any]:
    """CPU time and quality of the search and of the exhaustive grid over the same space, in some years."""
    frame, design = features(panel, 1)
    rows = Rows.of(frame, design)
    folds = rolling_origin(rows.times, rows.blocks, 1, TRAINING.min_rows)
    cpu = {"search": 0.0, "grid": 0.0}
    errors: dict[str, list[float]] = {"search": [], "grid": []}
    for year in GRID_YEARS:
        splits = splits_before(folds, tuple(fold for fold in folds if fold.label[:4] == year), 1)
        ways: dict[str, Callable[[], dict[str, Searched]]] = {
            "search": lambda s=splits: search(rows, tried(GRID), s.search, METRIC, seed=TRAINING.seed, n_jobs=n_jobs),  # type: ignore[misc]
            "grid": lambda s=splits: exhaustive(rows, tried(GRID), s.search, METRIC, seed=TRAINING.seed, n_jobs=n_jobs),  # type: ignore[misc]
        }  # fmt: skip
        for name, way in ways.items():
            found = list(way().values())
            cpu[name] += sum(one.seconds for one in found)
            trained = finish(rows, splits, found, TRAINING, n_jobs=n_jobs)
            errors[name].append(_mae(of_kind(trained.predictions, CHOSEN, technologies)))
            print(
                f"  {year} {name}: {sum(one.seconds for one in found):.0f} s CPU, MAE {errors[name][-1]:.5f}",
                flush=True,
            )
    return {
        "search_cpu_ratio_to_grid": round(cpu["search"] / cpu["grid"], 3),
        "search_mae_ratio_to_grid": round(float(np.mean(errors["search"]) / np.mean(errors["grid"])), 4),
        "grid_configurations": GRID * len(TRAINING.candidates),
    }  # fmt: skip


def pipeline() -> dict[str, Any]:
    """Wall clock of preparation, training (tracked) and evaluation of the use case, and whether twice gives the same."""
    with tempfile.TemporaryDirectory() as home:
        first, seconds = _once(Path(home) / "first")
        second, _ = _once(Path(home) / "second")
    return {"pipeline_seconds": round(seconds, 1), "same_twice": first == second}


def _once(home: Path) -> tuple[str, float]:
    contract = load_contract(
        recorded_variant(ROOT / "include" / "use_cases" / "technology_radar", home / "use_cases")
    )
    settings = Settings(home=home, data=str(SHARED), use_cases=home / "use_cases", clock="given")
    now = datetime(2022, 1, 1, tzinfo=UTC)
    collected = collect_alone(contract, settings, as_of=now, now=now).message
    assert isinstance(collected, Handover)
    order = WorkOrder(
        use_case=contract.name, cycle_id="c0001", contract_hash=contract.hash, as_of=now, started_by="benchmark",
        inputs={Stage.COLLECTION: collected.output},
    )  # fmt: skip
    started = time.monotonic()
    prepared = prepare_alone(contract, settings, as_of=now, now=now, raw_version=collected.output).message
    assert isinstance(prepared, Handover)
    trained = train(order.after(prepared), contract, settings).message
    assert isinstance(trained, Handover)
    judged = evaluate(order.after(prepared).after(trained), contract, settings)
    seconds = time.monotonic() - started
    print(f"  pipeline: {seconds:.1f} s, {judged.message.kind}", flush=True)
    return f"{trained.output}\n{json.dumps(judged.message.model_dump(mode='json'), sort_keys=True)}", seconds


if __name__ == "__main__":
    sys.exit(main())
