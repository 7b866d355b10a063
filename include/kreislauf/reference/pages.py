"""Every page of the reference, by its file."""

from __future__ import annotations

from collections.abc import Callable

from include.kreislauf.reference.command_page import command_page
from include.kreislauf.reference.contract_page import contract_page
from include.kreislauf.reference.other_pages import handovers_page, settings_page
from include.kreislauf.settings import ROOT

FOLDER = ROOT / "docs" / "reference"
PAGES: dict[str, Callable[[], str]] = {
    "contract.md": contract_page,
    "settings.md": settings_page,
    "command-line.md": command_page,
    "handovers.md": handovers_page,
}
