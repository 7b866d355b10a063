"""The peers of ``make bench-service``, each in an environment of its own that is made once."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

from benchmarks.service_servers import PYTHON, ROOT, Rows, Server

PINNED = {"mlflow": "3.17.2", "bentoml": "1.4.40", "litserve": "0.2.19"}
SAME = ("scikit-learn", "pandas", "numpy", "joblib", "scipy")
"""Libraries that every environment has in this one's version, so that all serve the same model equally fast."""
COMPILED = ("treelite", "msgspec", "pydantic", "pydantic-settings")
QUIET = {
    "BENTOML_DO_NOT_TRACK": "True", "MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "1",
    "LITSERVE_DISABLE_TELEMETRY": "1", "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false", "OMP_NUM_THREADS": "1",
    "PYTHONPATH": str(ROOT),
}  # fmt: skip
"""One thread for each, which is what a single row is predicted fastest with."""


def environment(name: str, folder: Path) -> Path:
    """The Python of a peer; its environment is made when it is not there."""
    home = folder / f"{name}-{PINNED[name]}"
    if not (home / "done").exists():
        print(f"installing {name} {PINNED[name]}", flush=True)
        uv = str(Path(sys.executable).parent / "uv")
        wanted = [f"{name}=={PINNED[name]}", *(f"{one}=={version(one)}" for one in (*SAME, *COMPILED))]
        subprocess.run([uv, "venv", "--quiet", "--clear", "--python", PYTHON, str(home)], check=True)
        python = str(home / "bin" / "python")
        subprocess.run([uv, "pip", "install", "--quiet", "--compile-bytecode", "--python", python, *wanted], check=True)  # fmt: skip
        (home / "done").touch()
    return home / "bin" / "python"


def mlflow(folder: Path, model: Path) -> Server:
    """``mlflow models serve`` with one worker."""
    python = environment("mlflow", folder)
    command = [
        str(python), "-m", "mlflow", "models", "serve", "--env-manager", "local", "--workers", "1", "--host",
        "127.0.0.1", "--port", "{port}", "--model-uri", str(model / "mlflow"),
    ]  # fmt: skip
    return Server(
        "mlflow", command, "/invocations", lambda rows: {"dataframe_records": rows},
        lambda answer: answer["predictions"], "/ping",
        environment={**QUIET, "PATH": f"{python.parent}:/usr/bin:/bin"},
    )  # fmt: skip


def bentoml(folder: Path, model: Path, predictor: str = "pipeline") -> Server:
    """``bentoml serve`` with one worker."""
    python = environment("bentoml", folder)
    service = "Predictions" if predictor == "pipeline" else "PredictionsInLoop"
    command = [
        str(python), "-m", "bentoml", "serve", f"benchmarks.peers.bentoml_service:{service}", "--host", "127.0.0.1",
        "--port", "{port}",
    ]  # fmt: skip
    return Server(
        _named("bentoml", predictor), command, "/predict", _rows, lambda answer: answer, "/readyz",
        environment={
            **_chosen(model, predictor),
            "BENTOML_HOME": str(folder / "bentoml-home"),
            "PATH": f"{python.parent}:/usr/bin:/bin",
        },
    )  # fmt: skip


def litserve(folder: Path, model: Path, predictor: str = "pipeline") -> Server:
    """LitServe with one worker and one API process."""
    command = [str(environment("litserve", folder)), "-m", "benchmarks.peers.litserve_server", "{port}"]
    return Server(
        _named("litserve", predictor), command, "/predict", _rows, lambda answer: answer["predictions"], "/health",
        environment=_chosen(model, predictor),
    )  # fmt: skip


def noop() -> Server:
    """HTTP alone, on the same uvicorn settings as ours."""
    command = [PYTHON, "-m", "benchmarks.peers.noop", "{port}"]
    return Server("noop", command, "/predict", _rows, lambda answer: [one["value"] for one in answer["predictions"]], "/ready", environment=QUIET)  # fmt: skip


def _named(peer: str, predictor: str) -> str:
    return peer if predictor == "pipeline" else f"{peer}+{predictor}"


def _rows(rows: Rows) -> dict[str, Rows]:
    return {"rows": rows}


def _chosen(model: Path, predictor: str) -> dict[str, str]:
    return {**QUIET, "BENCH_MODEL": str(model), "BENCH_PREDICTOR": predictor}
