"""Ends a stack cleanly when the terminal or a supervisor asks for it."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Protocol


class Stoppable(Protocol):
    """What a signal needs to know: whether the stop is already at work."""

    @property
    def stopping(self) -> bool:
        """Whether a stop is at work."""


@contextmanager
def stop_on_signals(stack: Stoppable) -> Iterator[None]:
    """Turn SIGTERM, SIGINT and SIGHUP into a SystemExit (128 + number), so that `with` blocks stop the stack.

    To be entered before the stack: `with stop_on_signals(stack), stack: stack.watch()`. A signal that arrives
    while the stack is being stopped is ignored, because the stop is already bounded in time.
    """

    def leave(number: int, _frame: FrameType | None) -> None:
        if not stack.stopping:
            raise SystemExit(128 + number)

    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
    previous = {number: signal.getsignal(number) for number in numbers}
    try:
        for number in numbers:
            if previous[number] is not signal.SIG_IGN:  # nohup
                signal.signal(number, leave)
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
