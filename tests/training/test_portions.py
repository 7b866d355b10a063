"""Searched families on the disk: found again as they were, or not at all."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from include.kreislauf.training.families import Candidate
from include.kreislauf.training.portions import ACCOUNT, DIGEST, PREDICTIONS, Portions
from include.kreislauf.training.search import Searched

BEST = Candidate(
    "random_forest:max_features=None", "random_forest", {"n_estimators": 150, "max_features": None}
)
SEARCHED = Searched(
    family="random_forest", best=BEST, losses={BEST.name: (0.1 + 0.2, 8), "random_forest:default": (1 / 3, 2)},
    failed={"random_forest:bad": "took more than 60 s"},
    predictions={"2015-01-01": np.array([0.1, 1 / 3]), "2014-10-01": np.array([[0.25, 0.75]])},
    seconds=1.25, fits=10, configurations=3, folds=8,
)  # fmt: skip


@pytest.fixture
def portions(tmp_path: Path) -> Portions:
    made = Portions(tmp_path / "radar" / "c0001-1", '["features@7"]')
    made.keep(SEARCHED)
    return made


def test_a_searched_family_is_found_again_as_it_was(portions: Portions) -> None:
    found = portions.find("random_forest")
    assert found is not None
    assert replace(found, predictions={}) == replace(SEARCHED, predictions={})
    assert list(found.predictions) == list(SEARCHED.predictions)
    for label, values in SEARCHED.predictions.items():
        np.testing.assert_array_equal(found.predictions[label], values)


def test_a_family_of_which_all_failed_is_found_again(portions: Portions) -> None:
    nothing = replace(SEARCHED, family="ridge", best=None, losses={}, predictions={})
    portions.keep(nothing)
    assert portions.find("ridge") == nothing


def test_what_is_not_there_or_was_made_from_something_else_is_not_found(portions: Portions) -> None:
    assert portions.find("ridge") is None
    assert Portions(portions.folder, '["features@8"]').find("random_forest") is None
    assert Portions(portions.folder.parent / "c0001-2", portions.basis).find("random_forest") is None


@pytest.mark.parametrize("name", [ACCOUNT, PREDICTIONS, DIGEST])
@pytest.mark.parametrize("content", [None, b"", b"{}", b"[]", b"1", b"\xff\xfe", "half"])
def test_a_damaged_one_is_not_found(portions: Portions, name: str, content: bytes | str | None) -> None:
    path = portions.folder / "random_forest" / name
    if content is None:
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:-9] if isinstance(content, str) else content)
    assert portions.find("random_forest") is None


def test_a_later_search_takes_the_place_of_an_earlier_one(portions: Portions) -> None:
    other = Portions(portions.folder, '["features@8"]')
    other.keep(replace(SEARCHED, fits=99))
    found = other.find("random_forest")
    assert found is not None
    assert found.fits == 99
    assert portions.find("random_forest") is None
    assert [one.name for one in portions.folder.iterdir()] == ["random_forest"]
