"""A use case's own code: files beside its contract, found by convention, run so that each fault names file and line.

``features.py`` is read by preparation, ``source.py`` by collection, ``metrics.py`` by evaluation, deployment and
monitoring. What a file must offer stands with those who read it.
"""

from __future__ import annotations

import hashlib
import importlib.util
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any, cast

from include.kreislauf.errors import KreislaufError

Fault = type[KreislaufError]
Function = Callable[..., Any]


def load_own(path: Path, fault: Fault, *, next_step: str = "add one (see the guide)") -> ModuleType:
    """One file of a use case, imported from its text as it is now.

    Parameters
    ----------
    fault: what is raised.
    next_step: what to do where it is missing.

    Raises
    ------
    KreislaufError: of the type ``fault``: the file is missing, or cannot be imported (names file and line).
    """
    spec = importlib.util.spec_from_file_location(f"kreislauf_use_case_{path.parent.name}_{path.stem}", path)
    if spec is None or not path.is_file():
        raise fault(f"has no {path.name}", where=str(path.parent), next_step=next_step)
    module = importlib.util.module_from_spec(spec)
    with naming_lines(path, "cannot be imported", fault):
        # not by its loader: a compiled file of the same second and size may be another text's
        exec(compile(path.read_bytes(), str(path), "exec"), module.__dict__)  # noqa: S102
    return module


def function_of(path: Path, name: str, fault: Fault, signature: str) -> Function:
    """One function of a use case's file.

    Parameters
    ----------
    signature: how it is called, for people.

    Raises
    ------
    KreislaufError: as :func:`load_own`, or there is no function of that name.
    """
    found = getattr(load_own(path, fault), name, None)
    if not callable(found):
        offered = "is no function" if found is not None else "is missing"
        raise fault(f"{name} {offered}", where=str(path), next_step=f"define {name}({signature}) in it")
    return cast("Function", found)


@contextmanager
def naming_lines(
    path: Path, what: str, fault: Fault, *, passes: tuple[Fault, ...] = (), hide: Callable[[str], str] = str
) -> Iterator[None]:
    """While a use case's own code runs: its exceptions become errors that name file and line.

    Parameters
    ----------
    what: what fails then, such as ``cannot be imported``.
    passes: errors that say enough by themselves.
    hide: takes secrets out of a text.

    Raises
    ------
    KreislaufError: of the type ``fault``.
    """
    try:
        yield
    except passes:
        raise
    except Exception as error:
        raise fault(
            f"{what}: {type(error).__name__}: {hide(str(error))}", where=f"{path}, line {_line(error, path)}",
            next_step="correct the file",
        ) from error  # fmt: skip


def fingerprint(path: Path) -> str:
    """Digest of a file's content; empty where there is none."""
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""


def _line(error: Exception, path: Path) -> int:
    """The line of the file at which it failed; of other files that it uses, the line that uses them."""
    if isinstance(error, SyntaxError) and error.filename == str(path):
        return error.lineno or 1
    lines = [one.lineno for one in traceback.extract_tb(error.__traceback__) if one.filename == str(path)]
    return (lines[-1] if lines else None) or 1
