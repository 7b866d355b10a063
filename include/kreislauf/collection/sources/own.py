"""Source kind ``own``: rows from the use case's own ``source.py``, checked against the contract's columns.

The file offers ``read(options, as_of, access)``, which gives a DataFrame: what was known at ``as_of``, a time in UTC.
``access`` (:class:`~include.kreislauf.collection.access.Access`) is the way to servers, files, databases and secrets
that the installation's rules hold for.
"""

from __future__ import annotations

from copy import deepcopy
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd

from include.kreislauf.collection.access import Access
from include.kreislauf.collection.table import checked
from include.kreislauf.errors import SourceError
from include.kreislauf.own_code import function_of, naming_lines
from include.kreislauf.requirements.contract import Problem
from include.kreislauf.requirements.sources import OwnSource

FILE = "source.py"


def read_own(
    source: OwnSource, problem: Problem, access: Access, as_of: datetime, folder: Path
) -> pd.DataFrame:
    """The rows that were available at ``as_of``, as :func:`~include.kreislauf.collection.table.read_table` returns them.

    Parameters
    ----------
    folder: that of the use case.

    Raises
    ------
    SourceError: there is no file or function; it raises (names file and line; what ``access`` raises stays as it is,
        transient or not) or gives no DataFrame; missing column, wrong type, value out of range, duplicate rows.
    """
    path = folder / FILE
    read = function_of(path, "read", SourceError, "options, as_of, access")
    with naming_lines(path, "read fails", SourceError, passes=(SourceError,), hide=access.hide):
        found = read(deepcopy(source.options), as_of.astimezone(UTC), access)
    return checked(_frame(found, str(path)), source, problem, f"{source.name} ({path})", as_of, first_row=1)


def _frame(found: object, where: str) -> pd.DataFrame:
    if not isinstance(found, pd.DataFrame):
        raise SourceError(
            f"read gives {type(found).__name__}", where=where, allowed="a pandas DataFrame, one row for each"
        )
    if not found.columns.is_unique:
        twice = sorted({str(name) for name in found.columns[found.columns.duplicated()]})
        raise SourceError(
            f"read gives column {', '.join(twice)} twice", where=where, allowed="each column once"
        )
    return found.reset_index(drop=True)
