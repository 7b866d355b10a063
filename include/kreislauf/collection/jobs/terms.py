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
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property

from include.kreislauf.requirements.catalogue import Technology, Term

RULES = "1"
"""Changes when the same term would match differently: texts must then be read anew."""
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
        tokens = set(_TOKEN.findall(text.lower()))
        found: set[str] = set()
        for head in (tokens & self._by_head.keys()) | ({""} & self._by_head.keys()):
            for pattern in self._by_head[head]:
                if pattern.technology not in found and pattern.tokens <= tokens and pattern.is_in(text):
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
        return frozenset(_TOKEN.findall(self.term.text.lower()))

    @property
    def head(self) -> str:
        """The token to look for first: the longest, since short ones are in every text."""
        return max(self.tokens, key=lambda token: (len(token), token), default="")

    @cached_property
    def word(self) -> re.Pattern[str]:
        return re.compile(_word(self.term))

    @cached_property
    def exceptions(self) -> list[re.Pattern[str]]:
        """Whatever makes a match inside it mean something else."""
        phrases = [re.compile(_phrase(text)) for text in self.term.not_in]
        return phrases + [other.word for other in self.others]

    def is_part_of(self, other: _Pattern) -> bool:
        """Whether another technology's term holds this one as a word."""
        return (
            other.technology != self.technology
            and len(other.term.text) > len(self.term.text)
            and self.tokens <= other.tokens
            and self.word.search(other.term.text) is not None
        )

    def is_in(self, text: str) -> bool:
        """Whether a text names it at least once outside all its exceptions."""
        spans = self.word.finditer(text)
        if not self.exceptions:
            return next(spans, None) is not None
        covered: list[tuple[int, int]] | None = None
        for span in spans:
            if covered is None:
                covered = list(_spans(self.exceptions, text))
            if not any(start <= span.start() and span.end() <= end for start, end in covered):
                return True
        return False


def _spans(expressions: Iterable[re.Pattern[str]], text: str) -> Iterator[tuple[int, int]]:
    return (found.span() for expression in expressions for found in expression.finditer(text))


def _word(term: Term) -> str:
    """The expression of a term as a whole word; see the module's rules."""
    text = term.text.strip()
    hyphen = (r"(?<!\w-)", r"(?!-\w)") if len(text) <= _SHORT else ("", "")
    version = "" if len(text) <= _SHORT or text[-1].isdigit() else r"(?:[0-9]+(?:\.[0-9]+)*)?"
    # ASCII only where letters are compared: else K (Kelvin) would be a k, which the tokens do not know.
    letters = f"(?{'a' if term.exact_case else 'ai'}:{_spaced(text)})"
    return rf"(?<![\w@])(?<!\w\.){hyphen[0]}{letters}{version}(?![\w@#])(?!\.\w)(?!\+\+){hyphen[1]}"


def _phrase(text: str) -> str:
    """The expression of a phrase in which a term means something else; ``{year}`` stands for a year."""
    return rf"(?<!\w)(?ai:{_spaced(text).replace(re.escape('{year}'), _YEAR)})(?!\w)"


_YEAR = r"(?:(?:19|20)[0-9]{2}|['’][0-9]{2})"


def _spaced(text: str) -> str:
    return r"[\s\-]+".join(map(re.escape, text.split()))
