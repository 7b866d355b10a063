"""LitServe's way to serve the model: ``python -m benchmarks.peers.litserve_server PORT``.

Without postponed annotations: LitServe reads that of ``request``.
"""

import sys
from typing import Any

import litserve

from benchmarks.peers import predictors


class Predictions(litserve.LitAPI):
    def setup(self, device: str) -> None:  # noqa: ARG002 - LitServe gives it
        self.predictor = predictors.load()

    def decode_request(self, request: dict) -> list[dict[str, Any]]:
        return request["rows"]

    def predict(self, x: list[dict[str, Any]]) -> list[float]:
        return self.predictor(x)

    def encode_response(self, output: list[float]) -> dict[str, list[float]]:
        return {"predictions": output}


if __name__ == "__main__":
    server = litserve.LitServer(Predictions(), accelerator="cpu", workers_per_device=1)
    server.run(host="127.0.0.1", port=int(sys.argv[1]), num_api_servers=1, generate_client_file=False)
