"""Splits: nothing that is not known yet is learnt from, and groups, classes and rows are where they belong."""

from __future__ import annotations

from collections import Counter
from itertools import chain

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.kreislauf.errors import TrainingError
from include.kreislauf.preparation.splits import Fold, Splits, rolling_origin, split_by_time, split_rows

TIMES = st.lists(st.integers(-20, 20), max_size=60)
HORIZONS = st.integers(1, 5)


def folds_of(times: list[int], horizon: int, min_rows: int = 1) -> tuple[Fold, ...]:
    return rolling_origin(np.array(times, dtype=np.int64), [f"t{one}" for one in times], horizon, min_rows)


@given(times=TIMES, horizon=HORIZONS, min_rows=st.integers(1, 8))
def test_a_fold_learns_from_all_that_is_known_when_it_predicts_and_from_nothing_later(
    times: list[int], horizon: int, min_rows: int
) -> None:
    folds = folds_of(times, horizon, min_rows)
    for fold in folds:
        known = [place for place, time in enumerate(times) if time + horizon <= fold.time]
        assert fold.learn.tolist() == known
        assert len(known) >= min_rows
        assert {times[place] for place in fold.predict.tolist()} == {fold.time}
        assert fold.predict.size == times.count(fold.time)
        assert fold.label == f"t{fold.time}"
    left_out = set(times) - {fold.time for fold in folds}
    assert all(sum(one + horizon <= time for one in times) < min_rows for time in left_out)
    assert [fold.time for fold in folds] == sorted(fold.time for fold in folds)


def test_the_target_of_the_period_before_is_known_exactly_at_horizon_one() -> None:
    assert [fold.learn.tolist() for fold in folds_of([0, 1, 2, 3], 1)] == [[0], [0, 1], [0, 1, 2]]
    assert [fold.learn.tolist() for fold in folds_of([0, 1, 2, 3], 2)] == [[0], [0, 1]]


@given(
    times=TIMES, horizon=HORIZONS, min_rows=st.integers(1, 8), held_out=st.integers(1, 8), search=st.integers(1, 8)
)  # fmt: skip
def test_the_search_is_over_before_the_first_held_out_prediction(
    times: list[int], horizon: int, min_rows: int, held_out: int, search: int
) -> None:
    all_folds = folds_of(times, horizon, min_rows)
    splits = split_by_time(
        np.array(times, dtype=np.int64), [f"t{one}" for one in times],
        horizon=horizon, held_out=held_out, search=search, min_rows=min_rows,
    )  # fmt: skip
    later = [fold.time for fold in splits.held_out]
    assert later == [fold.time for fold in all_folds][-held_out:]
    allowed = [fold.time for fold in all_folds if later and fold.time + horizon <= later[0]]
    assert [fold.time for fold in splits.search] == allowed[-search:]


# Without time


def the_parts(splits: Splits) -> list[list[int]]:
    return [fold.predict.tolist() for fold in (*splits.search, *splits.held_out)]


@st.composite
def rows_in_groups(draw: st.DrawFn) -> tuple[list[str], list[str], int]:
    """A group and a class for each row, and a number of folds there is enough for."""
    folds = draw(st.integers(3, 5))
    groups = draw(st.lists(st.integers(0, 30).map(str), min_size=2 * folds, max_size=60))
    groups = [f"g{number}" for number in range(folds)] + groups
    classes = draw(st.lists(st.sampled_from("ab"), min_size=len(groups), max_size=len(groups)))
    return groups, ["a"] * folds + ["b"] * folds + classes[2 * folds :], folds


@given(made=rows_in_groups(), seed=st.integers(0, 5), stratified=st.booleans())
@pytest.mark.filterwarnings("ignore:The least populated class:UserWarning")
def test_groups_are_never_on_both_sides_and_no_row_is_lost(
    made: tuple[list[str], list[str], int], seed: int, stratified: bool
) -> None:
    groups, classes, folds = made
    splits = split_rows(len(groups), folds, seed, groups=groups, classes=classes if stratified else None)
    assert sorted(chain(*the_parts(splits))) == list(range(len(groups)))
    held_out = set(splits.held_out[0].predict.tolist())
    for fold in (*splits.search, *splits.held_out):
        learnt, predicted = fold.learn.tolist(), fold.predict.tolist()
        assert not {groups[one] for one in learnt} & {groups[one] for one in predicted}
        assert learnt
    for fold in splits.search:
        assert set(fold.learn.tolist()) == set(range(len(groups))) - held_out - set(fold.predict.tolist())


@given(counts=st.tuples(st.integers(6, 40), st.integers(6, 40), st.integers(6, 40)), seed=st.integers(0, 5))
def test_every_part_keeps_the_shares_of_the_classes(counts: tuple[int, int, int], seed: int) -> None:
    classes = [name for name, count in zip("abc", counts, strict=True) for _ in range(count)]
    splits = split_rows(len(classes), 6, seed, classes=classes)
    parts = the_parts(splits)
    assert sorted(chain(*parts)) == list(range(len(classes)))
    for name, count in zip("abc", counts, strict=True):
        found = [Counter(classes[place] for place in part)[name] for part in parts]
        assert max(found) - min(found) <= 1
        assert sum(found) == count


def test_parts_are_drawn_by_the_seed_and_are_of_one_size() -> None:
    first, again, other = (the_parts(split_rows(50, 5, seed)) for seed in (1, 1, 2))
    assert first == again != other
    assert [len(part) for part in first] == [10] * 5
    assert first[0] != list(range(10)), "rows are shuffled"


def test_two_parts_leave_nothing_to_search() -> None:
    """One is held out, and the other would have to be learnt from and predicted."""
    splits = split_rows(10, 2, 0)
    assert (splits.search, len(splits.held_out)) == ((), 1)
    assert sorted([*splits.held_out[0].learn, *splits.held_out[0].predict]) == list(range(10))


def test_the_folds_have_names() -> None:
    splits = split_rows(10, 3, 0)
    assert [(one.label, one.time) for one in (*splits.search, *splits.held_out)] == [
        ("fold 1", 1), ("fold 2", 2), ("held out", 3),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("rows", "folds", "given", "text"),
    [
        (3, 4, {}, r"contract: training.folds: 3 rows are fewer than 4 folds; allowed: 2 to 3; next: collect more"),
        (9, 4, {"groups": list("aaabbbccc")}, "3 groups are fewer than 4 folds; allowed: 2 to 3"),
        (9, 4, {"classes": list("aaaaaaabb")}, "2 rows of the rarest class are fewer than 4 folds; allowed: 2 to 2"),
        (9, 2, {"classes": list("aaaaaaaab")}, "1 rows of the rarest class are fewer than 2 folds; allowed: more rows"),
        (0, 2, {"classes": [], "groups": []}, "0 rows are fewer than 2 folds"),
    ],
)  # fmt: skip
def test_too_few_are_told(rows: int, folds: int, given: dict[str, list[str]], text: str) -> None:
    with pytest.raises(TrainingError, match=text):
        split_rows(rows, folds, 0, **given)


def test_just_enough_is_enough() -> None:
    assert len(split_rows(4, 4, 0).search) == 3
    assert len(split_rows(8, 4, 0, groups=list("aabbccdd"), classes=list("xyxyxyxy")).search) == 3
