"""Training on several processes or machines: same results everywhere, no oversubscription, time limits that hold."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
from distributed import LocalCluster
from joblib import Parallel, delayed
from sklearn.ensemble import RandomForestRegressor
from threadpoolctl import threadpool_info

from include.kreislauf.errors import TrainingError
from include.kreislauf.settings import Settings
from include.kreislauf.training.parallel import TookTooLong, deadline, limited, one_thread, workers

pytestmark = pytest.mark.usefixtures("jobs_as_shipped")

SEEDS = range(6)


def cluster(processes: int) -> LocalCluster:
    return LocalCluster(
        n_workers=processes, threads_per_worker=1, processes=True, host="127.0.0.1",
        dashboard_address="127.0.0.1:0", scheduler_kwargs={"dashboard": False},
    )  # fmt: skip


@pytest.fixture(scope="module")
def scheduler() -> Iterator[str]:
    """Address of a Dask cluster of two processes."""
    with cluster(2) as started:
        yield started.scheduler_address


@pytest.fixture(params=["sequential", "loky", "dask"])
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    own: dict[str, Any] = {"training_jobs": 1} if request.param == "sequential" else {"training_jobs": 2}
    if request.param == "dask":
        own = {"dask_scheduler": request.getfixturevalue("scheduler")}
    return Settings(home=tmp_path, **own)


def fit(seed: int) -> tuple[list[float], int]:
    """Predictions of a small forest, and the process that made them."""
    x = np.random.default_rng(seed).normal(size=(200, 4))
    forest = RandomForestRegressor(5, random_state=seed, n_jobs=1).fit(x, x[:, 0] * x[:, 1])
    return forest.predict(x[:5]).tolist(), os.getpid()


def threads(_: int) -> set[int]:
    np.ones((2, 2)) @ np.ones((2, 2))
    return {pool["num_threads"] for pool in threadpool_info()}


def fail(number: int) -> int:
    if number == 3:
        raise TrainingError("no row to learn from", where="ridge:alpha30", next_step="collect more")
    return number


def test_all_backends_give_the_same_results(settings: Settings):
    with workers(settings) as n_jobs:
        results = Parallel(n_jobs=n_jobs)(delayed(fit)(seed) for seed in SEEDS)
    assert [prediction for prediction, _ in results] == [fit(seed)[0] for seed in SEEDS]
    elsewhere = os.getpid() not in {process for _, process in results}
    assert elsewhere == (n_jobs > 1)


def test_each_job_computes_with_one_thread(settings: Settings):
    with workers(settings) as n_jobs:
        counts = Parallel(n_jobs=n_jobs)(delayed(limited(threads))(number) for number in range(4))
    assert set().union(*counts) == {1}


@pytest.mark.parametrize("jobs", [1, 2])
def test_on_this_machine_nothing_computes_with_more_than_one_thread(tmp_path: Path, jobs: int):
    with workers(Settings(home=tmp_path, training_jobs=jobs)) as n_jobs:
        counts = Parallel(n_jobs=n_jobs)(delayed(threads)(number) for number in range(4))
    assert set().union(*counts) == {1}


def test_an_error_of_one_job_arrives_as_it_was(settings: Settings):
    with workers(settings) as n_jobs, pytest.raises(TrainingError, match="no row to learn from") as caught:
        Parallel(n_jobs=n_jobs)(delayed(fail)(number) for number in range(6))
    assert (caught.value.where, caught.value.next_step) == ("ridge:alpha30", "collect more")


def test_as_many_jobs_as_cpus_unless_told(tmp_path: Path):
    with workers(Settings(home=tmp_path)) as n_jobs:
        assert n_jobs == joblib.cpu_count()


def test_the_cluster_says_how_many_jobs(tmp_path: Path, scheduler: str):
    with workers(Settings(home=tmp_path, dask_scheduler=scheduler)) as n_jobs:
        assert n_jobs == 2


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:9", "nonsense://x"])
def test_a_scheduler_that_does_not_answer(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, address: str):
    monkeypatch.setattr("include.kreislauf.training.parallel.CONNECT_SECONDS", 1)
    settings = Settings(home=tmp_path, dask_scheduler=address)
    with pytest.raises(TrainingError, match="does not answer") as caught, workers(settings):
        pass
    assert caught.value.where == address
    assert "KREISLAUF_DASK_SCHEDULER" in caught.value.next_step


def test_a_scheduler_without_workers(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setattr("include.kreislauf.training.parallel.CONNECT_SECONDS", 1)
    with cluster(0) as empty:
        settings = Settings(home=tmp_path, dask_scheduler=empty.scheduler_address)
        with pytest.raises(TrainingError, match="no worker"), workers(settings):
            pass


def test_limits_end_with_the_block():
    before = threads(0)
    with one_thread():
        assert threads(0) == {1}
    assert threads(0) == before


def test_a_limited_function_keeps_its_name_and_can_be_pickled():
    assert limited(fit).__name__ == "fit"
    assert pickle.loads(pickle.dumps(limited(fail)))(2) == 2


# --- deadlines


def forever() -> None:
    while True:
        pass


def too_many_trees() -> str:
    x = np.random.default_rng(0).normal(size=(5_000, 20))
    try:
        with deadline(0.5):
            RandomForestRegressor(5_000, n_jobs=1, random_state=0).fit(x, x[:, 0])
    except TookTooLong as error:
        return error.what
    return "finished"


def swallowing() -> None:
    try:
        forever()
    except Exception:
        forever()


def test_an_endless_loop_is_ended():
    with pytest.raises(TookTooLong, match=r"more than 0\.1 s"), deadline(0.1):
        forever()


def test_a_deadline_that_was_swallowed_comes_again():
    with pytest.raises(TookTooLong), deadline(0.1):
        swallowing()


def test_a_forest_in_a_worker_process_is_ended(tmp_path: Path):
    with workers(Settings(home=tmp_path, training_jobs=2)) as n_jobs:
        results = Parallel(n_jobs=n_jobs)(delayed(too_many_trees)() for _ in range(2))
    assert results == ["took more than 0.5 s"] * 2


def test_the_error_survives_the_way_between_processes():
    error = pickle.loads(pickle.dumps(TookTooLong("took more than 1 s", where="ridge")))
    assert isinstance(error, TrainingError)
    assert (error.what, error.where) == ("took more than 1 s", "ridge")


def test_of_two_nested_deadlines_the_earlier_counts():
    with deadline(60), pytest.raises(TookTooLong, match=r"more than 0\.1 s"), deadline(0.1):
        forever()
    with pytest.raises(TookTooLong, match=r"more than 0\.1 s"), deadline(0.1), deadline(60):
        forever()


def test_the_outer_deadline_holds_after_the_inner_one():
    with pytest.raises(TookTooLong, match=r"more than 0\.3 s"), deadline(0.3):
        with pytest.raises(TookTooLong, match=r"more than 0\.1 s"), deadline(0.1):
            forever()
        forever()


@pytest.fixture
def alarm() -> Iterator[list[int]]:
    """An alarm of somebody else in 50 seconds, which notes when it rings."""
    rung: list[int] = []
    handler = signal.signal(signal.SIGALRM, lambda number, _frame: rung.append(number))
    before = signal.setitimer(signal.ITIMER_REAL, 50, 7)
    yield rung
    signal.setitimer(signal.ITIMER_REAL, *before)
    signal.signal(signal.SIGALRM, handler)


@pytest.mark.parametrize("work", [lambda: None, forever])
def test_handler_and_timer_of_others_are_put_back(alarm: list[int], work: Any):
    handler = signal.getsignal(signal.SIGALRM)
    try:
        with deadline(0.1):
            work()
    except TookTooLong:
        pass
    assert signal.getsignal(signal.SIGALRM) is handler
    left, interval = signal.getitimer(signal.ITIMER_REAL)
    assert 0 < left < 50
    assert interval == 7
    signal.raise_signal(signal.SIGALRM)
    assert alarm == [signal.SIGALRM]


def test_without_an_alarm_before_there_is_none_after():
    context = multiprocessing.get_context("spawn")
    with context.Pool(1) as pool:
        assert pool.apply(_left_behind) == ((0.0, 0.0), signal.SIG_DFL)


def _left_behind() -> tuple[tuple[float, float], Any]:
    with deadline(30):
        pass
    return signal.getitimer(signal.ITIMER_REAL), signal.getsignal(signal.SIGALRM)


def test_an_alarm_that_fell_due_meanwhile_still_rings(alarm: list[int]):
    signal.setitimer(signal.ITIMER_REAL, 0.2)
    with pytest.raises(TookTooLong), deadline(0.1):
        try:
            forever()
        finally:  # the other alarm's time goes by while this one's is being told
            time.sleep(0.3)
    deadline_of_the_test = time.monotonic() + 10
    while not alarm and time.monotonic() < deadline_of_the_test:
        time.sleep(0.01)
    assert alarm == [signal.SIGALRM]


def test_in_another_thread_nothing_happens():
    after: list[str] = []

    def work() -> None:
        with deadline(0.05):
            time.sleep(0.2)
            after.append("went on")

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert after == ["went on"]


@pytest.mark.parametrize("seconds", [0, -1])
def test_without_time_nothing_begins(seconds: float):
    with pytest.raises(TookTooLong, match="no time is left"), deadline(seconds):
        pytest.fail("began")


def test_no_process_outlives_the_block(tmp_path: Path):
    """Airflow waits up to a minute for processes that hold the output of a task that has ended."""
    with workers(Settings(home=tmp_path, training_jobs=2)) as n_jobs:
        pids = set(Parallel(n_jobs=n_jobs)(delayed(os.getpid)() for _ in range(8)))
        assert os.getpid() not in pids
    assert [pid for pid in pids if Path(f"/proc/{pid}").exists()] == []
    with workers(
        Settings(home=tmp_path, training_jobs=2)
    ) as n_jobs:  # and others are started when they are needed
        assert Parallel(n_jobs=n_jobs)(delayed(abs)(one) for one in (-1, -2)) == [1, 2]
