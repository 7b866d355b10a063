"""The sources and metrics that use cases bring along, each through the same checks; and checks that see what is wrong."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from include.kreislauf.requirements.business import OwnMetric
from include.kreislauf.requirements.contract import Contract
from include.kreislauf.requirements.sources import OwnSource
from include.kreislauf.settings import ROOT
from tests.support.own_checks import check_metric, check_source, own_metrics, own_sources

SOURCES, METRICS = list(own_sources()), list(own_metrics())


def test_there_is_something_to_check() -> None:
    assert "bakery" in {contract.name for _, contract, _ in SOURCES}
    assert "bakery" in {contract.name for _, contract, _ in METRICS}


@pytest.mark.parametrize(
    ("folder", "contract", "source"), SOURCES, ids=[contract.name for _, contract, _ in SOURCES]
)
def test_a_source_reads_what_was_known(folder: Path, contract: Contract, source: OwnSource) -> None:
    check_source(source, contract.problem, folder, ROOT / "tests" / "use_cases" / contract.name / "data")


@pytest.mark.parametrize(
    ("folder", "contract", "metric"), METRICS, ids=[f"{one.name}-{metric.name}" for _, one, metric in METRICS]
)
def test_a_metric_measures_each_prediction_for_itself(
    folder: Path, contract: Contract, metric: OwnMetric
) -> None:
    check_metric(metric, contract, folder)


def changed(folder: Path, to: Path, name: str, old: str, new: str) -> Path:
    """A copy of a use case in which one file is at fault."""
    copy = to / folder.name
    shutil.copytree(folder, copy)
    text = (copy / name).read_text("utf-8")
    assert text.count(old) == 1
    (copy / name).write_text(text.replace(old, new), "utf-8")
    return copy


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("pd.concat(frames)", "pd.concat(frames).sample(frac=0.9)"),  # not the same when it is read again
        (
            "pd.concat(frames)",
            "pd.concat(frames).assign(sold_before=len(frames))",
        ),  # what was known has changed
        ('freq="MS")[:-1]', 'freq="MS")[:-2]'),  # the last month comes too late
    ],
)
def test_a_source_at_fault_is_seen(tmp_path: Path, old: str, new: str) -> None:
    folder, contract, source = next(one for one in SOURCES if one[1].name == "bakery")
    copy = changed(folder, tmp_path, "source.py", old, new)
    with pytest.raises(AssertionError):
        check_source(source, contract.problem, copy, folder / "data")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("    return earned", "    return earned * 2"),  # out of the bounds
        ("    return earned", "    return earned / len(earned)"),  # depends on the other rows
        ("    return earned", "    return earned + np.arange(len(earned)) / 100"),  # depends on the place
        ("    return earned", "    return earned + np.random.default_rng().random(len(earned))"),
        ("    return earned", "    return np.where(earned > 0, earned, np.nan)"),
    ],
)
def test_a_metric_at_fault_is_seen(tmp_path: Path, old: str, new: str) -> None:
    folder, contract, metric = next(one for one in METRICS if one[1].name == "bakery")
    copy = changed(folder, tmp_path, "metrics.py", old, new)
    with pytest.raises(AssertionError):
        check_metric(metric, contract, copy)
