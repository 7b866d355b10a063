"""Addresses: what a result depends on, and nothing else, makes another one."""

from __future__ import annotations

import ast
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from include.kreislauf.handovers import Stage
from include.kreislauf.requirements.contract import Contract
from include.kreislauf.requirements.loading import load_contract
from include.kreislauf.settings import ROOT, Settings
from include.kreislauf.store import addresses
from include.kreislauf.store.addresses import ELSEWHERE, PACKAGES, PARTS, address_of

CONTRACT = load_contract(ROOT / "include" / "use_cases" / "technology_radar" / "contract.yaml")
SETTINGS = Settings()
INPUTS = {"raw data": "raw@3"}
TO_PEOPLE = {"hash", "gate_metric", "title", "name"}
"""What documents name of a contract, and what is made of its other fields."""
CHANGES: dict[str, dict[str, Any]] = {
    "title": {"title": "Another title"},
    "owner": {"owner": "somebody else"},
    "governor": {"governor": CONTRACT.governor.model_copy(update={"cool_down_days": 99})},
    "delivery": {"delivery": CONTRACT.delivery.model_copy(update={"approval": "required"})},
    "monitoring": {"monitoring": CONTRACT.monitoring.model_copy(update={"max_shift": 0.9})},
    "business_metrics": {"business_metrics": CONTRACT.business_metrics[:1]},
    "performance.min_gain": {"performance": CONTRACT.performance.model_copy(update={"min_gain": 0.9})},
    "performance.metric": {"performance": CONTRACT.performance.model_copy(update={"metric": "rmse"})},
    "training": {"training": CONTRACT.training.model_copy(update={"configurations": 999})},
    "preparation": {"preparation": CONTRACT.preparation.model_copy(update={"leak_checks": 0})},
    "quality": {"quality": CONTRACT.quality.model_copy(update={"min_rows": 999})},
    "emerging": {"emerging": CONTRACT.emerging.model_copy(update={"adopt": 99})},
    "technologies": {"technologies": CONTRACT.technologies[:-1]},
    "sources": {"sources": (*(one.model_copy(update={"since": one.since.replace(year=1999)}) for one in CONTRACT.sources),)},
    "problem.horizon": {"problem": CONTRACT.problem.model_copy(update={"horizon": 9})},
    "problem.period": {"problem": CONTRACT.problem.model_copy(update={"period": "month"})},
    "problem.requests": {"problem": CONTRACT.problem.model_copy(update={"requests": "features"})},
}  # fmt: skip
"""By field another value of it."""


def digest_of(stage: Stage, contract: Contract = CONTRACT, inputs: dict[str, str] | None = None) -> str:
    return address_of(stage, contract, SETTINGS, INPUTS if inputs is None else inputs).digest


def depends(stage: Stage, field: str) -> bool:
    return any(field == part or field.startswith(f"{part}.") for part in PARTS[stage])


# The contract


@given(st.lists(st.sampled_from(sorted(CHANGES)), min_size=1, unique=True), st.sampled_from(list(PARTS)))
def test_a_change_counts_where_a_stage_depends_on_it_and_only_there(fields: list[str], stage: Stage) -> None:
    changed = CONTRACT
    for field in fields:
        update = CHANGES[field]
        section = field.split(".")[0]
        if "." in field:  # of a section that another field may have changed before
            name = field.split(".")[1]
            given_section = getattr(changed, section).model_copy(
                update={name: getattr(update[section], name)}
            )
            update = {section: given_section}
        changed = changed.model_copy(update=update)
    same = digest_of(stage, changed) == digest_of(stage)
    assert same == (not any(depends(stage, field) for field in fields))


