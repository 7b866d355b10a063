"""The visible text of an advertisement."""

from __future__ import annotations

import html
import re

_TAG = re.compile(r"<[a-zA-Z/!][^>]*>")


def plain_text(markup: str) -> str:
    """What a reader sees: tags (with the addresses in them) gone, entities resolved.

    Every tag separates words, as ``<p>`` and ``<br>`` do: no site sets a tag inside a technology's name.
    """
    return html.unescape(_TAG.sub(" ", markup))
