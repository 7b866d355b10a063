"""``loops``: the ledger, which loops pay, and a loop raised by hand, with the governor's answer."""

from __future__ import annotations

import argparse
import getpass
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from include.kreislauf.cli_airflow import PASSWORD, USER, add_airflow_options, airflow_login
from include.kreislauf.cli_watch import seconds
from include.kreislauf.errors import KreislaufError
from include.kreislauf.handovers import Edge

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from include.kreislauf.embedded.airflow_api import AirflowApi
    from include.kreislauf.feedback.overview_models import LoopKind
    from include.kreislauf.store.messages import LoopRow

POLL_SECONDS = 0.5
NOTHING_TO_DO = "nothing to do: "
"""Begins what a run logs that was refused before it could raise anything."""

NO_LOOP = "no loop yet"


def add_loops(commands: Any) -> None:
    """Add ``loops list``, ``loops summary`` and ``loops raise`` to the command line's parser."""
    text = "loops: list them, see which kinds pay, or raise one by hand"
    actions = commands.add_parser("loops", help=text, description=text).add_subparsers(
        required=True, metavar="action"
    )
    listed = actions.add_parser(
        "list", help="the ledger: every loop, what became of it, and whether it helped"
    )
    listed.add_argument("use_case", help="name of the use case")
    listed.add_argument("--limit", type=int, default=50, help="so many of the newest (default: %(default)s)")
    listed.set_defaults(command=_list)
    summed = actions.add_parser(
        "summary", help="per kind of loop: how many, helped, by how much, machine time"
    )
    summed.add_argument("use_case", nargs="?", help="default: all")
    summed.set_defaults(command=_summary)
    raised = actions.add_parser(
        "raise", help="send the work back now; waits for the governor's answer",
        description=f"Triggers the DAG that raises the loop. Logs in as {USER} (default: admin) with {PASSWORD}, or "
        "the password of --passwords.",
    )  # fmt: skip
    raised.add_argument("use_case", help="name of the use case")
    raised.add_argument("edge", type=_edge, help=f"one of {', '.join(Edge)}; -> may stand for →")
    raised.add_argument("--reason", type=_words, required=True, help="why; stays with the loop")
    raised.add_argument("--by", type=_words, default=getpass.getuser(), help="your name; stays with the loop")
    raised.add_argument(
        "--cycle", default=None, help="the cycle of a loop that does not come from monitoring"
    )
    raised.add_argument("--as-of", type=_moment, default=None, help="what the data may know of; empty: now")
    raised.add_argument("--override", action="store_true", help="what is at work, or waits, makes way")
    add_airflow_options(raised)
    raised.add_argument(
        "--wait", type=seconds, default=180, help="seconds for the answer (default: %(default)s)"
    )
    raised.set_defaults(command=_raise)


def _edge(text: str) -> Edge:
    try:
        return Edge(text.replace("->", "→"))
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"no loop is called {text!r}; allowed: {', '.join(Edge)}") from error


def _words(text: str) -> str:
    if not text.strip():
        raise argparse.ArgumentTypeError("it is empty; allowed: some words")
    return text


def _moment(text: str) -> str:
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no time; allowed: 2026-01-31 or 2026-01-31T12:00Z"
        ) from error
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).isoformat()


def _require_known(db: Connection, use_case: str) -> None:
    """Refuse the name of a use case that the store has never heard of."""
    from include.kreislauf.store import contracts, cycles

    known = sorted({*contracts.signed_use_cases(db), *cycles.use_cases(db)})
    if use_case not in known:
        raise KreislaufError(
            f"no use case is named {use_case!r} in the store", allowed=known or "(it has none yet)",
            next_step="name one of these, or have its contract signed: trigger the requirements DAG for it",
        )  # fmt: skip


def _list(options: argparse.Namespace) -> int:
    from include.kreislauf.store import messages
    from include.kreislauf.store.database import get_store

    with get_store().require().read() as db:
        _require_known(db, options.use_case)
        rows = messages.loops_of(db, options.use_case, limit=options.limit)
    if not rows:
        print(NO_LOOP)
    for row in rows:
        print("  ".join(_line(row)))
    return 0


def _line(row: LoopRow) -> Iterator[str]:
    loop = row.loop
    yield f"{loop.as_of:%Y-%m-%d}  {loop.cycle_id}/{loop.attempt}  {loop.edge}  {loop.reason}  {row.state}"
    if row.state == "refused" or row.override_by:
        yield f"({row.decision}{f'; overridden by {row.override_by}' if row.override_by else ''})"
    if row.state == "closed":
        after = _with_interval(row.value_after, row.after_low, row.after_high)
        sure = ", surely" if row.sure else ""
        yield f"{loop.metric} {_with_interval(row.value_before, row.before_low, row.before_high)} -> {after}"
        yield f"{'helped' if row.helped else 'did not help'}{sure}"
    yield loop.text


