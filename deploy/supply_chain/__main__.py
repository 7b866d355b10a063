"""Write what the images are made of: ``python -m deploy.supply_chain sbom|licences``."""

from __future__ import annotations

import argparse
import json
import re
import sys
from pathlib import Path

from deploy.supply_chain.licence_page import page
from deploy.supply_chain.sbom import bill

_ROOT = Path(__file__).resolve().parents[2]


def main(arguments: list[str] | None = None) -> int:
    """Write one document. The exit status is 1 if something in it is not allowed; the reason is told."""
    options = _parser().parse_args(arguments)
    try:
        text = _text(options)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 1
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(text)
    return 0


def _text(options: argparse.Namespace) -> str:
    if options.what == "licences":
        return page(_ROOT / "requirements.txt", _ROOT / "requirements-service.txt")
    return (
        json.dumps(bill(options.requirements, options.name, options.version or _version()), indent=1) + "\n"
    )


def _version() -> str:
    found = re.search(
        r'^__version__ = "([^"]+)"', (_ROOT / "include/kreislauf/__init__.py").read_text(), re.MULTILINE
    )
    return found.group(1) if found else ""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m deploy.supply_chain", description=__doc__)
    commands = parser.add_subparsers(dest="what", required=True)
    sbom = commands.add_parser("sbom", help="bill of materials of this environment")
    sbom.add_argument("requirements", type=Path)
    sbom.add_argument("--name", required=True, help="of the image")
    sbom.add_argument("--version", default="", help="of the code; default: what it says of itself")
    licences = commands.add_parser("licences", help="page of licences")
    for command in (sbom, licences):
        command.add_argument("--output", type=Path, required=True)
    return parser


if __name__ == "__main__":
    sys.exit(main())
