"""Which technologies does a text name?

A term is matched as a whole word. What makes a word longer than the term:

- a letter, digit or underscore on either side (JavaScript is not Java), or a full stop with one behind it or before
  it (node.js is not node, D.C. is not C); a full stop that ends a sentence does not;
- ``++`` or ``#`` behind it (C++ and C# are not C), an ``@`` beside it (an address);
- for names of one or two characters also a hyphen with a letter beyond (Objective-C, C-level, Go-getter); longer
  names keep their meaning there (Java-based);
- not a version number: Python3, PHP7 and C++11 name Python, PHP and C++. A term of one or two characters, or one that
  ends in a digit, takes none.

A space in a term matches white space and hyphens: ``React Native`` is also React-Native. A match inside a longer term
of another technology belongs to that one only: React Native is not React.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Set
from dataclasses import dataclass, field
from functools import cached_property

from include.kreislauf.requirements.catalogue import Technology, Term

RULES = "1"
"""Changes when the same term would match differently: texts must then be read anew."""
YEAR = "{year}"
"""Stands for a year in a phrase of ``Term.not_in``."""
_SHORT = 2
_TOKEN = re.compile(r"[a-z]+|[0-9]+")


class Matcher:
    """Finds a catalogue's technologies in texts, each once per text.

    Two stages, since most terms are in few texts: first the set of the text's tokens tells which terms can be there at
    all, then an expression per term looks closely. Nothing is lost between them: letters beyond ASCII never count as
    one of a term's ASCII letters, in either stage.
    """

    def __init__(self, technologies: Iterable[Technology]) -> None:
        patterns = [_Pattern(one.name, term) for one in technologies for term in one.terms]
        self._by_head: defaultdict[str, list[_Pattern]] = defaultdict(list)
        for pattern in patterns:
            pattern.others = [other for other in patterns if pattern.is_part_of(other)]
            self._by_head[pattern.head].append(pattern)

    def find(self, text: str) -> set[str]:
        """Names of the technologies that a plain text names."""
        found: set[str] = set()
        lower = text.lower()
        tokens = set(_TOKEN.findall(lower))
        # İ becomes two letters: then places differ, and every place of the text is looked at
        index = lower if len(lower) == len(text) else None
        for head in (tokens & self._by_head.keys()) | ({""} & self._by_head.keys()):
            for pattern in self._by_head[head]:
                if (
                    pattern.technology not in found
                    and pattern.tokens <= tokens
                    and pattern.is_in(text, index, tokens)
                ):
                    found.add(pattern.technology)
        return found


@dataclass(eq=False)
class _Pattern:
    """One term of one technology; expressions are compiled when the term is first met."""

    technology: str
    term: Term
    others: list[_Pattern] = field(default_factory=list)

    @cached_property
    def tokens(self) -> frozenset[str]:
        return _tokens(self.term.text)

    @property
    def head(self) -> str:
        """The token to look for first: the longest, since short ones are in every text."""
        return max(self.tokens, key=lambda token: (len(token), token), default="")

    @cached_property
    def first(self) -> str:
        return self.term.text.split()[0].lower()

    @cached_property
    def word(self) -> re.Pattern[str]:
        return re.compile(_word(self.term))

    @cached_property
    def exceptions(self) -> list[tuple[frozenset[str], re.Pattern[str]]]:
        """Whatever makes a match inside it mean something else, with the tokens that it is made of."""
        phrases = [(_tokens(text.replace(YEAR, "")), re.compile(_phrase(text))) for text in self.term.not_in]
        return phrases + [(other.tokens, other.word) for other in self.others]

    def is_part_of(self, other: _Pattern) -> bool:
        """Whether another technology's term holds this one as a word."""
        return (
            other.technology != self.technology
            and len(other.term.text) > len(self.term.text)
            and self.tokens <= other.tokens
            and self.word.search(other.term.text) is not None
        )

    def is_in(self, text: str, lower: str | None, tokens: Set[str]) -> bool:
        """Whether a text, made of these tokens, names it at least once outside all its exceptions."""
        places = self._places(text, lower)
        exceptions = [expression for needed, expression in self.exceptions if needed <= tokens]
        if not exceptions:
            return next(places, None) is not None
        covered: list[tuple[int, int]] | None = None
        for place in places:
            if covered is None:
                covered = [other.span() for expression in exceptions for other in expression.finditer(text)]
            if not any(start <= place.start() and place.end() <= end for start, end in covered):
                return True
        return False

    def _places(self, text: str, lower: str | None) -> Iterator[re.Match[str]]:
        """Every place where a text has the term as a word; ``lower``: the text in lower case, place by place.

        A plain search for the first word finds the places much faster than the expression would.
        """
        if lower is None:
            yield from self.word.finditer(text)
            return
        place = lower.find(self.first)
        while place >= 0:
            if found := self.word.match(text, place):
                yield found
            place = lower.find(self.first, place + 1)


def _tokens(text: str) -> frozenset[str]:
    return frozenset(_TOKEN.findall(text.lower()))


def _word(term: Term) -> str:
    """The expression of a term as a whole word; see the module's rules."""
    text = term.text.strip()
    hyphen = (r"(?<!\w-)", r"(?!-\w)") if len(text) <= _SHORT else ("", "")
    version = "" if len(text) <= _SHORT or text[-1].isdigit() else r"(?:[0-9]+(?:\.[0-9]+)*)?"
    # ASCII only where letters are compared: else K (Kelvin) would be a k, which the tokens do not know.
    letters = f"(?{'a' if term.exact_case else 'ai'}:{_spaced(text)})"
    return rf"(?<![\w@])(?<!\w\.){hyphen[0]}{letters}{version}(?![\w@#])(?!\.\w)(?!\+\+){hyphen[1]}"


def _phrase(text: str) -> str:
    """The expression of a phrase in which a term means something else; capitals do not count in it."""
    return rf"(?<!\w)(?ai:{_spaced(text).replace(re.escape(YEAR), _YEAR)})(?!\w)"


_YEAR = r"(?:(?:19|20)[0-9]{2}|['’][0-9]{2})"


def _spaced(text: str) -> str:
    return r"[\s\-]+".join(map(re.escape, text.split()))
