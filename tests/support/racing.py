"""Several threads or processes that do the same thing at the same moment."""

from __future__ import annotations

import multiprocessing
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, Protocol, TypeVar

T = TypeVar("T")
START_SECONDS = 60
_barrier: Any = None


class Race(Protocol):
    """Calls a function once in each of ``size`` threads or processes, at the same moment; returns all answers."""

    size: int

    def __call__(self, function: Callable[..., T], *args: Any) -> list[T]: ...


class ThreadRace:
    """A race of threads."""

    def __init__(self, size: int) -> None:
        self.size = size

    def __call__(self, function: Callable[..., T], *args: Any) -> list[T]:
        barrier = threading.Barrier(self.size, timeout=START_SECONDS)

        def run(number: int) -> T:
            barrier.wait()
            return function(number, *args)

        with ThreadPoolExecutor(self.size) as pool:
            return list(pool.map(run, range(self.size)))


class ProcessRace:
    """A race of processes, started once; functions must be importable, their arguments and answers picklable."""

    def __init__(self, pool: ProcessPoolExecutor, size: int) -> None:
        self.size = size
        self._pool = pool

    def __call__(self, function: Callable[..., T], *args: Any) -> list[T]:
        runs = [self._pool.submit(_run, function, number, *args) for number in range(self.size)]
        return [run.result(START_SECONDS) for run in runs]


@contextmanager
def processes(size: int) -> Iterator[ProcessRace]:
    """Processes for races; each takes part in every one, because all must meet before one starts."""
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(size, timeout=START_SECONDS)
    with ProcessPoolExecutor(size, mp_context=context, initializer=_prepare, initargs=(barrier,)) as pool:
        yield ProcessRace(pool, size)


def _prepare(barrier: Any) -> None:
    global _barrier
    _barrier = barrier


def _run(function: Callable[..., T], number: int, *args: Any) -> T:
    _barrier.wait()
    return function(number, *args)
