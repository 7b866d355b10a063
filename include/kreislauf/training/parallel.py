"""How a training uses its machines: joblib's backend, threads of the numerical libraries, and time limits.

Candidates are many and small, so each is trained with one thread, and as many at once as there are CPUs::

    with workers(settings) as n_jobs:
        results = Parallel(n_jobs=n_jobs)(delayed(limited(fit))(one) for one in tried)
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial, wraps
from types import FrameType
from typing import Any, ParamSpec, TypeVar

import joblib
from joblib import parallel_config
from joblib.externals.loky import get_reusable_executor
from threadpoolctl import threadpool_limits

from include.kreislauf.errors import TrainingError
from include.kreislauf.settings import Settings

CONNECT_SECONDS = 10
"""How long a Dask scheduler may take to answer, and to have a worker."""
AGAIN_SECONDS = 1.0
"""A deadline that was swallowed (by a finalizer, by ``except Exception``) is told again after this time."""

P = ParamSpec("P")
R = TypeVar("R")


class TookTooLong(TrainingError):
    """The code inside a :func:`deadline` has used up its wall-clock time."""


@contextmanager
def workers(settings: Settings) -> Iterator[int]:
    """Sets joblib's backend for the block and gives the ``n_jobs`` to call :class:`joblib.Parallel` with.

    ``settings.dask_scheduler`` empty: processes of this machine (loky), one thread each, or no further process
    if ``training_jobs`` is 1. Otherwise the workers of that Dask cluster, which must be able to import this
    bundle; the thread limit is then up to the jobs, see :func:`limited`.

    Raises
    ------
    TrainingError: the scheduler does not answer, or has no worker.
    """
    if settings.dask_scheduler:
        with _dask(settings.dask_scheduler) as cpus:
            yield settings.training_jobs or cpus
        return
    n_jobs = settings.training_jobs or joblib.cpu_count()
    if n_jobs == 1:
        with parallel_config(backend="sequential"), one_thread():
            yield 1
        return
    with parallel_config(backend="loky", n_jobs=n_jobs, inner_max_num_threads=1):
        try:
            yield n_jobs
        finally:
            # idle ones would live on for minutes, and Airflow waits for every process that holds a task's output
            get_reusable_executor(reuse=True).shutdown(wait=True)


@contextmanager
def _dask(address: str) -> Iterator[int]:
    from distributed import Client

    try:
        client = Client(address, timeout=CONNECT_SECONDS, set_as_default=False)
    except (OSError, ValueError) as error:
        raise TrainingError(
            f"the Dask scheduler does not answer: {error}", where=address, allowed="tcp://host:8786",
            next_step="start it, correct KREISLAUF_DASK_SCHEDULER, or leave it empty to train on this machine",
        ) from error  # fmt: skip
    with client:
        _wait_for_a_worker(client, address)
        with parallel_config(backend="dask", client=client):
            yield sum(client.ncores().values())


def _wait_for_a_worker(client: Any, address: str) -> None:
    try:
        client.wait_for_workers(1, timeout=CONNECT_SECONDS)
    except TimeoutError as error:
        raise TrainingError(
            f"the Dask scheduler has no worker after {CONNECT_SECONDS} s", where=address,
            next_step="start workers (dask worker), or leave KREISLAUF_DASK_SCHEDULER empty",
        ) from error  # fmt: skip


def one_thread() -> threadpool_limits:
    """A context in which BLAS and OpenMP use one thread."""
    return threadpool_limits(limits=1)


def limited(function: Callable[P, R]) -> Callable[P, R]:
    """The function under :func:`one_thread`, for jobs on workers that nothing else limits; can be pickled."""
    return wraps(function)(partial(_call_limited, function))


def _call_limited(function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    with one_thread():
        return function(*args, **kwargs)


@contextmanager
def deadline(seconds: float) -> Iterator[None]:
    """Raises :class:`TookTooLong` in the running code when ``seconds`` of wall clock are over.

    Uses the process's alarm (``SIGALRM``), so it works only in a main thread, which a loky worker's job runs in.
    In any other thread, and so on a Dask worker, it does nothing while the code runs: check the time between
    folds, too. Compiled code is interrupted when it returns to Python. An alarm that others have set for earlier
    stays theirs; a later one, and its handler, are put back at the end.

    Raises
    ------
    TookTooLong: the time is up, or there was none (``seconds`` is 0 or less).
    """
    if seconds <= 0:
        raise TookTooLong("no time is left")
    outer, interval = signal.getitimer(signal.ITIMER_REAL)
    if threading.current_thread() is not threading.main_thread() or 0 < outer <= seconds:
        yield
        return
    began, inside = time.monotonic(), True

    def stop(_number: int, _frame: FrameType | None) -> None:
        if inside:
            raise TookTooLong(f"took more than {seconds:g} s")

    handler = signal.signal(signal.SIGALRM, stop)
    try:
        try:
            signal.setitimer(signal.ITIMER_REAL, seconds, AGAIN_SECONDS)
            yield
        finally:
            inside = False
    finally:  # a nested one: the alarm may ring in the first
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, handler)
        if outer:
            # a time of 0 would switch the outer alarm off instead of ringing it
            signal.setitimer(signal.ITIMER_REAL, max(outer - (time.monotonic() - began), 1e-3), interval)
