"""``new-use-case``: from a table to a contract, by flags or by questions."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from include.kreislauf.errors import KreislaufError
from include.kreislauf.settings import get_settings

if TYPE_CHECKING:
    from include.kreislauf.drafting.table import Table
    from include.kreislauf.drafting.wishes import Question, Wishes

KINDS = ("regression", "binary", "multiclass")
MEASURES = ("hit", "absolute_error", "squared_error", "decision_value")
Ask = Callable[[str], str]


def add_new_use_case(commands: Any) -> None:
    """Add ``new-use-case`` to the command line's parser."""
    text = "look at a table, propose a contract for it with reasons, try it, and write it"
    parser = commands.add_parser("new-use-case", help=text, description=text)
    parser.add_argument("name", help="of the use case and its folder, such as machine_failure")
    parser.add_argument("--data", default="", metavar="PATH|URL", help="CSV or Parquet file, or Delta table")
    parser.add_argument(
        "--sql", default="", metavar="CONNECTION", help="database instead of a file, with --query"
    )
    parser.add_argument(
        "--query", default="", help="one SELECT; :as_of stands for the time the data may know of"
    )
    parser.add_argument("--target", default="", help="column that is to be predicted")
    parser.add_argument("--kind", default="", choices=KINDS, help="of the target; default: from its values")
    parser.add_argument(
        "--positive", default="", metavar="CLASS", help="of two classes the one to be foreseen"
    )
    parser.add_argument("--entity", default="", help="column that names what a row is about, or none")
    parser.add_argument("--time", default="", help="column with the time a row is about, or none")
    parser.add_argument(
        "--period", default="", help="hour, day, week, month, quarter or year; default: from the times"
    )
    parser.add_argument("--horizon", type=int, default=1, help="periods until a row's target is known")
    parser.add_argument("--group", default="", help="column whose rows belong together, or none")
    parser.add_argument(
        "--measure",
        default="",
        choices=MEASURES,
        help="what a prediction is worth, once its outcome is known",
    )
    parser.add_argument(
        "--costs",
        default="",
        metavar="JSON",
        help='by action and class, such as \'{"wait": {"ok": 0, "broken": 900}, "repair": {"ok": 50, "broken": 80}}\'; or a file',
    )
    parser.add_argument(
        "--without",
        default="",
        metavar="ACTION",
        help="taken where there is no model; default: the first of --costs",
    )
    parser.add_argument("--unit", default="", help="of the business metric, such as euros per prediction")
    parser.add_argument("--title", default="", help="for people")
    parser.add_argument("--purpose", default="", help="who does what with the predictions")
    parser.add_argument("--owner", default="", help="role or team that answers for the requirement")
    parser.add_argument(
        "--sign-off", default="required", choices=("required", "automatic"), help="whether a person signs"
    )
    parser.add_argument("--yes", action="store_true", help="take what is proposed, ask nothing")
    parser.add_argument(
        "--force", action="store_true", help="write over the contract of a use case that is there already"
    )
    parser.set_defaults(command=_new_use_case)


def _new_use_case(options: argparse.Namespace) -> int:
    from include.kreislauf.collection.access import Access
    from include.kreislauf.drafting.draft import draft
    from include.kreislauf.drafting.installing import try_out_whole, write_contract
    from include.kreislauf.drafting.placing import place_of, refuse_existing
    from include.kreislauf.drafting.reading import look

    settings = get_settings()
    now = settings.now()
    wishes = _wishes(options)
    refuse_existing(settings.use_cases, wishes.name, force=options.force)
    place = place_of(options.data, options.sql, options.query, settings.data)
    table = look(place, Access.from_settings(settings), now)
    _say(f"{place.text}: {table.rows:,} rows, {len(table.frame.columns)} columns")
    if not options.yes and sys.stdin.isatty():
        wishes = _answered(table, wishes, input)
    made = draft(table, wishes, now=now, n_jobs=settings.training_jobs or -1)
    for line in made.notes:
        _say(f"- {line}")
    for line in made.warnings:
        _say(f"warning: {line}")
    for one in made.questions:
        if one.default:
            _say(f"assumed: {one.text} {one.default} (--{one.field.replace('_', '-')})")
    _say("a dry run: collection and preparation …")
    _say(try_out_whole(made, table, settings, now))
    path = write_contract(made, settings.use_cases)
    print(path)
    _tell_what_is_missing(made.missing, wishes.name)
    return 0


def _wishes(options: argparse.Namespace) -> Wishes:
    from include.kreislauf.drafting.wishes import Wishes

    if options.horizon < 1:
        raise KreislaufError(f"{options.horizon} periods", where="--horizon", allowed="1 or more")
    named = {
        one: getattr(options, one) for one in Wishes.__dataclass_fields__ if one not in ("costs", "horizon")
    }
    return Wishes(**named, costs=_costs(options.costs), horizon=options.horizon)


def _costs(text: str) -> dict[str, dict[str, float]]:
    if not text:
        return {}
    path = Path(text)
    try:
        found = json.loads(path.read_text("utf-8") if not text.lstrip().startswith("{") else text)
        costs = {
            str(action): {str(name): float(cost) for name, cost in by.items()} for action, by in found.items()
        }
    except (OSError, ValueError, AttributeError, TypeError) as error:
        raise KreislaufError(
            f"cannot be read: {error}", where="--costs", allowed='JSON such as {"wait": {"ok": 0, "broken": 900}, …}',
            next_step="give the costs of each action, by what then happens",
        ) from error  # fmt: skip
    if len(costs) < 2:
        raise KreislaufError(f"holds {len(costs)} actions", where="--costs", allowed="two actions or more")
    return costs


def _answered(table: Table, wishes: Wishes, ask: Ask) -> Wishes:
    """Ask one question after the other, until none is open; each is asked once."""
    from include.kreislauf.drafting.draft import open_questions

    asked: set[str] = set()
    while left := [one for one in open_questions(table, wishes) if one.field not in asked]:
        question = left[0]
        asked.add(question.field)
        answer: Any = _ask(question, ask)
        wishes = replace(wishes, **{question.field: answer})
    return wishes


def _ask(question: Question, ask: Ask) -> str:
    proposals = f"\n  ({', '.join(question.proposals)})" if question.proposals else ""
    default = question.default or (question.proposals[0] if question.proposals else "")
    answer = ask(f"{question.text}{proposals} [{default}] ").strip()
    return answer or default


def _tell_what_is_missing(missing: tuple[str, ...], name: str) -> None:
    _say("\nstill missing:")
    for line in missing:
        _say(f"- {line}")
    _say(
        "\nnext:\n"
        f"  read the contract, correct what is proposed, then: python -m include.kreislauf contract check\n"
        f"  let the ring do it, on this computer: make start BEGIN={name}\n"
        f"  where Airflow is up: trigger the DAG requirements with {json.dumps({'use_case': name})}, or wait for its schedule: it finds new contracts\n"
        f"  each step alone: python -m include.kreislauf collect {name}, then prepare, train, evaluate, deploy {name}"
    )


def _say(line: str) -> None:
    print(line, file=sys.stderr)
