"""Disciplines alone, from a shell, on any version: without Airflow, and without telling the next role anything."""

from __future__ import annotations

import argparse
import json
import logging
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from include.kreislauf.errors import KreislaufError
from include.kreislauf.handovers import Handover, PersonAnswer, PersonNeeded, Stage, StepResult, WorkOrder
from include.kreislauf.requirements.contract import Contract
from include.kreislauf.requirements.loading import contract_path, load_contract
from include.kreislauf.settings import Settings, get_settings

ASKS_A_PERSON = 2
"""Exit code of an evaluation that only a person can decide."""
_NOISY = ("httpx", "alembic", "matplotlib", "mlflow", "distributed")


def add_commands(commands: Any, day: Callable[[str], str]) -> None:
    """Add ``prepare``, ``train``, ``evaluate``, ``deploy`` and ``monitor`` to the command line's parser."""
    prepare = _command(commands, "prepare", "prepare features alone, from a raw-data version", _prepare, day)
    prepare.add_argument("--raw", default="", help="raw@number; empty: what was handed over last")
    train = _command(commands, "train", "train candidates alone, on a feature version", _train, day)
    train.add_argument("--features", default="", help="features@number; empty: what was handed over last")
    train.add_argument("--attempt", type=int, default=1, help="2 searches twice as wide, and so on")
    for one in (prepare, train):
        one.add_argument("--fresh", action="store_true", help="use no earlier result: do the work anew")
    evaluate = _command(commands, "evaluate", "evaluate the candidates of a training alone", _evaluate, day)
    evaluate.add_argument("--candidates", default="", help="folder@sha256; empty: what was handed over last")
    evaluate.add_argument(
        "--genuine", default="", metavar="NAME", help="who says that a result too good to be true is genuine"
    )
    deploy = _command(commands, "deploy", "make and verify a release of a winner, without going live", _deploy, day)  # fmt: skip
    deploy.add_argument(
        "--winner", default="", help="folder@sha256#candidate; empty: what was handed over last"
    )
    _parser(commands, "monitor", "judge the live release alone; records nothing", _monitor, day)


def _command(commands: Any, name: str, text: str, act: Callable[..., int], day: Callable[[str], str]) -> Any:
    return _parser(commands, name, text, lambda options: _run(options, act), day)


def _parser(
    commands: Any,
    name: str,
    text: str,
    command: Callable[[argparse.Namespace], int],
    day: Callable[[str], str],
) -> Any:
    parser = commands.add_parser(name, help=text, description=text)
    parser.add_argument("use_case", help="name of the use case")
    parser.add_argument("--as-of", type=day, default="", help="what may be known (YYYY-MM-DD); empty: now")
    parser.set_defaults(command=command)
    return parser


def _run(options: argparse.Namespace, act: Callable[..., int]) -> int:
    from include.kreislauf.store.database import Store

    _log_to_stderr()
    settings = get_settings()
    contract = load_contract(contract_path(settings.use_cases, options.use_case))
    Store(settings.store).upgrade()
    now = settings.now()
    as_of = _as_of(options, now)
    order = WorkOrder(
        use_case=contract.name, cycle_id=f"alone-{as_of:%Y-%m-%d}-{now:%Y%m%d%H%M%S}", contract_hash=contract.hash,
        as_of=as_of, started_by="command line",
    )  # fmt: skip
    return act(options, order, contract, settings)


def _log_to_stderr() -> None:
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    for name in _NOISY:
        logging.getLogger(name).setLevel(logging.WARNING)


def _as_of(options: argparse.Namespace, now: datetime) -> datetime:
    return datetime.fromisoformat(options.as_of).replace(tzinfo=UTC) if options.as_of else now


def _prepare(options: argparse.Namespace, order: WorkOrder, contract: Contract, settings: Settings) -> int:
    from include.kreislauf.preparation.step import prepare_alone

    return _told(prepare_alone(contract, settings, as_of=order.as_of, now=settings.now(), raw_version=options.raw or None, fresh=options.fresh))  # fmt: skip


def _train(options: argparse.Namespace, order: WorkOrder, contract: Contract, settings: Settings) -> int:
    from include.kreislauf.training.step import train

    known = _inputs(order, settings, Stage.PREPARATION, options.features, "features")
    return _told(train(order.model_copy(update={"inputs": known, "attempt": options.attempt, "fresh": options.fresh}), contract, settings))  # fmt: skip


