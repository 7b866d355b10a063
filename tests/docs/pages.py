"""The documentation as the tests read it: pages, their links, headings and blocks."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from include.kreislauf.reference.contract_page import slug
from include.kreislauf.settings import ROOT

PAGES = [
    ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md",
    *sorted((ROOT / "docs").rglob("*.md")),
]  # fmt: skip
_FENCE = re.compile(r"^( *)```([^\n`]*)\n(.*?)^\1```", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """A fenced block.

    Parameters
    ----------
    language: first word behind the fence.
    marks: the other words, such as ``tried``.
    """

    language: str
    marks: tuple[str, ...]
    text: str


def name_of(page: Path) -> str:
    """A page as its path from the root."""
    return page.relative_to(ROOT).as_posix()


def blocks(text: str) -> list[Block]:
    """The fenced blocks of a page."""
    found = []
    for indent, info, body in _FENCE.findall(text):
        language, *marks = info.split() or [""]
        found.append(Block(language, tuple(marks), re.sub(f"^{indent}", "", body, flags=re.MULTILINE)))
    return found


def prose(text: str) -> str:
    """A page without its fenced blocks."""
    return _FENCE.sub("", text)


def links(text: str) -> Iterator[str]:
    """Targets of links and images, outside of blocks and of code."""
    plain = re.sub(r"`[^`\n]*`", "code", prose(text))
    yield from re.findall(r"\]\(([^)\s]+)\)", plain)
    yield from re.findall(r'(?:src|srcset|href)="([^"]+)"', plain)


def anchors(text: str) -> set[str]:
    """Anchors that a page's headings get; those that come again are numbered."""
    found: dict[str, int] = {}
    made = set()
    for heading in re.findall(r"^#{1,6} +(.+?) *$", prose(text), re.MULTILINE):
        plain = slug(re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).replace("`", ""))
        count = found[plain] = found.get(plain, 0) + 1
        made.add(plain if count == 1 else f"{plain}-{count - 1}")
    return made
