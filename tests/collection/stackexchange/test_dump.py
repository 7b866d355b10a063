"""Questions per tag and month from a dump."""

from __future__ import annotations

import io
from collections.abc import Sequence
from datetime import datetime, timedelta
from xml.sax.saxutils import quoteattr

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.kreislauf.collection.source import Count, Unit
from include.kreislauf.collection.stackexchange.dump import Posts, compare_tags, read_posts, split_tags
from include.kreislauf.errors import SourceError
from include.kreislauf.periods import shift

Post = dict[str, str]
START = datetime.fromisoformat("2016-01-01")
TIMES = st.integers(0, 180 * 24 * 3600).map(lambda seconds: START + timedelta(seconds=seconds))
NAMES = st.lists(st.from_regex(r"[a-z0-9.+#-]{1,20}", fullmatch=True), min_size=1, max_size=5)


def post(number: int, time: str, tags: str | None = None, **more: str) -> Post:
    kind = {"PostTypeId": "1", "Tags": tags} if tags is not None else {"PostTypeId": "2"}
    return {"Id": str(number), "CreationDate": time, **kind, **more}


def posts(given: Sequence[Post], max_bad_share: float = 0.0) -> Posts:
    text = "\n".join(f"<row {' '.join(f'{k}={quoteattr(v)}' for k, v in row.items())} />" for row in given)
    return read_posts(io.BytesIO(f"<posts>{text}</posts>".encode()), "Posts.xml", max_bad_share, packed=False)


def month(name: str) -> Unit:
    start = datetime.fromisoformat(f"{name}-01T00:00:00+00:00")
    return Unit(id=name, start=start, end=shift(start, "month", 1))


def test_a_question_counts_once_for_each_of_its_tags():
    found = posts([
        post(1, "2016-08-02T15:39:14.947", "<python><c#>"), post(2, "2016-08-31T23:59:59.999", "|python|python|"),
        post(3, "2016-08-05T00:00:00"), post(4, "2016-09-01T00:00:00.000", "<c>", PostTypeId="1"),
        post(5, "2016-10-01T00:00:00", PostTypeId="5"),
    ])  # fmt: skip
    august = found.reading(month("2016-08"))
    assert set(august.counts) == {
        Count("tag", "python", "questions", 2), Count("tag", "c#", "questions", 1), Count("total", "", "questions", 2),
    }  # fmt: skip
    assert (august.read, august.kept, dict(august.ignored)) == (3, 2, {"answer": 1})
    assert Count("tag", "c", "questions", 1) in found.reading(month("2016-09")).counts
    assert found.warnings == []


def test_a_month_that_the_dump_does_not_hold_whole_is_missing_not_zero():
    found = posts([post(1, "2016-08-02T15:39:14", "<a>"), post(2, "2016-12-01T00:00:00", "<a>")])
    missing = [name for name in ("2016-07", "2016-08", "2016-10", "2016-11", "2016-12", "2017-01") if
               found.reading(month(name)).missing]  # fmt: skip
    assert missing == ["2016-07", "2016-12", "2017-01"]
    assert found.reading(month("2016-10")).counts == [Count("total", "", "questions", 0)]
    assert posts([]).reading(month("2016-08")).missing


FAULTS: dict[str, tuple[Post, str]] = {
    "no Id": ({"CreationDate": "2016-08-03T00:00:00", "PostTypeId": "1", "Tags": "<a>"}, "Id '' does not follow on 2"),
    "an Id that is no number": (post(3, "2016-08-03T00:00:00", "<a>", Id="x"), "Id 'x' does not follow"),
    "an Id that comes again": (post(2, "2016-08-03T00:00:00", "<a>"), "Id '2' does not follow on 2"),
    "no time": (post(3, "", "<a>"), "Invalid isoformat string"),
    "a time that does not exist": (post(3, "2016-08-32T00:00:00", "<a>"), "day is out of range"),
    "a time with a zone": (post(3, "2016-08-03T00:00:00+02:00", "<a>"), "has a zone"),
    "a question without tags": (post(3, "2016-08-03T00:00:00", ""), "the tags '' are neither"),
    "tags of another form": (post(3, "2016-08-03T00:00:00", "a,b"), "the tags 'a,b' are neither"),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_a_row_that_cannot_be_read_is_set_aside_with_its_number(fault: str):
    row, why = FAULTS[fault]
    rows = [
        post(1, "2016-08-01T00:00:00", "<a>"),
        post(2, "2016-08-02T00:00:00", "<a>"),
        row,
        post(9, "2016-09-01T00:00:00"),
    ]
    reading = posts(rows, 0.25).reading(month("2016-08"))
    assert (reading.read, reading.kept, reading.quarantined) == (3, 2, 1)
    assert reading.faults[0].line == 3
    assert why in reading.faults[0].why
    with pytest.raises(SourceError, match=r"1 of 4 lines cannot be read \(line 3: "):
        posts(rows, 0.24)


def test_rows_before_the_first_time_are_accounted_for():
    faulty = post(1, "soon", "<a>")
    found = posts([faulty, post(2, "2016-08-02T00:00:00", "<a>"), post(3, "2016-09-01T00:00:00")], 0.5)
    assert found.reading(month("2016-08")).quarantined == 1
    with pytest.raises(SourceError, match="1 of 1 lines"):
        posts([faulty], 0.5)


@given(st.lists(st.tuples(TIMES, st.none() | NAMES), min_size=1))
def test_every_row_is_in_exactly_one_month(given: list[tuple[datetime, list[str] | None]]):
    rows = [
        post(number, time.isoformat(), None if tags is None else f"<{'><'.join(tags)}>")
        for number, (time, tags) in enumerate(given)
    ]
    found = posts([*rows, post(len(rows), "2016-07-01T00:00:00")])
    names = sorted({f"{time:%Y-%m}" for time, _ in given})
    readings = [found.reading(month(name)) for name in names]
    assert sum(one.read for one in readings) == len(given)
    assert all(one.read == one.kept + one.ignored.total() for one in readings)
    counted = sum(count.value for one in readings for count in one.counts if count.by == "tag")
    assert counted == sum(len(set(tags)) for _, tags in given if tags is not None)


@given(NAMES)
def test_both_forms_of_tags_say_the_same(names: list[str]):
    assert split_tags(f"<{'><'.join(names)}>") == split_tags(f"|{'|'.join(names)}|") == names


def test_an_attribute_that_nobody_knows_is_told():
    found = posts([post(1, "2016-08-02T00:00:00", "<a>", Mood="good"), post(2, "2016-09-01T00:00:00")])
    assert found.reading(month("2016-08")).warnings == ["additive: attribute Mood of posts"]


def test_posts_that_lack_rows_show_beside_the_list_of_tags():
    found = posts([post(number, f"2016-08-02T00:00:{number:02}", "<a><b>") for number in range(50)])
    told = b'<tags><row Id="1" TagName="a" Count="%d" /><row Id="2" TagName="b" Count="50" /></tags>'
    assert compare_tags(found, io.BytesIO(told % 51), "Tags.xml", packed=False) == ""
    assert "100 tags, Tags.xml tells of 110" in compare_tags(
        found, io.BytesIO(told % 60), "Tags.xml", packed=False
    )
    with pytest.raises(SourceError, match="'a' has the count ''"):
        compare_tags(found, io.BytesIO(b'<tags><row TagName="a" Count=""/></tags>'), "Tags.xml", packed=False)
