"""Which thread is for which month, and which comments are advertisements."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from include.kreislauf.collection.jobs.threads import Comment, month_of, why_ignored

CREATED = int(datetime(2015, 2, 1, 14, tzinfo=UTC).timestamp())


@pytest.mark.parametrize(("title", "month"), [
    ("Ask HN: Who is hiring? (March 2015)", "2015-03"),
    ("Ask HN: Who is Hiring? (Sept. 2013)", "2013-09"),
    ("Ask HN: Who is hiring? (May, 2011)", "2011-05"),
    ("Ask HN: Who's hiring? (December 2011)", "2011-12"),
    ("Ask HN: Who is hiring?", "2015-02"),
    ("Ask HN: Who is hiring? (now)", "2015-02"),
    ("Ask HN: Who wants to be hired? (February 2015)", ""),
    ("Ask HN: Freelancer? Seeking freelancer? (February 2015)", ""),
    ("", ""),
])  # fmt: skip
def test_a_threads_month_is_in_its_title_or_the_one_of_its_creation(title: str, month: str) -> None:
    found = month_of(title, CREATED)
    assert (f"{found:%Y-%m}" if found else "") == month


@pytest.mark.parametrize(("comment", "why"), [
    (Comment(id=1, text="Acme | Python"), ""),
    (Comment(id=1), "deleted"),
    (Comment(id=1, text="x", deleted=True), "deleted"),
    (Comment(id=1, text=" [flagged] "), "deleted"),
    (Comment(id=1, text="x", dead=True), "dead"),
    (Comment(id=1, text="x", type="story"), "not a comment"),
    (Comment(id=7, text="x"), "duplicate"),
])  # fmt: skip
def test_what_is_no_advertisement_says_why(comment: Comment, why: str) -> None:
    assert why_ignored(comment, {7}) == why
