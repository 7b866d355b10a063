"""Under which licence each installed package is, as SPDX writes it, and which of them may be in the images."""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib.metadata import Distribution

ALLOWED = frozenset({
    "0BSD", "Apache-2.0", "BSD", "BSD-2-Clause", "BSD-3-Clause", "CC0-1.0", "ISC", "MIT", "MIT-0", "MIT-CMU",
    "PSF-2.0", "Unlicense", "Zlib",
})  # fmt: skip
"""Permissive ones: they ask for their text to be kept, and no more. BSD is what does not say how many clauses."""

EXCEPTIONS: Mapping[str, tuple[str, str]] = {
    "certifi": ("MPL-2.0", "a list of certificate authorities; used as published, its files are not changed"),
    "pathspec": ("MPL-2.0", "used as published, its files are not changed"),
    "psycopg": ("LGPL-3.0-only", "imported as published; whoever rebuilds the image may replace it"),
    "psycopg-binary": ("LGPL-3.0-only", "imported as published; whoever rebuilds the image may replace it"),
    "psycopg2-binary": (
        "LGPL-3.0-or-later",
        "with exceptions for linking; what Airflow talks to PostgreSQL with, as published",
    ),
    "text-unidecode": (
        "Artistic-1.0-Perl OR GPL-2.0-or-later",
        "taken under the Artistic License; as published",
    ),
}
"""Packages that may be in the images although their licence is not allowed in general: the licence, and why."""

# what the metadata do not tell, read from the licence file that the package ships
UNSTATED: Mapping[str, str] = {"huey": "MIT", "pysimdjson": "MIT", "skops": "MIT"}

_CLASSIFIERS: Mapping[str, str] = {
    "Apache Software License": "Apache-2.0",
    "BSD License": "BSD",
    "ISC License (ISCL)": "ISC",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0",
    "The Unlicense (Unlicense)": "Unlicense",
}
_TEXTS: Mapping[str, str] = {"3-Clause BSD License": "BSD-3-Clause"}
_IDENTIFIER = re.compile(r"[A-Za-z0-9.+-]+")


def field(package: Distribution, name: str) -> str:
    """What a package says of itself in one field; empty if nothing."""
    return str((package.metadata.get_all(name) or [""])[0]).strip()


def licence_of(name: str, package: Distribution) -> str:
    """The licence of a package as an SPDX expression; empty if it does not say.

    An expression of the package's own (PEP 639) counts most, then its classifiers, then its free text. Several
    classifiers are read as a choice.
    """
    if name in EXCEPTIONS:
        return EXCEPTIONS[name][0]
    if name in UNSTATED:
        return UNSTATED[name]
    if stated := field(package, "License-Expression"):
        return stated
    classifiers = (one.split(" :: ") for one in package.metadata.get_all("Classifier") or [])
    found = {
        _CLASSIFIERS.get(one[-1], one[-1]) for one in classifiers if one[0] == "License" and len(one) > 2
    }
    text = field(package, "License")
    return " OR ".join(sorted(found)) or _TEXTS.get(text, text)


def identifiers(licence: str) -> set[str]:
    """The licences that an SPDX expression names."""
    return {one for one in _IDENTIFIER.findall(licence) if one not in {"AND", "OR", "WITH"}}


def is_allowed(name: str, licence: str) -> bool:
    """Whether a package may be in the images: every licence of its expression is allowed, or it is an exception."""
    if name in EXCEPTIONS:
        return licence == EXCEPTIONS[name][0]
    found = identifiers(licence)
    return bool(found) and found <= ALLOWED
