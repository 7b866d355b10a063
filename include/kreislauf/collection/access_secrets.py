"""Secrets of the installation, and texts without them."""

from __future__ import annotations

import os
import re
from pathlib import Path
from urllib.parse import quote, quote_plus

from include.kreislauf.errors import SourceError

PREFIX = "KREISLAUF_SECRET_"
HIDDEN = "***"
MIN_HIDDEN = 4
"""Shorter secrets are not looked for in texts: every text would be full of them."""
_KEYS = re.compile(r"key|token|secret|passw|signature|credential|^(sig|app_id|auth|pwd|code)$", re.IGNORECASE)
_QUERY = re.compile(r"([?&;])([^=&;?#\s]+)=([^&;#\s]*)")
_USER = re.compile(r"(\w://)[^/?#@\s]*@")


class Secrets:
    """Reads secrets from ``KREISLAUF_SECRET_<NAME>`` (or a file that ``..._FILE`` names), and remembers to hide them."""

    def __init__(self) -> None:
        self._given: set[str] = set()

    def get(self, name: str) -> str:
        """A secret by its name in small letters; empty where the installation sets none.

        Raises
        ------
        SourceError: the file that should hold it cannot be read.
        """
        variable = PREFIX + re.sub(r"[^A-Z0-9]", "_", name.upper())
        value = os.environ.get(variable, "")
        if not value and (path := os.environ.get(f"{variable}_FILE")):
            value = _content(Path(path), f"{variable}_FILE")
        value = value.strip()
        if len(value) >= MIN_HIDDEN:
            self._given |= {value, quote(value, safe=""), quote_plus(value)}
        return value

    def hide(self, text: str) -> str:
        """The text without the secrets that were given out, and without keys in URLs."""
        for value in sorted(self._given, key=len, reverse=True):
            text = text.replace(value, HIDDEN)
        return shown(text)


def shown(text: str) -> str:
    """A text in which URLs have no user name, no password and no values of parameters that look like keys."""

    def without(match: re.Match[str]) -> str:
        return f"{match[1]}{match[2]}={HIDDEN}" if is_key(match[2]) else match[0]

    return _QUERY.sub(without, _USER.sub(rf"\1{HIDDEN}@", text))


def is_key(parameter: str) -> bool:
    """Whether a parameter of a query is, by its name, a key."""
    return _KEYS.search(parameter) is not None


def _content(path: Path, variable: str) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SourceError(
            f"the secret's file cannot be read ({type(error).__name__})", where=variable,
            next_step="correct the path, or the file's permissions",
        ) from error  # fmt: skip
