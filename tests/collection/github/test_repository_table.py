"""The table of repositories' languages, in SQLite and in PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from include.kreislauf.collection.github.repositories import Known
from include.kreislauf.collection.github.repository_table import RepositoryTable
from include.kreislauf.errors import SourceError
from tests.conftest import BOTH
from tests.support.racing import ThreadRace

AT = datetime(2021, 7, 21, 6, tzinfo=UTC)


@pytest.fixture(params=BOTH)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A new database."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'new.db'}"
    else:
        with request.getfixturevalue("postgres").database(migrated=False) as made:
            yield made


@pytest.fixture
def table(url: str) -> Iterator[RepositoryTable]:
    made = RepositoryTable(url)
    yield made
    made.close()


def test_what_is_remembered_is_found_by_another(url: str, table: RepositoryTable):
    known = {"Acme/Site": Known("C++", AT, '"e1"'), "acme/none": Known(None, AT)}
    table.remember(known)
    other = RepositoryTable(url)
    assert other.find(["ACME/site", "acme/none", "acme/other"]) == {
        "acme/site": known["Acme/Site"], "acme/none": known["acme/none"],
    }  # fmt: skip
    other.close()


def test_the_newer_word_stays(table: RepositoryTable):
    table.remember({"a/b": Known("Go", AT)})
    table.remember({"a/b": Known("C", AT - timedelta(days=1))})
    assert table.find(["a/b"])["a/b"].language == "Go"
    east = timezone(timedelta(hours=5, minutes=45))
    table.remember({"a/b": Known("Zig", (AT + timedelta(hours=1)).astimezone(east), '"e2"')})
    assert table.find(["a/b"]) == {"a/b": Known("Zig", AT + timedelta(hours=1), '"e2"')}


def test_an_hour_full_of_repositories(table: RepositoryTable):
    known = {f"owner-{number}/name": Known("Go", AT) for number in range(3000)}
    table.remember(known)
    table.remember(known)
    assert len(table.find(known)) == 3000
    assert table.find([]) == {}
    table.remember({})


def test_many_begin_at_once(url: str):
    """All make the table, and write the same rows in another order."""

    def write(number: int) -> None:
        table = RepositoryTable(url)
        names = [f"a/{place}" for place in range(200)]
        for place in range(3):
            chosen = names[:: -1 if (number + place) % 2 else 1]
            table.remember({name: Known("Go", AT + timedelta(hours=number)) for name in chosen})
        table.close()

    ThreadRace(6)(write)
    table = RepositoryTable(url)
    assert {one.seen_at for one in table.find([f"a/{place}" for place in range(200)]).values()} == {
        AT + timedelta(hours=5)
    }
    table.close()


def test_a_database_that_cannot_be_reached_may_be_tried_later(tmp_path: Path):
    table = RepositoryTable(f"sqlite:///{tmp_path / 'no' / 'such' / 'folder.db'}")
    with pytest.raises(SourceError, match="table of repositories") as caught:
        table.find(["a/b"])
    assert caught.value.transient
