"""What HTTP alone costs: a Starlette endpoint that returns a constant, ``python -m benchmarks.peers.noop PORT``."""

from __future__ import annotations

import sys

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route


async def answer(_request: Request) -> JSONResponse:
    return JSONResponse({"predictions": [{"value": 0.0}]})


if __name__ == "__main__":
    routes = [Route("/predict", answer, methods=["POST"]), Route("/ready", answer)]
    uvicorn.run(
        Starlette(routes=routes), host="127.0.0.1", port=int(sys.argv[1]), access_log=False, log_config=None,
        server_header=False, proxy_headers=False, loop="uvloop", http="httptools", timeout_keep_alive=75,
    )  # fmt: skip