def _with_interval(value: float | None, low: float | None, high: float | None) -> str:
    if value is None:
        return "?"
    return f"{value:.4g}" if low is None or high is None else f"{value:.4g} [{low:.4g}, {high:.4g}]"


def _summary(options: argparse.Namespace) -> int:
    from include.kreislauf.feedback.loop_summary import loop_summary
    from include.kreislauf.store import cycles
    from include.kreislauf.store.database import get_store

    with get_store().require().read() as db:
        if options.use_case:
            _require_known(db, options.use_case)
        names = [options.use_case] if options.use_case else cycles.use_cases(db)
        kinds = {name: loop_summary(db, name) for name in names}
    if not any(kinds.values()):
        print(NO_LOOP)
    for name, found in kinds.items():
        for kind in found:
            print(f"{name}  {'  '.join(_kind(kind))}")
    return 0


def _kind(kind: LoopKind) -> Iterator[str]:
    yield f"{kind.edge}  {kind.reason}  raised {kind.raised}, refused {kind.refused}, closed {kind.closed}"
    if kind.closed:
        yield f"helped {kind.helped} (surely {kind.surely_helped}), surely harmed {kind.surely_harmed}"
        yield f"mean gain of {kind.metric} {_with_interval(kind.gain, kind.gain_low, kind.gain_high)} {kind.unit}"
    yield f"machine time {kind.machine_seconds / 60:.1f} min"


def _raise(options: argparse.Namespace) -> int:
    from include.kreislauf.embedded.airflow_api import AirflowApi

    form = {"use_case": options.use_case, "loop": options.edge.value, "reason": options.reason, "by": options.by,
            "as_of": options.as_of, "cycle": options.cycle, "override": options.override}  # fmt: skip
    role = options.edge.raised_by
    user, password = airflow_login(options.passwords)
    _require_sense(options.use_case, options.edge, options.cycle)
    with AirflowApi(options.airflow, user, password, patience=min(options.wait, 30.0)) as airflow:
        conf = {name: value for name, value in form.items() if value is not None}
        run = airflow.trigger(role, conf=conf)["dag_run_id"]
        print(f"run {run} of {role} raises {options.edge}")
        return _tell(airflow, options, run)


def _require_sense(use_case: str, edge: Edge, cycle: str | None) -> None:
    """Refuse what Airflow need not be asked for: no such use case, or a loop inside of no cycle."""
    from include.kreislauf.store import cycles
    from include.kreislauf.store.database import get_store

    with get_store().require().read() as db:
        _require_known(db, use_case)
        at_work = [
            one.cycle_id for one in cycles.in_state(db, use_case, cycles.State.ACTIVE, cycles.State.FAILED)
        ]
    if not edge.opens_cycle and not cycle:
        raise KreislaufError(
            f"loop {edge} needs a cycle", where=use_case, allowed=at_work or "(none is at work or has failed)",
            next_step="name one of them with --cycle",
        )  # fmt: skip


def _tell(airflow: AirflowApi, options: argparse.Namespace, run: str) -> int:
    """Wait for the governor's answer and print it; 1 when it is no."""
    deadline = time.monotonic() + options.wait
    while time.monotonic() < deadline:
        row = _raised(options.use_case, run)
        if row and row.state != "raised":
            print(f"{row.state}: {row.decision}")
            return 0 if row.state == "accepted" else 1
        if row is None and airflow.run(options.edge.raised_by, run)["state"] in ("success", "failed"):
            row = _raised(options.use_case, run)  # it may have come at the very end
            if row is None:
                print(f"refused: {_why(airflow, options.edge, run)}")
                return 1
        time.sleep(POLL_SECONDS)
    raise KreislaufError(
        f"no answer within {options.wait:g} s", where=f"run {run} of {options.edge.raised_by}",
        next_step=f"is {options.edge.raised_by} or {options.edge.received_by} paused? look at: loops list",
    )  # fmt: skip


def _raised(use_case: str, run: str) -> LoopRow | None:
    """What the ledger says of the loop that a run raised."""
    from include.kreislauf.store import messages
    from include.kreislauf.store.database import get_store

    with get_store().require().read() as db:
        rows = messages.loops_of(db, use_case, limit=100)
    return next((row for row in rows if row.loop.run_id == run), None)


def _why(airflow: AirflowApi, edge: Edge, run: str) -> str:
    """What the first task of a run logged that raised nothing."""
    first = min(airflow.task_instances(edge.raised_by, run), key=lambda one: one["start_date"] or "9")
    lines = airflow.task_log(edge.raised_by, run, first["task_id"]).splitlines()
    said = next((line.partition(NOTHING_TO_DO)[2] for line in lines if NOTHING_TO_DO in line), "")
    return said or "\n".join(lines[-10:])
