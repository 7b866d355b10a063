"""``docs/reference/command-line.md``: every command, from the parser itself."""

from __future__ import annotations

import argparse
import getpass
import re
from collections.abc import Iterator

from include.kreislauf.cli import parser
from include.kreislauf.reference.fields import code, table

START = """# Command line

Every command of `.venv/bin/python -m include.kreislauf`, written from its parser by `make reference`. A command works on the
installation that the [variables](settings.md) name. Exit codes: 0 done, 1 an error or a "no" (the last lines say why), 2 a
command or option that does not exist, or a question to a person.
"""
WRITTEN_BESIDE = re.compile(r"(;| \() ?default: %\(default\)[a-z]\)?|[;,] default: see below")
"""What the column of defaults, or the text above it, says."""
HEADS = ["argument", "default", "meaning"]


def commands(
    node: argparse.ArgumentParser, path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], argparse.ArgumentParser]]:
    """Every command by its words, those that only hold others left out."""
    below = [action for action in node._actions if isinstance(action, argparse._SubParsersAction)]
    if not below:
        yield path, node
    for action in below:
        for name, child in action.choices.items():
            yield from commands(child, (*path, name))


def command_page() -> str:
    """The page as Markdown."""
    helps = _helps(parser())
    lines = [START]
    for path, node in commands(parser()):
        said = helps.get(path, "")
        lines += [
            f"## {' '.join(path)}\n",
            f"{said[:1].upper()}{said[1:]}.\n" if said else "",
            *_epilog(node),
            *_arguments(node),
            "",
        ]
    return "\n".join(lines)


def _helps(node: argparse.ArgumentParser, path: tuple[str, ...] = ()) -> dict[tuple[str, ...], str]:
    """What each command says of itself in the list of the one above."""
    found: dict[tuple[str, ...], str] = {}
    for action in node._actions:
        if isinstance(action, argparse._SubParsersAction):
            found |= {(*path, one.dest): one.help or "" for one in action._choices_actions}
            for name, child in action.choices.items():
                found |= _helps(child, (*path, name))
    return found


def _epilog(node: argparse.ArgumentParser) -> list[str]:
    return [f"{node.epilog}\n"] if node.epilog else []


def _arguments(node: argparse.ArgumentParser) -> list[str]:
    rows = [_row(action) for action in node._actions if not isinstance(action, argparse._HelpAction)]
    return table(rows, HEADS) if rows else []


def _row(action: argparse.Action) -> list[str]:
    names = ", ".join(code(name) for name in action.option_strings) or code(action.dest)
    allowed = f" ({', '.join(code(str(one)) for one in action.choices)})" if action.choices else ""
    said = WRITTEN_BESIDE.sub("", action.help or "")
    return [names, _default(action), f"{said}{allowed}".strip()]


def _default(action: argparse.Action) -> str:
    if action.required:
        return "**required**"
    if action.default is False or action.default in (None, "", [], argparse.SUPPRESS):
        return ""
    return "your login" if action.default == getpass.getuser() else code(str(action.default))
