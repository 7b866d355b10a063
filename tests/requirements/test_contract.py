"""Contracts: one hash per meaning, whatever the writing; the published JSON Schema says the same as the models."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from pydantic import ValidationError

from include.kreislauf.requirements.contract import Contract, PortfolioUplift, canonical_json, json_schema
from include.kreislauf.requirements.loading import contract_files, load_contract
from include.kreislauf.requirements.strict_yaml import parse
from include.kreislauf.settings import ROOT

USE_CASES = ROOT / "include" / "use_cases"
SHIPPED = list(contract_files(USE_CASES))
EXAMPLE = USE_CASES / "technology_radar" / "contract.yaml"
CONTENT = parse(EXAMPLE.read_text())[0]
TECHNOLOGY = {
    "name": "go", "kind": "language", "languages": ["Go"], "repositories": ["golang/go"], "topics": ["golang"],
    "tags": ["go"], "terms": [{"text": "Go", "exact_case": True, "not_in": ["go to market"]}],
}  # fmt: skip
RADAR = {**CONTENT, "technologies": [TECHNOLOGY]}
SCHEMA = json.loads((USE_CASES / "contract.schema.json").read_text())
OTHER_TEXTS = {
    "automatic": "required", "month": "year", "quarter": "month", "text": "date", "number": "text", "date": "text"
}  # fmt: skip


def shuffled(value: Any, random: Any) -> Any:
    """The same value with its fields in another order."""
    if isinstance(value, dict):
        items = [(key, shuffled(one, random)) for key, one in value.items()]
        random.shuffle(items)
        return dict(items)
    return [shuffled(one, random) for one in value] if isinstance(value, list) else value


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Path to every single value."""
    if isinstance(value, dict | list):
        for key in value if isinstance(value, dict) else range(len(value)):
            yield from places(value[key], (*path, key))
    else:
        yield path


def replaced(content: Any, path: tuple[Any, ...], change: Any) -> Any:
    """A copy with another value in one place."""
    copy = deepcopy(content)
    parent = copy
    for part in path[:-1]:
        parent = parent[part]
    parent[path[-1]] = change(parent[path[-1]])
    return copy


def another(value: Any) -> Any:
    """A value that differs and is of the same type."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value * 0.5 if isinstance(value, float) else value + 1
    return OTHER_TEXTS.get(value, f"{value}s")


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.parent.name)
def test_the_shipped_contracts_are_valid(path: Path):
    contract = load_contract(path)
    assert contract.gate_metric in contract.business_metrics
    assert Contract.model_validate(contract.model_dump(mode="json")) == contract


def test_the_shipped_use_cases_are_found():
    assert [path.parent.name for path in SHIPPED] == ["machine_failure", "technology_radar"]


@given(st.randoms())
def test_law_the_order_of_fields_does_not_change_the_hash(random: Any):
    assert Contract.model_validate(shuffled(RADAR, random)).hash == Contract.model_validate(RADAR).hash


def test_white_space_comments_and_style_do_not_change_the_hash(tmp_path: Path):
    path = tmp_path / "technology_radar" / "contract.yaml"
    path.parent.mkdir()
    shutil.copy(EXAMPLE.with_name("technologies.yaml"), path.parent)
    writings = [
        EXAMPLE.read_text().replace("\n", "   # a comment\n\n", 1).replace(": ", ":    "),
        EXAMPLE.read_text().replace("\n", "\r\n"),
        "\ufeff" + EXAMPLE.read_text(),
        json.dumps(CONTENT, indent=7),
        yaml.safe_dump(CONTENT, default_flow_style=True),
    ]
    hashes = set()
    for text in writings:
        path.write_bytes(text.encode())
        hashes.add(load_contract(path).hash)
    assert hashes == {load_contract(EXAMPLE).hash}


def test_a_default_written_out_or_a_whole_number_for_a_fraction_does_not_change_the_hash():
    written_out = replaced(RADAR, ("business_metrics", 1, "threshold"), int)
    written_out["business_metrics"][0]["level"] = 0.8
    written_out["governor"]["help_periods"] = 2
    assert Contract.model_validate(written_out).hash == Contract.model_validate(RADAR).hash


def test_every_value_changes_the_hash():
    hashes = {Contract.model_validate(RADAR).hash}
    changes = 0
    for path in places(RADAR):
        try:
            changed = Contract.model_validate(replaced(RADAR, path, another))
        except ValidationError:
            continue  # the only value that is allowed there, or one that others refer to
        changes += 1
        hashes.add(changed.hash)
    assert changes > 30
    assert len(hashes) == changes + 1


def test_the_hash_is_the_sha_256_of_the_canonical_json():
    assert canonical_json({"b": [1.5, "größer"], "a": None}) == '{"a":null,"b":[1.5,"größer"]}'
    assert len(Contract.model_validate(RADAR).hash) == 64
    with pytest.raises(ValueError, match="not JSON compliant"):
        canonical_json(float("nan"))


def test_the_gate_metric_is_the_one_that_can_be_computed_in_the_lab():
    content = {**RADAR, "business_metrics": RADAR["business_metrics"][::-1]}
    assert isinstance(Contract.model_validate(content).gate_metric, PortfolioUplift)


def test_a_contract_cannot_be_changed():
    contract = Contract.model_validate(RADAR)
    with pytest.raises(ValidationError, match="frozen"):
        contract.title = "Another"
    with pytest.raises(ValidationError, match="frozen"):
        contract.quality.min_rows = 0


def test_the_published_schema_is_up_to_date():
    assert json_schema() == SCHEMA, "run: make schema"


def test_the_published_schema_is_a_valid_one():
    Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.parent.name)
def test_the_published_schema_accepts_the_shipped_contracts(path: Path):
    Draft202012Validator(SCHEMA).validate(parse(path.read_text())[0])
    assert "contract.schema.json" in path.read_text().splitlines()[0], (
        "editors find the schema by the first line"
    )


WRONG = [None, True, -1, 0.5, 1e9 + 0.5, "", "../x", [], {}, {"kind": "other"}]


def accepted(content: dict[str, Any]) -> bool | None:
    """Whether the models accept it; ``None`` when what they miss spans several fields: a schema cannot say that."""
    try:
        Contract.model_validate(content)
    except ValidationError as error:
        return None if {fault["type"] for fault in error.errors()} == {"inconsistent"} else False
    return True


@pytest.mark.parametrize("value", WRONG, ids=repr)
def test_the_schema_and_the_models_agree_on_any_value_in_any_place(value: object):
    validator = Draft202012Validator(SCHEMA)
    for path in places(RADAR):
        if (path, value) == (("version",), True):
            continue  # Python's True is 1, and is read as 1
        content = replaced(RADAR, path, lambda _: value)
        assert accepted(content) in (validator.is_valid(content), None), path
