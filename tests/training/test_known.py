"""Trials that are known: the same results to the last bit, only new configurations fitted, bounded on the disk."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from include.kreislauf.training import known as module
from include.kreislauf.training.design import Rows
from include.kreislauf.training.families import Candidate
from include.kreislauf.training.known import KEPT, TRIALS, KnownTrials
from include.kreislauf.training.search import Searched, search
from tests.training.worlds import DESIGN, MAE, SEED, Counting, asked, broken, frame, light, raising

ROWS = Rows.of(frame(20, 8), DESIGN)
FOLDS = ROWS.splits(asked("ridge", search_periods=4)).search
RIDGES = light("ridge", 8, alpha=(1e4, 1e5, 3e4, 1.0, 1e6, 3e5, 1e3, 1e7))
BASIS = {"features": "features@0"}


def found(tried: tuple[Candidate, ...], known: KnownTrials | None = None, seed: int = SEED) -> Searched:
    more: dict[str, Any] = {"run_jobs": known.run} if known else {}
    return search(ROWS, {"ridge": tried}, FOLDS, MAE, seed=seed, **more)["ridge"]


def assert_same(one: Searched, other: Searched) -> None:
    assert (one.best, one.account, list(one.predictions)) == (
        other.best, other.account, list(other.predictions),
    )  # fmt: skip
    for label, values in one.predictions.items():
        assert values.tobytes() == other.predictions[label].tobytes()


def test_the_same_search_again_fits_nothing(tmp_path: Path) -> None:
    first = KnownTrials(tmp_path, BASIS)
    narrow = found(RIDGES, first)
    again = KnownTrials(tmp_path, BASIS)
    assert_same(found(RIDGES, again), narrow)
    assert again.count == {"reused": first.count["made"], "made": 0}


@settings(max_examples=10, deadline=None)
@given(st.integers(1, 8), st.integers(1, 8))
def test_a_search_comes_to_the_same_whatever_is_known(before: int, count: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        found(RIDGES[:before], KnownTrials(Path(folder), BASIS))
        known = KnownTrials(Path(folder), BASIS)
        assert_same(found(RIDGES[:count], known), found(RIDGES[:count]))
        assert known.count["reused"] > 0


def test_a_wider_search_fits_only_what_was_not_tried(tmp_path: Path) -> None:
    found(RIDGES[:4], KnownTrials(tmp_path, BASIS))
    wider = KnownTrials(tmp_path, BASIS)
    found(RIDGES, wider)
    whole = found(RIDGES).fits
    assert wider.count["reused"] + wider.count["made"] == whole
    assert wider.count["made"] < whole


@pytest.mark.parametrize(
    ("basis", "seed", "fresh"),
    [({"features": "features@1"}, SEED, False), (BASIS, SEED + 1, False), (BASIS, SEED, True)],
    ids=["rows", "seed", "fresh"],
)
def test_trials_of_something_else_are_not_used(
    tmp_path: Path, basis: dict[str, str], seed: int, fresh: bool
) -> None:
    found(RIDGES, KnownTrials(tmp_path, BASIS))
    other = KnownTrials(tmp_path, basis, fresh)
    found(RIDGES, other, seed)
    assert other.count["reused"] == 0


def test_a_damaged_file_is_as_good_as_none(tmp_path: Path) -> None:
    known = KnownTrials(tmp_path, BASIS)
    found(RIDGES, known)
    for file in tmp_path.rglob(TRIALS):
        content = bytearray(file.read_bytes())
        content[len(content) // 2] ^= 1
        file.write_bytes(bytes(content))
    again = KnownTrials(tmp_path, BASIS)
    assert_same(found(RIDGES, again), found(RIDGES))
    assert again.count["reused"] == 0


def test_what_would_take_too_much_of_the_disk_is_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_BYTES", 3000)
    known = KnownTrials(tmp_path, BASIS)
    assert_same(found(RIDGES, known), found(RIDGES))
    assert 0 < sum(one.stat().st_size for one in tmp_path.rglob(TRIALS)) < 6000
    again = KnownTrials(tmp_path, BASIS)
    assert_same(found(RIDGES, again), found(RIDGES))
    assert 0 < again.count["reused"] < known.count["made"]


def test_trials_that_are_removed_meanwhile_are_made(tmp_path: Path) -> None:
    known = KnownTrials(tmp_path, BASIS)
    found(RIDGES, known)
    shutil.rmtree(known.folder)
    assert_same(found(RIDGES, known), found(RIDGES))


def test_what_failed_is_tried_again(tmp_path: Path) -> None:
    tried = (*RIDGES[:1], broken(raising))
    found(tried, KnownTrials(tmp_path, BASIS))
    again = KnownTrials(tmp_path, BASIS)
    assert list(found(tried, again).failed) == [tried[1].name]
    assert again.count["made"] >= 1


def test_a_candidate_that_cannot_be_named_in_full_is_fitted_each_time(tmp_path: Path) -> None:
    counting = Counting(tmp_path / "uses")
    candidate = broken(counting, "counting")
    for number in (1, 2):
        found((candidate,), KnownTrials(tmp_path / "trials", BASIS))
        assert counting.count == number * len(FOLDS)


def test_trials_of_the_rows_used_last_are_kept(tmp_path: Path) -> None:
    for number in range(KEPT + 2):
        known = KnownTrials(tmp_path, {"features": f"features@{number}"})
        found(RIDGES[:1], known)
        os.utime(known.folder, (number, number))
        known.forget_older()
    assert len(list(tmp_path.iterdir())) == KEPT
    again = KnownTrials(tmp_path, {"features": f"features@{KEPT + 1}"})
    found(RIDGES[:1], again)
    assert again.count == {"reused": len(FOLDS), "made": 0}


def test_numbers_are_made_once_for_what_they_depend_on(tmp_path: Path) -> None:
    made: list[int] = []

    def make() -> Any:
        made.append(1)
        return np.array([[0.1, float(len(made))]])

    first = KnownTrials(tmp_path, BASIS).once(["x", 1], make)
    again = KnownTrials(tmp_path, BASIS).once(["x", 1], make)
    assert again.tobytes() == first.tobytes()
    assert len(made) == 1
    for known, what in [
        (KnownTrials(tmp_path, BASIS), ["x", 2]), (KnownTrials(tmp_path, {"features": "other"}), ["x", 1]),
        (KnownTrials(tmp_path, BASIS, fresh=True), ["x", 1]),
    ]:  # fmt: skip
        before = len(made)
        known.once(what, make)
        assert len(made) == before + 1
