"""The guide's table is the declaration's."""

from __future__ import annotations

import re

from include.kreislauf.settings import ROOT
from plugins.roles.declaration import ROLES, AirflowRole

GUIDE = ROOT / "docs" / "how-to" / "roles.md"
ROW = re.compile(r"^\| ([A-Z]\w+ \w+) \| all \| (.+) \| (.+) \|$", re.MULTILINE)


def dags_in(cell: str) -> set[str]:
    return set(re.findall(r"`(\w+)`", cell))


def as_rows(role: AirflowRole) -> tuple[set[str], set[str]]:
    return set(role.works), {str(edge.raised_by) for edge in role.raises}


def test_the_table_is_the_declaration() -> None:
    rows = {name: (dags_in(works), dags_in(raises)) for name, works, raises in ROW.findall(GUIDE.read_text())}
    assert rows == {role.name: as_rows(role) for role in ROLES if role.person}


def test_people_start_what_they_work_in() -> None:
    """The table has one column for both."""
    assert all(role.starts == role.works for role in ROLES if role.person)
