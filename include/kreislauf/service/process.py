"""One worker process of the service: the application, and an interpreter set to answer quickly."""

from __future__ import annotations

import ctypes
import gc
import logging
import sys

from fastapi import FastAPI

from include.kreislauf.logs import set_up
from include.kreislauf.service.app import create_app

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # of mallopt(3)


def application() -> FastAPI:
    """The application of this process, with the settings of its environment."""
    set_up()
    app = create_app()
    # A thread that loads a release or writes the log gives way to the event loop ten times sooner than by default.
    sys.setswitchinterval(0.0005)
    _keep_memory()
    # What is here now stays; a request leaves no cycles behind, so that looking for them can be rare.
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
    return app


def _keep_memory() -> None:
    """Buffers of a request come from memory that is there, instead of from the system, page by page, each time."""
    try:
        library = ctypes.CDLL(None)
        library.mallopt(_MMAP_THRESHOLD, 32 * 2**20)
        library.mallopt(_TRIM_THRESHOLD, 64 * 2**20)
    except (AttributeError, OSError):  # not glibc
        logging.getLogger("kreislauf.service").debug("no mallopt here")
