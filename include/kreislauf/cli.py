"""The command line: ``python -m include.kreislauf --help``."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from datetime import UTC, date, datetime
from pathlib import Path

from include.kreislauf.cli_alone import add_commands
from include.kreislauf.cli_canary import add_canary
from include.kreislauf.cli_keys import add_keys
from include.kreislauf.cli_log import add_log
from include.kreislauf.cli_loops import add_loops
from include.kreislauf.cli_new import add_new_use_case
from include.kreislauf.cli_query import add_query, check_queries
from include.kreislauf.cli_release import add_release_commands
from include.kreislauf.cli_replay import add_replay
from include.kreislauf.cli_reuse import add_reuse
from include.kreislauf.cli_start import add_start
from include.kreislauf.cli_watch import add_watch
from include.kreislauf.errors import KreislaufError
from include.kreislauf.handovers import Handover
from include.kreislauf.settings import ROOT, get_settings


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    options = parser().parse_args(arguments)
    try:
        code: int = options.command(options)
        sys.stdout.flush()
    except KreislaufError as error:
        print(error.text, file=sys.stderr)
        return 1
    except BrokenPipeError:
        # who reads, such as head, has seen enough; Python would complain once more at its end
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return code


def parser() -> argparse.ArgumentParser:
    """All commands; the reference is written from it, too."""
    top = argparse.ArgumentParser(prog="python -m include.kreislauf", description="Kreislauf's command line")
    commands = top.add_subparsers(required=True, metavar="command")

    run = commands.add_parser("run", help="start the embedded stack and live through a world")
    run.add_argument(
        "--use-case", action="append", dest="use_cases", metavar="NAME", default=[],
        help="name of a use case; several times for several, or all; default: technology_radar",
    )  # fmt: skip
    run.add_argument("--data", default="", help="folder or URL with the real data; empty: a simulated world")
    run.add_argument("--home", default=str(ROOT / "var"), help="folder of everything the run writes")
    run.add_argument("--start", type=_day, default="", help="day of the first cycle; empty: the world's own")
    run.add_argument("--end", type=_day, default="", help="last day; empty: as far as the data go")
    run.add_argument("--seed", type=int, default=0, help="seed of the simulated world")
    run.add_argument(
        "--wait", type=int, default=1, choices=(0, 1), help="0: stop at the end; 1: stay until Ctrl-C"
    )
    run.set_defaults(command=_run)
    add_start(commands)

    contract = commands.add_parser("contract", help="check contracts, or print their JSON Schema")
    contract.add_argument(
        "what",
        choices=("check", "schema", "catalogue-schema"),
        help="check all contracts, or print the JSON Schema of contracts or of catalogues",
    )
    contract.set_defaults(command=_contract)

    store = commands.add_parser("store", help="the workflow store")
    store.add_argument(
        "what",
        choices=("upgrade", "revision", "grant-service"),
        help="migrate it, print the version of its schema, or give the prediction service's role its rights",
    )
    store.add_argument(
        "role", nargs="?", default="", help="of grant-service: PostgreSQL role of the prediction service"
    )
    store.set_defaults(command=_store)

    collect = commands.add_parser("collect", help="run data collection alone, without Airflow")
    collect.add_argument("use_case", help="name of the use case")
    collect.add_argument("--as-of", type=_day, default="", help="what the data may know of; empty: now")
    collect.add_argument(
        "--widen", action="store_true", help="take in emerging technologies, as a loop would (emerging.adopt)"
    )
    collect.add_argument(
        "--fresh", action="store_true", help="make a version although one of the same content is there"
    )
    collect.set_defaults(command=_collect)

    add_commands(commands, _day)
    add_query(commands)
    add_release_commands(commands)
    add_replay(commands)
    add_loops(commands)
    add_keys(commands)
    add_log(commands)
    add_watch(commands)
    add_canary(commands)
    add_reuse(commands)
    add_new_use_case(commands)

    source = commands.add_parser("add-source", help="write the skeleton of a source kind, and its example")
    source.add_argument("name", help="such as package_downloads")
    source.set_defaults(command=_add_source)
    return top


def _day(text: str) -> str:
    """A day as YYYY-MM-DD, or nothing."""
    if text:
        try:
            date.fromisoformat(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(f"{text!r} is not a day; allowed: YYYY-MM-DD") from error
    return text


def _run(options: argparse.Namespace) -> int:
    from include.kreislauf.embedded.run import RunOptions, run, started_at
    from include.kreislauf.embedded.session import say_now

    if options.end and options.start and options.end <= options.start:
        raise KreislaufError(f"--end {options.end} is not after --start {options.start}", where="run")
    wanted = {name: getattr(options, name) for name in RunOptions.__dataclass_fields__}
    wanted["use_cases"] = _named(options.use_cases)
    return run(RunOptions(**wanted), wait=bool(options.wait), started_at=started_at(), say=say_now)


def _named(names: list[str]) -> tuple[str, ...]:
    """Each once; ``all`` stands for those that have a simulated world."""
    from include.kreislauf.embedded.making import SIMULATED

    if "all" in names:
        return tuple(SIMULATED)
    return tuple(dict.fromkeys(names)) or ("technology_radar",)


def _contract(options: argparse.Namespace) -> int:
    from include.kreislauf.requirements.catalogue import Catalogue
    from include.kreislauf.requirements.contract import Contract, json_schema
    from include.kreislauf.requirements.loading import load_all

    if options.what != "check":
        model = Contract if options.what == "schema" else Catalogue
        print(json.dumps(json_schema(model), indent=1, ensure_ascii=False))
        return 0
    from include.kreislauf.requirements.cautions import cautions
    from include.kreislauf.training.families import check_declared

    settings = get_settings()
    contracts, broken = load_all(Path(settings.use_cases))
    faults = [f"{one.name}: {one.error.text}" for one in broken]
    for name, contract in contracts.items():
        try:
            check_declared(contract)
            check_queries(contract)
        except KreislaufError as error:
            faults.append(f"{name}: {error.text}")
        else:
            print(f"{name}: valid, version {contract.hash}")
            for caution in cautions(contract, settings.log_days):
                print(f"{name}: warning: {caution}", file=sys.stderr)
    for fault in faults:
        print(fault, file=sys.stderr)
    return 1 if faults else 0


def _collect(options: argparse.Namespace) -> int:
    """Its version is one of the use case's, but no handover: nothing is told to the next role."""
    import logging

    from include.kreislauf.collection.step import collect_alone
    from include.kreislauf.requirements.loading import contract_path, load_contract

    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    for noisy in ("httpx", "alembic", "matplotlib"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    settings = get_settings()
    contract = load_contract(contract_path(settings.use_cases, options.use_case))
    day = datetime.fromisoformat(options.as_of).replace(tzinfo=UTC) if options.as_of else settings.now()
    result = collect_alone(
        contract, settings, as_of=day, now=settings.now(), widen=options.widen, fresh=options.fresh
    )
    print(result.document)
    if isinstance(result.message, Handover):
        sheets = settings.artefacts / contract.name / "data_sheets"
        print(
            f"data sheet: {sheets / f'{result.message.cycle_id}-{result.message.attempt}'}", file=sys.stderr
        )
    return 0 if isinstance(result.message, Handover) else 1


def _add_source(options: argparse.Namespace) -> int:
    from include.kreislauf.collection.new_source import add_source

    for path in add_source(ROOT, options.name):
        print(path.relative_to(ROOT))
    print(
        'next: write its reading, then: make schema && make test ARGS="tests/collection/sources tests/requirements"'
    )
    return 0


def _store(options: argparse.Namespace) -> int:
    from include.kreislauf.store.database import get_store

    store = get_store()
    if options.what == "grant-service":
        from include.kreislauf.store.roles import grant_service

        grant_service(store, options.role)
        print(f"{options.role} may do what the prediction service does, and nothing else")
        return 0
    if options.what == "upgrade":
        store.upgrade()
    print(store.revision() or "(empty)")
    return 0
