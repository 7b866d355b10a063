"""The visible text of an advertisement."""

from __future__ import annotations

from include.kreislauf.collection.jobs.text import plain_text


def test_entities_are_resolved_and_tags_separate_words() -> None:
    assert plain_text("AT&amp;T<p>We use C&#x2F;C++ &amp; Go").split() == [
        "AT&T",
        "We",
        "use",
        "C/C++",
        "&",
        "Go",
    ]


def test_an_address_is_not_visible_but_what_a_link_shows_is() -> None:
    markup = '<a href="https:&#x2F;&#x2F;golang.org&#x2F;python" rel="nofollow">our stack: Ruby</a>'
    assert plain_text(markup).split() == ["our", "stack:", "Ruby"]


def test_what_looks_like_a_tag_but_was_written_by_a_person_stays() -> None:
    assert plain_text("&lt;b&gt;Scala&lt;/b&gt; x < y, a <3 b") == "<b>Scala</b> x < y, a <3 b"
