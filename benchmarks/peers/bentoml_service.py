"""BentoML's way to serve the model: ``bentoml serve benchmarks.peers.bentoml_service:Predictions``."""

from __future__ import annotations

from typing import Any

import bentoml

from benchmarks.peers import predictors


@bentoml.service(workers=1, traffic={"timeout": 60})
class Predictions:
    def __init__(self) -> None:
        self.predictor = predictors.load()

    @bentoml.api
    def predict(self, rows: list[dict[str, Any]]) -> list[float]:
        return self.predictor(rows)


@bentoml.service(workers=1, traffic={"timeout": 60})
class PredictionsInLoop:
    """Without the thread that BentoML gives a synchronous method: quicker where predicting takes microseconds."""

    def __init__(self) -> None:
        self.predictor = predictors.load()

    @bentoml.api
    async def predict(self, rows: list[dict[str, Any]]) -> list[float]:
        return self.predictor(rows)
