"""What holds for every use case's own source and metrics: checked on each folder that has some.

A source of a use case is read from ``tests/use_cases/NAME/data``, which ``{data}`` stands for: no test goes to a server.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from include.kreislauf.collection.access import Access
from include.kreislauf.collection.access_rules import AccessRules
from include.kreislauf.collection.sources.own import read_own
from include.kreislauf.collection.table import available
from include.kreislauf.evaluation.own_metric import own_measure
from include.kreislauf.requirements.business import OwnMetric
from include.kreislauf.requirements.contract import Contract
from include.kreislauf.requirements.loading import load_all
from include.kreislauf.requirements.problem import Problem
from include.kreislauf.requirements.sources import OwnSource, Rows
from include.kreislauf.settings import ROOT

Floats = npt.NDArray[np.float64]
FOLDERS = (ROOT / "include" / "use_cases", ROOT / "tests" / "use_cases")
LATER = datetime(2100, 1, 1, tzinfo=UTC)
ROWS = 500


def own_sources() -> Iterator[tuple[Path, Contract, OwnSource]]:
    """Every source of kind ``own``, with the folder of its use case."""
    for folder, contract in _use_cases():
        yield from ((folder, contract, one) for one in contract.sources if isinstance(one, OwnSource))


def own_metrics() -> Iterator[tuple[Path, Contract, OwnMetric]]:
    """Every metric of kind ``own``, with the folder of its use case."""
    for folder, contract in _use_cases():
        yield from (
            (folder, contract, one) for one in contract.business_metrics if isinstance(one, OwnMetric)
        )


def check_source(source: OwnSource, problem: Problem, folder: Path, data: Path) -> None:
    """Rows fit the contract, are the same when they are read again, and were the same when they were still new.

    Parameters
    ----------
    data: what ``{data}`` stands for.
    """
    access = Access(AccessRules(data=str(data)))

    def read(as_of: datetime) -> pd.DataFrame:
        return read_own(source, problem, access, as_of, folder)

    whole = read(LATER)
    assert not whole.empty
    pd.testing.assert_frame_equal(read(LATER), whole)
    if problem.time is None:
        return
    ends = problem.ends_of(whole[problem.time]).drop_duplicates().sort_values()
    for end in ends.iloc[[len(ends) // 3, len(ends) // 2, -1]]:
        known = end.to_pydatetime().replace(tzinfo=UTC) + timedelta(days=source.available_after_days)
        then = read(known)
        pd.testing.assert_frame_equal(then, available(whole, source, problem, known))


def check_metric(metric: OwnMetric, contract: Contract, folder: Path) -> None:
    """Observations are numbers within the bounds, the same when they are made again, and each stands for itself."""
    measure, rng = own_measure(metric, folder), np.random.default_rng(0)
    happened = _happened(contract, metric, rng)
    predicted = rng.random(ROWS) if contract.problem.kind == "binary" else _happened(contract, metric, rng)
    found = measure(predicted, happened)
    low, high = metric.test.bounds
    assert np.isfinite(found).all()
    assert low <= found.min() <= found.max() <= high
    np.testing.assert_array_equal(measure(predicted, happened), found)
    alone = [measure(predicted[[row]], happened[[row]])[0] for row in range(ROWS)]
    np.testing.assert_allclose(alone, found)
    order = rng.permutation(ROWS)
    np.testing.assert_allclose(measure(predicted[order], happened[order]), found[order])


def _use_cases() -> Iterator[tuple[Path, Contract]]:
    for use_cases in FOLDERS:
        found, broken = load_all(use_cases)
        assert not broken, broken
        yield from ((use_cases / name, contract) for name, contract in found.items())


def _happened(contract: Contract, metric: OwnMetric, rng: np.random.Generator) -> Floats:
    """What can happen: any class; any number that the target's column allows, or else the metric's bounds."""
    problem = contract.problem
    if problem.classes:
        return rng.integers(0, len(problem.classes), ROWS).astype(np.float64)
    columns = [one.columns[problem.target] for one in contract.sources if isinstance(one, Rows) and problem.target in one.columns]  # fmt: skip
    low, high = metric.test.bounds
    for column in columns:
        low = low if column.minimum is None else column.minimum
        high = high if column.maximum is None else column.maximum
    return rng.uniform(low, high, ROWS)
