"""``make start``: the embedded stack by the wall clock, over use cases of one's own, until Ctrl-C.

Unlike ``make run`` it lives through no world: data come from the contracts' sources, requests and outcomes from whoever
sends them, and what is kept stays, so that the next start goes on where this one stopped.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from include.kreislauf.embedded.airflow_api import AirflowApi
from include.kreislauf.embedded.choosing import Chosen
from include.kreislauf.embedded.desk import Desk
from include.kreislauf.embedded.session import installation, log_in_line, refuse_running
from include.kreislauf.embedded.stack import AIRFLOW_PORT, EmbeddedStack, stop_on_signals
from include.kreislauf.handovers import Role
from include.kreislauf.settings import ROOT, Settings
from include.kreislauf.store.database import Store

LINKS = "started_use_cases"
LOOK_SECONDS = 2.0
PARSE_TIMEOUT = 180.0
Say = Callable[[str], None]


@dataclass(frozen=True)
class StartOptions:
    """What a start is about.

    Parameters
    ----------
    asked: names of use cases, or ``all``; none: all of one's own.
    begin: those whose first cycle is begun at once.
    connections: by the name that contracts use, the SQLAlchemy URLs of databases.
    port: of Airflow's UI, if it is free.
    """

    asked: tuple[str, ...] = ()
    begin: tuple[str, ...] = ()
    connections: Mapping[str, str] = field(default_factory=dict)
    port: int = AIRFLOW_PORT


def start(options: StartOptions, settings: Settings, say: Say) -> None:
    """Start the stack and stay; ends by a signal, or with the error of what died.

    Parameters
    ----------
    settings: of the installation; its home, use cases and data as absolute paths.

    Raises
    ------
    ContractError: a use case that was named is not there.
    StackError: another stack uses this home, or a part of this one died.
    """
    chosen = Chosen(settings.use_cases, settings.home / LINKS, options.asked, options.begin)
    chosen.require()
    refuse_running(settings.home)
    chosen.link()
    store = Store(settings.store)
    store.upgrade()
    env = installation(
        settings.home, chosen.links, data=settings.data, clock="wall", connections=options.connections
    )
    stack = EmbeddedStack(settings.home, ROOT, env=env, with_watcher=True, airflow_port=options.port, say=say)
    with stop_on_signals(stack), stack, stack.api() as api:
        _wait_for_dags(stack, api, say)
        _greet(stack, settings, chosen, say)
        desk = Desk(stack, api, store, chosen, settings.requirements_schedule, say)
        for name in options.begin:
            desk.begin(name)
        stack.watch(LOOK_SECONDS, desk.look)


def _wait_for_dags(stack: EmbeddedStack, api: AirflowApi, say: Say) -> None:
    """What a person has paused stays so, and is told: it waits for whatever is handed over to it, for good."""
    paused = {dag["dag_id"] for dag in api.dags() if dag["is_paused"]}
    for name in sorted(paused):
        say(f"The DAG {name} is paused: what is handed over to it now is lost; unpause it in Airflow")
    stack.wait_for_dags({str(role) for role in Role} - paused, timeout=PARSE_TIMEOUT)


def _greet(stack: EmbeddedStack, settings: Settings, chosen: Chosen, say: Say) -> None:
    say(f"\n{log_in_line(stack)}")
    say(f"Prediction service: {stack.service_url}/openapi.json")
    say(f"Kept in {settings.home}: after Ctrl-C, the next start goes on where this one stood")
    if left_out := chosen.left_out():
        say(f"Left out, take one in with --use-case NAME: {', '.join(left_out)}")
    say(f"Use cases in {chosen.folder}:")
