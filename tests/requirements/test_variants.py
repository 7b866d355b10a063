"""Variants of a use case: the same contract over other sources, and nothing else."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from include.kreislauf.errors import ContractError
from include.kreislauf.requirements.loading import load_contract
from include.kreislauf.requirements.variants import catalogue_variant, recorded_variant, with_sources
from include.kreislauf.settings import ROOT

USE_CASE = ROOT / "include" / "use_cases" / "technology_radar"
CATALOGUE = {"version": 1, "technologies": [{"name": "zig", "kind": "language", "languages": ["Zig"]}]}


def test_recorded_data_replace_the_sources_and_the_catalogue(tmp_path: Path) -> None:
    shipped, variant = (
        load_contract(USE_CASE / "contract.yaml"),
        load_contract(recorded_variant(USE_CASE, tmp_path)),
    )
    assert [source.kind for source in variant.sources] == ["table"]
    assert (variant.technologies, variant.sign_off) == ((), "automatic")
    assert variant.hash != shipped.hash
    assert (shipped.delivery.approval, variant.delivery.approval) == ("required", "none")
    changed = {"sources", "technologies", "sign_off", "delivery"}
    assert variant.model_dump(exclude=changed) == shipped.model_dump(exclude=changed)


def test_another_catalogue_leaves_the_sources(tmp_path: Path) -> None:
    shipped = load_contract(USE_CASE / "contract.yaml")
    variant = load_contract(catalogue_variant(USE_CASE, tmp_path, CATALOGUE))
    assert [one.name for one in variant.technologies] == ["zig"]
    assert variant.sources == shipped.sources


def test_a_replay_asks_nobody_before_a_release_goes_live(tmp_path: Path) -> None:
    shutil.copytree(USE_CASE, tmp_path / "from" / "technology_radar")
    path = tmp_path / "from" / "technology_radar" / "contract.yaml"
    path.write_text(path.read_text().replace("  approval: required", "  on_inconclusive: ask"))
    variant = load_contract(recorded_variant(path.parent, tmp_path / "to"))
    assert variant.delivery.on_inconclusive == "promote"


def test_writing_a_variant_twice_gives_the_same(tmp_path: Path) -> None:
    first = recorded_variant(USE_CASE, tmp_path).read_text()
    assert recorded_variant(USE_CASE, tmp_path).read_text() == first
    assert (tmp_path / "technology_radar" / "features.py").exists()


def test_comments_and_other_sections_keep_their_text() -> None:
    contract = (
        "# first\nname: x\nsources:\n  - kind: table # old\n\n    name: y\n# next\nquality:\n  min_rows: 1\n"
    )
    assert with_sources(contract, "# recorded\nsources:\n  - new\n") == (
        "# first\nname: x\nsources:\n  - new\n\n# next\nquality:\n  min_rows: 1\n"
    )


@pytest.mark.parametrize(
    ("contract", "sources"), [("name: x\n", "sources:\n  - a\n"), ("sources:\n  - a\n", "other: 1\n")]
)
def test_a_text_without_sources_is_told(contract: str, sources: str) -> None:
    with pytest.raises(ContractError, match="has no section sources"):
        with_sources(contract, sources)


def test_a_use_case_without_recorded_data_says_what_to_write(tmp_path: Path) -> None:
    (tmp_path / "plain").mkdir()
    with pytest.raises(
        ContractError, match=r"recorded\.yaml: cannot be replayed over recorded data; next: write"
    ):
        recorded_variant(tmp_path / "plain", tmp_path / "out")
