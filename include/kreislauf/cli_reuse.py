"""``reuse why``: why a result was used again, or made anew."""

from __future__ import annotations

import argparse
import json
from typing import Any

from include.kreislauf.handovers import Stage


def add_reuse(commands: Any) -> None:
    """Add ``reuse`` to the command line's parser."""
    parser = commands.add_parser("reuse", help="results that were used again")
    what = parser.add_subparsers(required=True, metavar="what")
    text = "say of each result of a cycle why it was used again, or made anew"
    why = what.add_parser("why", help=text, description=text)
    why.add_argument("use_case", help="name of the use case")
    why.add_argument("--cycle", default="", help="its id; empty: the one that handed something over last")
    why.add_argument("--stage", default="", choices=("", *(str(one) for one in Stage)), help="one discipline only")  # fmt: skip
    why.add_argument("--json", action="store_true", help="for programs")
    why.set_defaults(command=_why)


def _why(options: argparse.Namespace) -> int:
    """0: told; 1: there is no such cycle."""
    from include.kreislauf.feedback.reuse import explain
    from include.kreislauf.settings import get_settings
    from include.kreislauf.store.database import Store

    stage = Stage(options.stage) if options.stage else None
    with Store(get_settings().store).require().read() as db:
        cycle_id, found = explain(db, options.use_case, options.cycle or None, stage)
    if options.json:
        results = [one.model_dump(mode="json") for one in found]
        print(json.dumps({"use_case": options.use_case, "cycle": cycle_id, "results": results}, indent=1, ensure_ascii=False))  # fmt: skip
        return 0
    print(f"{options.use_case}, cycle {cycle_id}")
    for one in found:
        print(f"{one.stage}, attempt {one.attempt} ({one.output}): {one.text}")
        if one.reused_from:
            print(f"  its output is that of {one.reused_from}")
        for change in one.changes:
            print(f"  {change.part}: {change.before} → {change.after}")
    return 0
