"""What the tool ends with, when it does not end well; each has its exit code."""

from __future__ import annotations

from collections.abc import Sequence

from include.kreislauf.errors import KreislaufError


class Fault(KreislaufError):
    """One thing that keeps the stack from being started, found before anything was changed."""


class Refused(Exception):
    """Nothing was done and nothing was changed.

    Parameters
    ----------
    faults: all that was found, not only the first.
    """

    code = 2

    def __init__(self, faults: Sequence[KreislaufError]) -> None:
        self.faults = tuple(faults)
        super().__init__("\n".join(one.text for one in self.faults))


class Failed(KreislaufError):
    """Something went wrong on the way; the text says what state that leaves."""

    code = 1


class CanaryFailed(Failed):
    """The stack runs, but the canary did not come through."""

    code = 3
