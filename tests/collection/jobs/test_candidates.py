"""Words outside the catalogue that may be the name of a technology."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.kreislauf.collection.jobs.candidates import EVERYDAY, candidate_terms


@pytest.mark.parametrize(("text", "words"), [
    ("We run Deno and GraphQL.", "deno graphql"),
    ("Stack: Bun, htmx, alpine, SolidJS", "bun htmx alpine solidjs"),
    ("react/preact/inferno.", "preact"),
    ("web3 with socket.io, web-12 and c++", "web3 socket.io web-12 c++"),
    ("Engineer | Remote | Berlin. We grow. Our team works hard.", ""),
    ("see https://deno.land/Deno or mail Bun@example.org or www.Zig.org", ""),
    ("Example.com uses 401k and 2018", ""),
    ("with X and " + "A" * 31, ""),
    ("written in Zig.", "zig"),
])  # fmt: skip
def test_what_looks_like_a_name_is_a_candidate(text: str, words: str) -> None:
    assert candidate_terms(text, frozenset()) == set(words.split())


def test_known_terms_are_none_with_and_without_a_version() -> None:
    text = "We use Python3, Python3.6, python 2.7, Vue2 and Zig, Python"
    assert candidate_terms(text, {"python", "vue"}) == {"zig"}


@given(st.text(max_size=200))
def test_candidates_are_short_words_in_lower_case(text: str) -> None:
    for word in candidate_terms(text, frozenset()):
        assert 2 <= len(word) <= 30
        assert word == word.lower()
        assert word[0].isalpha() and word.isascii() and " " not in word
        assert word not in EVERYDAY
