"""From ``contract.yaml`` to a validated contract, with the line of every fault."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import ValidationError

from include.kreislauf.errors import ContractError
from include.kreislauf.requirements.business import OwnMetric
from include.kreislauf.requirements.catalogue import Catalogue
from include.kreislauf.requirements.contract import Contract
from include.kreislauf.requirements.faults import faults_of
from include.kreislauf.requirements.section import Section
from include.kreislauf.requirements.sources import OwnSource
from include.kreislauf.requirements.strict_yaml import YamlFault, parse
from include.kreislauf.settings import CANARY, ROOT, get_settings

FILE_NAME = "contract.yaml"
CATALOGUE_NAME = "technologies.yaml"
MAX_BYTES = 200_000
CANARY_FOLDER = ROOT / "include" / "canary" / CANARY
MAX_FAULTS = 10
"""So many faults are told at once."""


@dataclass(frozen=True)
class Broken:
    """A use case whose contract cannot be used, and why."""

    name: str
    error: ContractError


def load_contract(path: Path) -> Contract:
    """Read and validate one contract, with the catalogue (``technologies.yaml``) beside it, where there is one.

    Raises
    ------
    ContractError: a file is missing, not YAML, or not valid; names file, line, fault and what is allowed.
    """
    catalogue = path.with_name(CATALOGUE_NAME)
    contract = _understood(path, _read(path), _read(catalogue) if catalogue.exists() else None)
    _require_own_files(contract, path)
    return contract


@lru_cache(maxsize=256)
def _understood(path: Path, written: bytes, catalogue: bytes | None) -> Contract:
    """The contract of a text: a process that looks often understands each text once."""
    content, tree = _parse(path, written, Contract)
    if catalogue is not None and "technologies" not in content:
        technologies = _catalogue(path.with_name(CATALOGUE_NAME), catalogue).technologies
        content = {**content, "technologies": [one.model_dump() for one in technologies]}
    contract = _validate(path, Contract, content, tree)
    if contract.name != path.parent.name:
        raise ContractError(
            f"name {contract.name!r} differs from its folder {path.parent.name!r}",
            where=f"{path}:{_line(tree, ('name',))}",
            allowed=path.parent.name,
            next_step="rename the folder or the use case",
        )
    return contract


def _require_own_files(contract: Contract, path: Path) -> None:
    """Whether the files that kind ``own`` needs stand beside the contract; what is in them is seen by those who use it."""
    needed = [
        ("source.py", "source", contract.sources, OwnSource),
        ("metrics.py", "metric", contract.business_metrics, OwnMetric),
    ]
    for name, what, declared, kind in needed:
        asking = next((one.name for one in declared if isinstance(one, kind)), None)
        if asking and not path.with_name(name).is_file():
            raise ContractError(
                f"{what} {asking} is of kind own, but there is no {name}", where=str(path),
                next_step=f"add {name} beside the contract (see the guide), or choose another kind",
            )  # fmt: skip


def load_catalogue(path: Path) -> Catalogue:
    """Read and validate a catalogue of technologies.

    Raises
    ------
    ContractError: as :func:`load_contract`.
    """
    return _catalogue(path, _read(path))


def _catalogue(path: Path, written: bytes) -> Catalogue:
    return _validate(path, Catalogue, *_parse(path, written, Catalogue))


Model = TypeVar("Model", bound=Section)


def _parse(path: Path, written: bytes, model: type[Section]) -> tuple[dict[str, Any], yaml.Node | None]:
    try:
        content, tree = parse(_text(path, written))
    except YamlFault as fault:
        raise ContractError(
            f"not valid YAML: {fault.what}", where=f"{path}:{fault.line}", next_step="correct the line"
        ) from fault
    if not isinstance(content, dict):
        raise ContractError(
            f"a {model.__name__.lower()} is a mapping of fields",
            where=f"{path}:1",
            allowed=sorted(model.model_fields),
        )
    return content, tree


def _validate(path: Path, model: type[Model], content: dict[str, Any], tree: yaml.Node | None) -> Model:
    try:
        return model.model_validate(content)
    except ValidationError as error:
        raise _contract_error(path, tree, error, model) from error


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
    if name == CANARY and get_settings().canary:
        return CANARY_FOLDER / FILE_NAME
    if name not in known:
        raise ContractError(
            f"no use case is named {name!r}", where=str(use_cases), allowed=sorted(known) or "(none yet)",
            next_step="choose one of these, or add a folder with a contract.yaml",
        )  # fmt: skip
    return known[name]


def contract_files(use_cases: Path) -> Iterator[Path]:
    """The contract files below a folder, by name; never the canary's, which only :func:`contract_path` finds."""
    yield from (path for path in sorted(use_cases.glob(f"*/{FILE_NAME}")) if path.parent.name != CANARY)


def folder_of(use_cases: Path, name: str) -> Path:
    """Where the files of a use case stand."""
    return CANARY_FOLDER if name == CANARY else use_cases / name


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise ContractError(f"cannot be read: {error.strerror}", where=str(path)) from error
    if len(content) > MAX_BYTES:
        raise ContractError(
            "larger than a contract can be", where=str(path), allowed=f"up to {MAX_BYTES} bytes"
        )
    return content


def _text(path: Path, content: bytes) -> str:
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ContractError(
            f"not UTF-8 at byte {error.start}", where=f"{path}:{line}", allowed="UTF-8",
            next_step="save the file as UTF-8",
        ) from error  # fmt: skip


def _contract_error(
    path: Path, tree: yaml.Node | None, error: ValidationError, model: type[Section]
) -> ContractError:
    """The first fault with its line; the others follow in the same message."""
    first, *others = faults_of(error, model)
    what = [first.what]
    what += [f"line {_line(tree, fault.location)}: {fault.what}" for fault in others[: MAX_FAULTS - 1]]
    if (untold := len(others) - MAX_FAULTS + 1) > 0:
        what.append(f"and {untold} more")
    return ContractError(
        "; ".join(what),
        where=f"{path}:{_line(tree, first.location)}",
        allowed=first.allowed,
        next_step="correct the contract and sign it again",
    )


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
