"""Named places at which a collection can be killed, so that the tests can prove that nothing is lost or doubled."""

from __future__ import annotations

import os
import signal

VARIABLE = "KREISLAUF_CRASH_AT"
CRASH_POINTS = (
    "planned",
    "a unit was read",
    "before the append",
    "after the append",
    "all units were read",
    "before the version",
    "after the version",
    "before the record",
)
"""In the order in which a collection reaches them."""


def crash_point(name: str) -> None:
    """Die here, as by a power cut, if the environment says so: ``KREISLAUF_CRASH_AT=<name>`` (tests only)."""
    if os.environ.get(VARIABLE) == name:
        os.kill(os.getpid(), signal.SIGKILL)