def fields_of(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    """Every field of a contract; those of sections one below."""
    for name, field in model.model_fields.items():
        kind = field.annotation
        if not prefix and isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from fields_of(kind, f"{name}.")
        else:
            yield f"{prefix}{name}"


def test_each_field_of_a_contract_belongs_to_a_stage_or_to_none_on_purpose() -> None:
    """Whoever adds a field says what depends on it."""
    all_parts = [part for parts in PARTS.values() for part in parts]
    known = (*all_parts, *ELSEWHERE)
    fields = list(fields_of(Contract))
    forgotten = [field for field in fields if not any(field == one or field.startswith(f"{one}.") for one in known)]  # fmt: skip
    assert forgotten == []
    assert set(all_parts).isdisjoint(ELSEWHERE)


@pytest.mark.parametrize("part", sorted({*ELSEWHERE, *(part for parts in PARTS.values() for part in parts)}))
def test_each_part_is_a_field_of_a_contract(part: str) -> None:
    fields = {*fields_of(Contract), *(field.split(".")[0] for field in fields_of(Contract))}
    assert part in fields | {"sources.kind", "sources.columns"}


@pytest.mark.parametrize("stage", list(PARTS))
def test_the_code_of_a_stage_looks_at_no_other_part_of_the_contract(stage: Stage) -> None:
    package = PACKAGES[stage][0]
    read = {
        field for path in (ROOT / "include" / "kreislauf" / package).rglob("*.py") for field in read_by(path)
    }
    assert {field for field in read if not depends(stage, field)} <= set()


def read_by(path: Path) -> Iterator[str]:
    """``section`` of every ``contract.section``, and ``problem.field`` of every ``problem.field`` in a file."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if not isinstance(node, ast.Attribute):
            continue
        owner = node.value.id if isinstance(node.value, ast.Name) else getattr(node.value, "attr", "")
        if owner == "contract" and node.attr in Contract.model_fields and node.attr not in {"problem", "performance", *TO_PEOPLE}:  # fmt: skip
            yield "sources.columns" if node.attr == "sources" else node.attr
        if owner == "problem" and node.attr in type(CONTRACT.problem).model_fields:
            yield f"problem.{node.attr}"


# Inputs and code


@given(st.dictionaries(st.text(min_size=1, max_size=5), st.text(max_size=5), min_size=1))
def test_another_version_of_an_input_is_another_address(inputs: dict[str, str]) -> None:
    for stage in PARTS:
        assert (digest_of(stage, inputs=inputs) == digest_of(stage)) == (inputs == INPUTS)


def test_the_stages_have_addresses_of_their_own() -> None:
    assert len({digest_of(stage) for stage in PARTS}) == len(PARTS)


def test_another_version_of_the_code_is_another_address() -> None:
    released = Settings(code_version="another")
    for stage in PARTS:
        assert address_of(stage, CONTRACT, released, INPUTS).digest != digest_of(stage)


@pytest.mark.parametrize(
    ("file", "stages"),
    [
        ("features.py", {Stage.PREPARATION}), ("source.py", {Stage.COLLECTION}), ("metrics.py", set()),
        ("helpers.py", set(PARTS)), ("notes.md", set()),
    ],
)  # fmt: skip
def test_a_use_cases_own_file_counts_for_the_stages_that_use_it(
    file: str, stages: set[Stage], tmp_path: Path
) -> None:
    folder = tmp_path / CONTRACT.name
    shutil.copytree(ROOT / "include" / "use_cases" / CONTRACT.name, folder)
    settings = Settings(use_cases=tmp_path)
    before = {stage: address_of(stage, CONTRACT, settings, INPUTS).digest for stage in PARTS}
    with (folder / file).open("a") as opened:
        opened.write("# changed\n")
    after = {stage: address_of(stage, CONTRACT, settings, INPUTS).digest for stage in PARTS}
    assert {stage for stage in PARTS if before[stage] != after[stage]} == stages


def test_another_line_of_a_stages_own_code_is_another_address(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    copied = tmp_path / "kreislauf"
    for name in {one for names in PACKAGES.values() for one in names}:
        source = ROOT / "include" / "kreislauf" / name
        copied.mkdir(exist_ok=True)
        shutil.copytree(source, copied / name) if source.is_dir() else shutil.copy(source, copied / name)
    monkeypatch.setattr(addresses, "_KREISLAUF", copied)
    addresses._own_code.cache_clear()
    before = {stage: digest_of(stage) for stage in PARTS}
    with (copied / "collection" / "panel.py").open("a") as opened:
        opened.write("# changed\n")
    addresses._own_code.cache_clear()
    try:
        assert {stage for stage in PARTS if digest_of(stage) != before[stage]} == {Stage.COLLECTION}
    finally:
        addresses._own_code.cache_clear()
