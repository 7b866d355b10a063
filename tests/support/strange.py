"""Names of columns that are hard to carry through."""

from __future__ import annotations

STRANGE = [
    "two words",
    'the "best"',
    "it's",
    "🚀 speed",
    "'; DROP TABLE raw; --",
    "a,b;c",
    "{x}=(1)|",
    "`code`",
    "%s",
    "a.b",
]
"""Names that break what is not careful."""