def _evaluate(options: argparse.Namespace, order: WorkOrder, contract: Contract, settings: Settings) -> int:
    from include.kreislauf.evaluation.step import card_folder, evaluate
    from include.kreislauf.training.files import load_candidates

    version = options.candidates or _handed_over(order, settings, Stage.TRAINING)
    index = load_candidates(settings.artefacts, order.use_case, version).index
    made = {
        "inputs": {**index["inputs"], Stage.TRAINING: version},
        # the same time, unless another is asked for: so the same command gives the same numbers
        "as_of": order.as_of if options.as_of else datetime.fromisoformat(index["as_of"]),
    }
    answer = PersonAnswer(genuine=True, by=options.genuine) if options.genuine else None
    try:
        return _told(evaluate(order.model_copy(update=made), contract, settings, answer=answer))
    except PersonNeeded as needed:
        print(needed.question)
        print("next: look at the model card; if it is genuine, add --genuine NAME", file=sys.stderr)
        return ASKS_A_PERSON
    finally:
        print(f"model card: {card_folder(order, settings)}", file=sys.stderr)


def _deploy(options: argparse.Namespace, order: WorkOrder, contract: Contract, settings: Settings) -> int:
    from include.kreislauf.deployment.release import release_alone

    version = options.winner or _handed_over(order, settings, Stage.EVALUATION)
    path, note = release_alone(order, contract, settings, version)
    print(note)
    print(f"release, verified and not live: {path}", file=sys.stderr)
    return 0


def _monitor(options: argparse.Namespace) -> int:
    """By the contract that was signed, as monitoring does: the file may have changed since, or be broken."""
    from include.kreislauf.feedback.monitor import judge_release, what_is_live
    from include.kreislauf.monitoring.queries import observer
    from include.kreislauf.store.database import Store

    _log_to_stderr()
    settings = get_settings()
    contract_path(settings.use_cases, options.use_case)  # names the use cases there are
    now = settings.now()
    if (as_of := _as_of(options, now)) > now:
        raise KreislaufError(
            f"{as_of:%Y-%m-%d} is in the future", where="--as-of", allowed=f"up to {now:%Y-%m-%d}; empty: now"
        )
    with Store(settings.store).require().read() as db:
        release, contract = what_is_live(db, options.use_case)
        order = WorkOrder(
            use_case=contract.name, cycle_id=release.cycle_id, contract_hash=contract.hash, as_of=as_of,
            started_by="command line",
        )  # fmt: skip
        found = judge_release(db, order, release, contract, observer(settings), settings.use_cases)
    print(
        f"{contract.name}: release {release.version}, contract {contract.hash[:12]}, as of {as_of:%Y-%m-%d %H:%M} UTC"
    )
    for one in found:
        print(f"{one.metric.name}: {one.judgement.verdict}: {one.judgement.text}")
    return 0


def _told(result: StepResult) -> int:
    """Print what came of it; 0 for a handover, 1 for a loop."""
    print(result.document)
    message = result.message
    if isinstance(message, Handover):
        print(f"version: {message.output}", file=sys.stderr)
        return 0
    print(f"would go back: {message.edge}, {message.reason}: {message.text}", file=sys.stderr)
    print(json.dumps([one.model_dump() for one in message.evidence], indent=1), file=sys.stderr)
    return 1


def _inputs(order: WorkOrder, settings: Settings, stage: Stage, given: str, table: str) -> dict[str, str]:
    """The version to work on and what it was made from, as far as that is known."""
    from include.kreislauf.store import messages
    from include.kreislauf.store.database import Store
    from include.kreislauf.store.tables import Tables

    with Store(settings.store).read() as db:
        last = None if given else messages.latest_handover(db, order.use_case, stage)
        made = messages.find_handover_of(db, order.use_case, stage, given) if given else last
    newest = None if given or last else Tables(settings.tables, order.use_case).snapshot(table)
    version = given or (last.output if last else "") or (newest.version if newest else "")
    if not version:
        raise _nothing(order, stage)
    return {**(made.inputs if made else {}), stage: version}


def _handed_over(order: WorkOrder, settings: Settings, stage: Stage) -> str:
    from include.kreislauf.store import messages
    from include.kreislauf.store.database import Store

    with Store(settings.store).read() as db:
        last = messages.latest_handover(db, order.use_case, stage)
    if last is None:
        raise _nothing(order, stage)
    return last.output


def _nothing(order: WorkOrder, stage: Stage) -> KreislaufError:
    return KreislaufError(
        f"no cycle has handed over a result of {stage} yet", where=order.use_case,
        next_step="name the version that the discipline before printed at its end (--help says how)",
    )  # fmt: skip
