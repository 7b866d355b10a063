"""What a peer predicts with: the pipeline, or the product's compiled predictor; ``BENCH_MODEL`` names the folder."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

Predictor = Callable[[list[dict[str, Any]]], list[float]]


def load() -> Predictor:
    """The predictor that ``BENCH_PREDICTOR`` names."""
    folder = Path(os.environ["BENCH_MODEL"])
    return compiled(folder) if os.environ.get("BENCH_PREDICTOR") == "compiled" else pipeline(folder)


def pipeline(folder: Path) -> Predictor:
    """A frame of the rows, and the pipeline's own ``predict``."""
    import joblib
    import pandas as pd

    model = joblib.load(folder / "pipeline.joblib")
    return lambda rows: model.predict(pd.DataFrame(rows)).tolist()


def compiled(folder: Path) -> Predictor:
    """The product's encoder and compiled trees."""
    from include.kreislauf.inference.compiled import from_files

    files = {path.name: path.read_bytes() for path in (folder / "compiled").iterdir()}
    predictor = from_files(files).predictor()
    one, many = predictor.predict_one, predictor.predict
    return lambda rows: [one(rows[0])] if len(rows) == 1 else many(rows).tolist()
