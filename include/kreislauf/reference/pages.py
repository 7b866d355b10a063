"""Every file below ``docs`` that is written from the code."""

from __future__ import annotations

from collections.abc import Callable

from include.kreislauf.reference.command_page import command_page
from include.kreislauf.reference.contract_page import contract_page
from include.kreislauf.reference.other_pages import handovers_page, settings_page
from include.kreislauf.reference.ring_picture import ring_picture
from include.kreislauf.settings import ROOT

DOCS = ROOT / "docs"
PAGES: dict[str, Callable[[], str]] = {
    "reference/contract.md": contract_page,
    "reference/settings.md": settings_page,
    "reference/command-line.md": command_page,
    "reference/handovers.md": handovers_page,
    "images/ring.svg": ring_picture,
}
