"""Which technologies a text names: whole words, exceptions, and the two stages that find the same."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.kreislauf.collection.jobs.terms import Matcher
from include.kreislauf.requirements.catalogue import Technology, Term

TERMS = {
    "c": [Term(text="C", exact_case=True, not_in=("Series C", "C suite"))],
    "cpp": [Term(text="C++")],
    "csharp": [Term(text="C#")],
    "fsharp": [Term(text="F#")],
    "objective-c": [Term(text="Objective C")],
    "go": [Term(text="golang"), Term(text="Go", exact_case=True, not_in=("let's go", "go to market"))],
    "r": [Term(text="R", exact_case=True, not_in=("R&D",))],
    "java": [Term(text="Java")],
    "javascript": [Term(text="JavaScript")],
    "react": [Term(text="React"), Term(text="React.js")],
    "react-native": [Term(text="React Native")],
    "vue": [Term(text="Vue.js")],
    "nodejs": [Term(text="node.js")],
    "dotnet": [Term(text=".NET")],
    "python": [Term(text="Python")],
    "spring": [Term(text="Spring", exact_case=True, not_in=("Spring {year}",))],
    "web-12": [Term(text="web-12")],
    "ueber": [Term(text="Überlog")],
}
MATCHER = Matcher(Technology(name=name, kind="x", terms=tuple(terms)) for name, terms in TERMS.items())


@pytest.mark.parametrize(("text", "named"), [
    ("C, C++ and C#.", "c cpp csharp"),
    ("C/C++", "c cpp"),
    ("C++11 or C++ 14", "cpp"),
    ("Objective-C; objective c", "objective-c"),
    ("C-level, D.C., C++ only", "cpp"),
    ("a Series C round, our C-suite, C_x", ""),
    ("Java", "java"),
    ("JavaScript", "javascript"),
    ("Java-based, non-Java", "java"),
    ("java8 and Python3.6", "java python"),
    ("Java2D", ""),
    ("we use R.", "r"),
    ("our R&D, R-squared, r, Rémi", ""),
    ("R&D in R", "r"),
    ("Go and Go-getters", "go"),
    ("Go-getters, Let's Go! go to market, go", ""),
    ("let's Go learn Go", "go"),
    ("React/Redux, (React)", "react"),
    ("React-Native", "react-native"),
    ("React  Native", "react-native"),
    ("React Native and React", "react-native react"),
    ("React.js, vue.js. Node.js", "react vue nodejs"),
    ("ASP.NET and x.react", ""),
    (".NET,F#", "dotnet fsharp"),
    ("Python.\nReact!", "python react"),
    ("Python+React", "python react"),
    ("python@example.org, @python", ""),
    ("Python's «Python»", "python"),
    ("Spring 2018, Spring '18", ""),
    ("in spring", ""),
    ("Spring 2018: Spring", "spring"),
    ("web-12, web-120, web-1", "web-12"),
    ("web-120", ""),
    ("überlog", ""),
    ("ÜBERLOG Überlog", "ueber"),
    ("NODE.JS", "nodejs"),
    ("\u212aotlin pyth\u0130on ja\u017fva", ""),
])  # fmt: skip
def test_a_term_is_a_whole_word(text: str, named: str) -> None:
    assert MATCHER.find(text) == set(named.split())


def test_every_technology_counts_once_and_none_is_known_without_terms() -> None:
    assert MATCHER.find("golang, Go, Golang") == {"go"}
    assert Matcher([Technology(name="silent", kind="x")]).find("silent") == set()


NAMED = {
    "c": "C",
    "cpp": "C++",
    "go": "golang",
    "java": "Java",
    "nodejs": "node.js",
    "dotnet": ".NET",
    "web-12": "web-12",
}
around = st.text(alphabet=" \t\n,;:!?()[]\"'/|*•–«»…", max_size=5)


@given(name=st.sampled_from(sorted(NAMED)), before=around, after=around)
def test_punctuation_and_space_around_a_term_change_nothing(name: str, before: str, after: str) -> None:
    assert MATCHER.find(f"{before}{NAMED[name]}{after}") == {name}


@given(name=st.sampled_from(sorted(NAMED)), letter=st.characters(categories=["L", "Nd"]))
def test_a_term_inside_a_longer_word_is_not_found(name: str, letter: str) -> None:
    term = NAMED[name]
    assert name not in MATCHER.find(f"{letter}{term}")
    if letter.isalpha():
        assert name not in MATCHER.find(f"{term}{letter}")


pieces = st.sampled_from(
    [*(term.text for terms in TERMS.values() for term in terms), *(text for terms in TERMS.values() for term in terms for text in term.not_in),
     "go", "r", "react", "native", "2018", "'18", "é", "K", "\u212a", "\u0130", ".", "-", "+", "#", "@", "&", ",", "/", " ", "\n", "x", "3", "_"]
)  # fmt: skip


@given(st.lists(pieces, max_size=12).map("".join))
def test_the_fast_way_finds_what_one_expression_per_term_finds(text: str) -> None:
    assert MATCHER.find(text) == {
        name for name in TERMS if any(_naive(name, term, text) for term in TERMS[name])
    }


def _naive(name: str, term: Term, text: str) -> bool:
    """The rules of ``terms.py`` as one search per term over the whole text, without any short cut."""
    longer = [
        other for owner, terms in TERMS.items() if owner != name for other in terms
        if len(other.text) > len(term.text) and any(True for _ in _words(term, other.text))
    ]  # fmt: skip
    exceptions = [span for phrase in term.not_in for span in _phrases(phrase, text)]
    exceptions += [span for other in longer for span in _words(other, text)]
    return any(
        not any(start <= at and end <= stop for start, stop in exceptions) for at, end in _words(term, text)
    )


def _words(term: Term, text: str) -> list[tuple[int, int]]:
    body = _ascii(r"[\s\-]+".join(map(re.escape, term.text.split())), exact=term.exact_case)
    if len(term.text) > 2 and not term.text[-1].isdigit():
        body += r"([0-9]+(\.[0-9]+)*)?"
    short = len(term.text) <= 2
    return [
        one.span() for one in re.finditer(body, text)
        if _open(text[: one.start()][::-1], short) and _open(text[one.end() :], short) and not re.match(r"#|\+\+", text[one.end() :])
    ]  # fmt: skip


def _open(beside: str, short: bool) -> bool:
    """Whether what stands beside a term (read away from it) leaves it a word of its own."""
    return not re.match(r"[\w@]|\.\w" + (r"|-\w" if short else ""), beside)


def _phrases(phrase: str, text: str) -> list[tuple[int, int]]:
    body = r"[\s\-]+".join(map(re.escape, phrase.split())).replace(
        re.escape("{year}"), r"((19|20)[0-9]{2}|['’][0-9]{2})"
    )
    return [one.span() for one in re.finditer(rf"(?<!\w){_ascii(body, exact=False)}(?!\w)", text)]


def _ascii(body: str, *, exact: bool) -> str:
    return f"(?a:{body})" if exact else f"(?ai:{body})"
