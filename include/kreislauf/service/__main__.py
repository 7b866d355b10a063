"""Start the service: ``python -m include.kreislauf.service --host 127.0.0.1 --port 8090``."""

from __future__ import annotations

import argparse
import logging
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any, NoReturn

# One row is predicted faster by one thread than by several that must first be woken; numeric libraries read
# this when they are imported.
os.environ.setdefault("OMP_NUM_THREADS", "1")

STORE_PATIENCE_SECONDS = 60.0


def main(arguments: list[str] | None = None) -> None:
    """Serve until SIGTERM or SIGINT; requests under way are answered first."""
    parser = argparse.ArgumentParser(
        prog="python -m include.kreislauf.service", description="Prediction service."
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument(
        "--port", default=8090, type=_between(1, 65_535), help="port to listen on (default: %(default)s)"
    )
    parser.add_argument(
        "--workers", default=1, type=_between(1, 64), help="processes that answer (default: %(default)s); the store must "
        "be PostgreSQL for more than one to be of use",
    )  # fmt: skip
    options = parser.parse_args(arguments)
    # uvicorn answers the signal first, then hands it on: without this the exit status would tell of a crash.
    signal.signal(signal.SIGTERM, _leave)

    from include.kreislauf.logs import set_up
    from include.kreislauf.service.limits import is_loopback

    set_up()
    if not is_loopback(options.host):
        os.environ["KREISLAUF_KEYS_REQUIRED"] = "true"  # read by the workers, too
        if fault := _without_keys(options.host):
            parser.error(fault)
    _serve(options.host, options.port, options.workers)


def _between(least: int, most: int) -> Callable[[str], int]:
    def number(text: str) -> int:
        if not text.isascii() or not text.isdigit() or not least <= int(text) <= most:
            raise argparse.ArgumentTypeError(f"{text!r} is not allowed; allowed: {least} to {most}")
        return int(text)

    return number


def _without_keys(host: str) -> str:
    """Why the service may not be reached from other machines; empty: it may. Waits for a store that starts, too."""
    from sqlalchemy.exc import SQLAlchemyError

    from include.kreislauf.errors import StoreError
    from include.kreislauf.service.problems import in_short
    from include.kreislauf.store.api_keys import list_keys
    from include.kreislauf.store.database import get_store

    begin = f"--host {host} can be reached from other machines"
    deadline = time.monotonic() + STORE_PATIENCE_SECONDS
    while True:
        try:
            with get_store().require().read() as db:
                now = _now()
                if any(key.state(now) == "good" for key in list_keys(db)):
                    return ""
            return (
                f"{begin}, and no API key is good; next: python -m include.kreislauf keys create NAME --scopes "
                "predict,outcome; or listen on 127.0.0.1, which needs no key"
            )
        except (StoreError, SQLAlchemyError) as error:
            if time.monotonic() > deadline:
                return f"{begin}, and the store with its API keys cannot be read: {in_short(error)}"
            logging.getLogger("kreislauf.service").warning("waiting for the store: %s", in_short(error))
            time.sleep(2.0)


def _now() -> Any:
    from include.kreislauf.settings import get_settings

    return get_settings().now()


def _serve(host: str, port: int, workers: int) -> None:
    folder = tempfile.mkdtemp(prefix="kreislauf-metrics-") if workers > 1 else ""
    if folder:  # before prometheus_client is imported, here and in the workers
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = folder
    import uvicorn

    try:
        uvicorn.run(
            "include.kreislauf.service.process:application", factory=True, host=host, port=port,
            workers=workers, access_log=False, log_config=None, server_header=False, proxy_headers=False,
            # longer than clients keep an idle connection, which would otherwise meet the server's close
            timeout_keep_alive=75,
            timeout_graceful_shutdown=15,
        )  # fmt: skip
    finally:
        if folder:
            shutil.rmtree(folder, ignore_errors=True)


def _leave(_signal: int, _frame: Any) -> NoReturn:
    sys.exit(0)


if __name__ == "__main__":
    main()
