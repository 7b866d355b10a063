"""Start the service: ``python -m include.kreislauf.service --host 127.0.0.1 --port 8090``."""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
from typing import Any, NoReturn

# One row is predicted faster by one thread than by several that must first be woken; numeric libraries read
# this when they are imported.
os.environ.setdefault("OMP_NUM_THREADS", "1")

ALLOW_REMOTE = "KREISLAUF_SERVICE_ALLOW_REMOTE"


def main(arguments: list[str] | None = None) -> None:
    """Serve until SIGTERM or SIGINT; requests under way are answered first."""
    parser = argparse.ArgumentParser(
        prog="python -m include.kreislauf.service", description="Prediction service."
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", default=8090, type=int, help="port to listen on (default: %(default)s)")
    options = parser.parse_args(arguments)
    # uvicorn answers the signal first, then hands it on: without this the exit status would tell of a crash.
    signal.signal(signal.SIGTERM, _leave)

    from include.kreislauf.service.limits import is_loopback

    if not is_loopback(options.host) and os.environ.get(ALLOW_REMOTE) != "1":
        parser.error(
            f"--host {options.host} can be reached from other machines, and the service has no API keys yet; "
            f"allowed: 127.0.0.1, ::1, localhost; next: put it behind something that checks who calls, "
            f"then set {ALLOW_REMOTE}=1"
        )
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    _serve(options.host, options.port)


def _serve(host: str, port: int) -> None:
    import uvicorn

    from include.kreislauf.service.app import create_app

    uvicorn.run(
        create_app(), host=host, port=port, access_log=False, log_config=None, server_header=False,
        proxy_headers=False,
        # longer than clients keep an idle connection, which would otherwise meet the server's close
        timeout_keep_alive=75,
        timeout_graceful_shutdown=15,
    )  # fmt: skip


def _leave(_signal: int, _frame: Any) -> NoReturn:
    sys.exit(0)


if __name__ == "__main__":
    main()
