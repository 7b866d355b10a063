"""Source kind ``sql``: the rows of one SELECT, checked against the contract's columns.

The query may name ``:as_of``, the time that the data may know of. :mod:`~include.kreislauf.collection.selecting` runs it.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from include.kreislauf.collection.access import Access
from include.kreislauf.collection.selecting import Select, select_rows
from include.kreislauf.requirements.contract import Problem
from include.kreislauf.requirements.sources import SqlSource

if TYPE_CHECKING:
    import pandas as pd

MAX_ROWS = 5_000_000
"""More than a panel of entities and periods ever has; a query without its WHERE has them soon."""


def read_sql(source: SqlSource, problem: Problem, access: Access, as_of: datetime) -> pd.DataFrame:
    """The rows of the query that were available at ``as_of``, as
    :func:`~include.kreislauf.collection.table.read_table` returns them.

    Raises
    ------
    SourceError: no such connection; not one SELECT; unreachable (transient); the database refuses the query; missing
        column, wrong type, value out of range, duplicate rows. Never shows the password.
    """
    where = f"{source.name} (connection {source.connection})"
    select = Select(source.query, source.connection, where, {"as_of": as_of}, access.rules.deadline, MAX_ROWS)
    names, rows = select_rows(select, access.connection(source.connection), access.hide)

    import pandas as pd

    from include.kreislauf.collection.table import checked

    frame = pd.DataFrame(rows, columns=names)
    return checked(frame, source, problem, where, as_of, first_row=1)
