"""What a test needs of the computer and does not find."""

from __future__ import annotations

import os
from typing import NoReturn

import pytest


def missing(program: str, package: str) -> NoReturn:
    """Skip the test; or fail it where ``KREISLAUF_REQUIRE_<PACKAGE>`` is 1, as in CI, which installs the package.

    Parameters
    ----------
    package: Debian's, that has the program.
    """
    message = f"{program} is not installed: apt-get install {package}"
    variable = f"KREISLAUF_REQUIRE_{package.upper().replace('-', '_')}"
    if os.environ.get(variable) == "1":
        pytest.fail(f"{message} ({variable} is set)")
    pytest.skip(message)
