"""From ``contract.yaml`` to a validated contract, with the line of every fault."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from include.kreislauf.errors import ContractError
from include.kreislauf.handovers import NAME_PATTERN
from include.kreislauf.requirements.contract import Contract

FILE_NAME = "contract.yaml"
MAX_BYTES = 1_000_000


@dataclass(frozen=True)
class Broken:
    """A use case whose contract cannot be used, and why."""

    name: str
    error: ContractError


class _UniqueKeyLoader(yaml.SafeLoader):
    """YAML's safe loader, but a key given twice is an error instead of a silent overwrite."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            key = key_node.value
            if key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"key {key!r} is given twice", key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep)


def load_contract(path: Path) -> Contract:
    """Read and validate one contract.

    Raises
    ------
    ContractError: the file is missing, not YAML, or not a valid contract; names file, line, fault and what is allowed.
    """
    text = _read(path)
    try:
        tree = yaml.compose(text, Loader=_UniqueKeyLoader)
        content = yaml.load(text, Loader=_UniqueKeyLoader)  # noqa: S506 - a SafeLoader
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{path}:{mark.line + 1}" if mark else str(path)
        raise ContractError(
            f"not valid YAML: {getattr(error, 'problem', error)}", where=where, next_step="correct the line"
        ) from error
    if not isinstance(content, dict):
        raise ContractError(
            "a contract is a mapping of fields", where=f"{path}:1", allowed=sorted(Contract.model_fields)
        )
    try:
        contract = Contract.model_validate(content)
    except ValidationError as error:
        raise _contract_error(path, tree, error) from error
    if contract.name != path.parent.name:
        raise ContractError(
            f"name {contract.name!r} differs from its folder {path.parent.name!r}",
            where=f"{path}:{_line(tree, ('name',))}",
            allowed=path.parent.name,
            next_step="rename the folder or the use case",
        )
    return contract


def load_all(use_cases: Path) -> tuple[dict[str, Contract], list[Broken]]:
    """Every use case of a folder: the usable contracts by name, and the broken ones with their error.

    A broken contract never keeps the other use cases from running.
    """
    contracts: dict[str, Contract] = {}
    broken: list[Broken] = []
    for path in contract_files(use_cases):
        try:
            contract = load_contract(path)
            contracts[contract.name] = contract
        except ContractError as error:
            broken.append(Broken(path.parent.name, error))
    return contracts, broken


def contract_path(use_cases: Path, name: str) -> Path:
    """Where the contract of a use case stands.

    Raises
    ------
    ContractError: there is no such use case; names the ones there are.
    """
    known = {path.parent.name: path for path in contract_files(use_cases)}
    if name not in known:
        raise ContractError(
            f"no use case is named {name!r}", where=str(use_cases), allowed=sorted(known) or "(none yet)",
            next_step="choose one of these, or add a folder with a contract.yaml",
        )  # fmt: skip
    return known[name]


def contract_files(use_cases: Path) -> Iterator[Path]:
    """The contract files below a folder, by name."""
    yield from sorted(use_cases.glob(f"*/{FILE_NAME}"))


def _read(path: Path) -> str:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ContractError(f"cannot be read: {error.strerror}", where=str(path)) from error
    if len(content) > MAX_BYTES:
        raise ContractError(
            "larger than a contract can be", where=str(path), allowed=f"up to {MAX_BYTES} bytes"
        )
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ContractError(f"not UTF-8 at byte {error.start}", where=str(path)) from error


def _contract_error(path: Path, tree: yaml.Node | None, error: ValidationError) -> ContractError:
    """The first fault with its line; the others follow in the same message."""
    faults = [(_line(tree, fault["loc"]), fault) for fault in error.errors()]
    first_line, first = faults[0]
    what = "; ".join([_describe(first), *(f"line {line}: {_describe(fault)}" for line, fault in faults[1:])])
    return ContractError(
        what,
        where=f"{path}:{first_line}",
        allowed=_allowed(first),
        next_step="correct the contract and sign it again",
    )


def _describe(fault: ErrorDetails) -> str:
    field = ".".join(str(part) for part in fault["loc"]) or "contract"
    if fault["type"] == "extra_forbidden":
        return f"{field}: unknown field"
    if fault["type"] == "missing":
        return f"{field}: required field is missing"
    shown = f" (found {fault['input']!r})" if not isinstance(fault["input"], dict | list) else ""
    return f"{field}: {fault['msg']}{shown}"


def _allowed(fault: ErrorDetails) -> str:
    """What would have been accepted in the place of a fault."""
    context = fault.get("ctx", {})
    if fault["type"] == "union_tag_invalid":
        return str(context["expected_tags"])
    if fault["type"] == "string_pattern_mismatch" and context.get("pattern") == NAME_PATTERN:
        return "lower-case letters, digits and underscores, starting with a letter, at most 63"
    if fault["type"] in ("extra_forbidden", "missing"):
        return ", ".join(_fields_at(fault["loc"][:-1]))
    return str(context.get("expected", ""))


def _fields_at(location: Sequence[str | int]) -> list[str]:
    """Names of the fields that the model at a location has."""
    schema = Contract.model_json_schema()
    node: dict[str, Any] = schema
    for part in location:
        node = _resolve(schema, node)
        if isinstance(part, int):
            node = node.get("items", {})
        elif part in node.get("discriminator", {}).get("mapping", {}):
            node = {"$ref": node["discriminator"]["mapping"][part]}
        else:
            node = node.get("properties", {}).get(part, node.get("additionalProperties") or {})
    return list(_resolve(schema, node).get("properties", {}))


def _resolve(schema: dict[str, Any], node: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in node:
        node = schema["$defs"][node["$ref"].rsplit("/", 1)[-1]]
    return node


def _line(node: yaml.Node | None, location: Sequence[str | int]) -> int:
    """Line (from 1) of the deepest part of a location that exists in the file."""
    line = node.start_mark.line + 1 if node else 1
    for part in location:
        if isinstance(node, yaml.MappingNode):
            pair = next(((k, v) for k, v in node.value if k.value == str(part)), None)
            if pair is None:
                continue  # a discriminator's tag is part of pydantic's location, but not of the file
            line, node = pair[0].start_mark.line + 1, pair[1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            node = node.value[part]
            line = node.start_mark.line + 1
    return line
