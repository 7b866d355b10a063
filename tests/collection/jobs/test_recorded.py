"""Recorded threads: every line of a year's file belongs to a month, and none counts before the file's end."""

from __future__ import annotations

import gzip
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from include.kreislauf.collection.access import Access, AccessRules
from include.kreislauf.collection.jobs.recorded import FILE, Recorded
from include.kreislauf.collection.source import Reading, Unit
from include.kreislauf.errors import SourceError
from include.kreislauf.settings import ROOT

SHARED = ROOT.parent / "shared" / "data"
JANUARY, FEBRUARY, MARCH = (datetime(2015, month, 1, tzinfo=UTC) for month in (1, 2, 3))


def line(id_: int, month: str, text: str | None = "Acme", **more: Any) -> bytes:
    item = {
        "by": "u",
        "id": id_,
        "parent": 1,
        "time": 1,
        "type": "comment",
        "thread_month": month,
        "text": text,
    }
    return json.dumps(item | more).encode()


def record(folder: Path, *lines: bytes) -> Path:
    path = folder / FILE.format(year=2015)
    path.write_bytes(gzip.compress(b"\n".join(lines) + b"\n"))
    return path


def read(recorded: Recorded, month: datetime) -> tuple[list[str], Reading]:
    reading = Reading(Unit(id=f"{month:%Y-%m}", start=month, end=month))
    texts = list(recorded.advertisements(month, reading))
    reading.kept = len(texts)
    return texts, reading


def test_every_line_goes_to_its_month_and_a_broken_one_with_the_line_before_it(tmp_path: Path) -> None:
    record(
        tmp_path, line(1, "2015-01"), b"{not json", line(2, "2015-02", "Zeta"), line(2, "2015-02"),
        line(3, "2015-02", None, deleted=True), b'{"id": 4, "text": "\xff"}', line(5, "2014-12"), line(6, "2015-02", dead=True),
    )  # fmt: skip
    recorded = Recorded("{data}/", Access(AccessRules(data=str(tmp_path))))
    texts, january = read(recorded, JANUARY)
    assert (texts, january.read, january.quarantined) == (["Acme"], 2, 1)
    assert january.faults[0].line == 2
    texts, february = read(recorded, FEBRUARY)
    assert (texts, february.read, february.quarantined) == (["Zeta"], 6, 2)
    assert dict(february.ignored) == {"duplicate": 1, "deleted": 1, "dead": 1}
    assert [one.line for one in february.faults] == [6, 7]
    assert "no month of 2015" in february.faults[1].why
    assert "none for this month" in read(recorded, MARCH)[1].missing


def test_a_year_without_a_file_is_missing(tmp_path: Path) -> None:
    recorded = Recorded(str(tmp_path), Access(AccessRules()))
    assert "no file of recorded threads for 2015" in read(recorded, JANUARY)[1].missing


def test_nothing_of_a_damaged_file_counts(tmp_path: Path) -> None:
    path = record(tmp_path, *(line(n, "2015-01", f"advertisement {n}") for n in range(50)))
    whole = path.read_bytes()
    recorded = Recorded(str(tmp_path), Access(AccessRules()))
    for damaged in (whole[:-1], whole[: len(whole) // 2], whole[:-8] + bytes(4) + whole[-4:], whole + b"x"):
        path.write_bytes(damaged)
        with pytest.raises(SourceError, match=FILE.format(year=2015)):
            read(recorded, JANUARY)
    path.write_bytes(whole)
    assert len(read(recorded, JANUARY)[0]) == 50


@pytest.mark.skipif(not SHARED.is_dir(), reason="the recorded data (../shared/data) are not here")
def test_a_real_year_is_accounted_for() -> None:
    recorded = Recorded("{data}/raw/jobs", Access(AccessRules(data=str(SHARED))))
    readings = [read(recorded, datetime(2011, month, 1, tzinfo=UTC))[1] for month in range(1, 13)]
    assert sum(one.read for one in readings) == 2342
    assert sum(one.quarantined for one in readings) == 0
    assert all(one.read == one.kept + one.ignored.total() for one in readings)
    assert sum(one.ignored["deleted"] for one in readings) > 0
