"""Emerging technologies: what grows fast in several sources at once, and is not in the catalogue."""

from __future__ import annotations

from pathlib import Path

import pytest

from include.kreislauf.collection.emerging import propose, token_of
from include.kreislauf.collection.panel import Observed
from include.kreislauf.requirements.contract import Emerging
from tests.collection.test_panel import observed
from tests.support.folder_source import TECHNOLOGIES, months_of, write_months

RULES = Emerging(min_sources=2, min_count=10, min_growth=1.5)
MONTHS = months_of(2015, 2016)


def source(tmp_path: Path, name: str, **newest: int) -> Observed:
    """A source of two years in which everything stays as it is, but for what is seen in the newest quarter."""
    write_months(tmp_path / name / "source", MONTHS, ada=100, basic=50, steady=30)
    write_months(tmp_path / name / "source", MONTHS[-3:], ada=100, basic=50, steady=30, **newest)
    return observed(tmp_path / name, name=name)


def test_what_grows_in_two_sources_is_proposed(tmp_path: Path) -> None:
    both = [source(tmp_path, "one", zephyr=20, lonely=90), source(tmp_path, "two", zephyr=9)]
    (found,) = propose(both, TECHNOLOGIES, RULES)
    assert found.shown == "zephyr"
    assert [(one.source, one.count) for one in found.sightings] == [("one", 60), ("two", 27)]
    assert all(one.growth > RULES.min_growth for one in found.sightings)


def test_the_catalogue_is_not_proposed_under_any_of_its_names(tmp_path: Path) -> None:
    known = [
        *TECHNOLOGIES,
        TECHNOLOGIES[0].model_copy(update={"name": "z", "repositories": ("acme/Zephyr",)}),
    ]
    both = [source(tmp_path, "one", zephyr=20), source(tmp_path, "two", zephyr=9)]
    assert propose(both, known, RULES) == []


@pytest.mark.parametrize("rules", [{"min_count": 100}, {"min_sources": 3}, {"min_growth": 1e6}])
def test_every_rule_of_the_contract_holds_back(tmp_path: Path, rules: dict[str, float]) -> None:
    both = [source(tmp_path, "one", zephyr=20), source(tmp_path, "two", zephyr=9)]
    assert propose(both, TECHNOLOGIES, RULES.model_copy(update=rules)) == []


def test_the_most_convincing_come_first_and_no_more_than_asked(tmp_path: Path) -> None:
    both = [
        source(tmp_path, "one", zephyr=20, quark=200, atom=5),
        source(tmp_path, "two", zephyr=20, quark=200, atom=5),
    ]
    found = propose(both, TECHNOLOGIES, RULES)
    assert [one.shown for one in found] == ["quark", "zephyr", "atom"]
    assert [one.shown for one in propose(both, TECHNOLOGIES, RULES.model_copy(update={"propose": 1}))] == [
        "quark"
    ]


def test_a_proposal_can_be_collected(tmp_path: Path) -> None:
    both = [source(tmp_path, "one", zephyr=20), source(tmp_path, "two", zephyr=9)]
    technology = propose(both, TECHNOLOGIES, RULES)[0].technology()
    assert (technology.name, technology.kind) == ("zephyr", "emerging")
    assert technology.tags == ("zephyr",)
    assert [term.text for term in technology.terms] == ["zephyr"]


@pytest.mark.parametrize("subject", ["Node.js", "node-js", "nodejs/NodeJS", "NODE_JS"])
def test_one_token_for_every_way_to_write_a_name(subject: str) -> None:
    assert token_of(subject) == "nodejs"


@pytest.mark.parametrize("subject", ["c++", "c#", "c"])
def test_what_makes_the_name_stays(subject: str) -> None:
    assert token_of(subject) == subject
