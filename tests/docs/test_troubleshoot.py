"""Messages that the troubleshooting page explains are still said by the code."""

from __future__ import annotations

import re
from functools import cache

import pytest

from include.kreislauf.settings import ROOT

PAGE = (ROOT / "docs" / "how-to" / "troubleshoot.md").read_text("utf-8")
MESSAGES = [
    message
    for cell in re.findall(r"^\| ([^|]+) \|", PAGE, re.MULTILINE)
    for message in re.findall(r"`([^`]+)`", cell)
    if " " in message
]


@cache
def said() -> str:
    """Everything that the code writes, without line breaks between parts of a text."""
    files = [ROOT / "Makefile"]
    files += [one for part in ("include", "dags", "plugins") for one in sorted((ROOT / part).rglob("*.py"))]
    return re.sub(r'"\s*\n\s*f?"', "", "\n".join(one.read_text("utf-8") for one in files))


def test_the_page_has_messages() -> None:
    assert len(MESSAGES) > 20


@pytest.mark.parametrize("message", MESSAGES)
def test_a_message_is_one_of_the_code(message: str) -> None:
    for part in re.split(r"\s*…\s*", message):
        assert part in said(), f"{part!r} is said no more"
