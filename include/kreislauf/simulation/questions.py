"""The simulated Stack Overflow: every question has a second at which it was asked, and its tags.

Nothing is stored: the questions of a quarter are spread evenly over its time, and each tag evenly over them, so that
the number in any window, and every page, can be computed from the quarter's counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

import numpy as np

from include.kreislauf.periods import shift
from include.kreislauf.simulation import noise
from include.kreislauf.simulation.observations import Ints, Observations, taken

SETTLES_AFTER_QUARTERS = 2
"""Quarters from the end of a quarter to the time at which its deleted questions are gone."""

_FIRST_ID = 4_600_000
_PHASE_STEP = 7919


class Question(NamedTuple):
    """One question; ``asked`` counts seconds since 1970."""

    id: int
    asked: int
    tags: tuple[str, ...]


class Span(NamedTuple):
    """Questions ``first`` to ``end`` (excluded) of one quarter, of ``total``, in one vintage."""

    quarter: int
    first: int
    end: int
    total: int
    settled: bool


class Questions:
    """What a Stack Exchange site knows of a world."""

    def __init__(self, seen: Observations) -> None:
        world = seen.world
        ends = [*world.quarters, shift(world.quarters[-1], "quarter", 1)]
        self._bounds = [int(moment.timestamp()) for moment in ends]
        others = dict(noise.TAGS) | {
            f"topic-{number:03d}": noise.SMALL_TAG_SHARE for number in range(1, noise.SMALL_TAGS + 1)
        }
        self.tags = (*world.names, *others)
        shares = np.array(list(others.values()))[:, None]
        self._totals = {False: seen.questions_total, True: seen.settled_total}
        self._tagged = {
            settled: np.vstack([table, np.rint(shares * self._totals[settled]).astype(np.int64)])
            for settled, table in ((False, seen.questions), (True, seen.settled))
        }
        self._before = np.concatenate([[0], np.cumsum(seen.questions_total)])
        self._number = {tag: number for number, tag in enumerate(self.tags)}

    def spans(self, since: int | None, until: int | None, now: datetime) -> list[Span]:
        """Questions asked from ``since`` to ``until`` (both included, seconds since 1970) and before ``now``."""
        limit = int(now.timestamp())
        low = self._bounds[0] if since is None else since
        high = min(limit, limit if until is None else until + 1)
        found = []
        for quarter, (start, end) in enumerate(zip(self._bounds[:-1], self._bounds[1:], strict=True)):
            if low < end and high > start:
                settled = self._settled(quarter, now)
                total = int(self._totals[settled][quarter])
                first, last = (
                    total * (min(max(moment, start), end) - start) // (end - start) for moment in (low, high)
                )
                if first < last:
                    found.append(Span(quarter, first, last, total, settled))
        return found

    def count(self, tags: Sequence[str], spans: Sequence[Span]) -> int:
        """Questions that have all of the tags."""
        if any(tag not in self._number for tag in tags):
            return 0
        if len(tags) < 2:
            return sum(self._simple_count(span, *tags) for span in spans)
        return sum(len(self._numbers(span, tags)) for span in spans)

    def page(
        self, tags: Sequence[str], spans: Sequence[Span], first: int, size: int, *, newest_first: bool
    ) -> list[Question]:
        """Questions ``first`` to ``first + size`` of all that have all of the tags, by time."""
        found: list[Question] = []
        for span in reversed(spans) if newest_first else spans:
            numbers = self._numbers(span, tags)
            ordered = numbers[::-1] if newest_first else numbers
            found += self._questions(span, ordered[first : first + size - len(found)])
            first = max(0, first - len(numbers))
            if len(found) == size:
                break
        return found

    def popular(self, now: datetime) -> list[tuple[str, int]]:
        """Every tag that was ever used, with how often, most used first."""
        used = np.zeros(len(self.tags), dtype=np.int64)
        for span in self.spans(None, None, now):
            used += self._upto(span, slice(None), span.end)
        ordered = sorted(zip(self.tags, used.tolist(), strict=True), key=lambda pair: (-pair[1], pair[0]))
        return [(tag, count) for tag, count in ordered if count]

    def _settled(self, quarter: int, now: datetime) -> bool:
        end = datetime.fromtimestamp(self._bounds[quarter + 1], tz=UTC)
        return now >= shift(end, "quarter", SETTLES_AFTER_QUARTERS)

    def _upto(self, span: Span, tag: slice | int, first: Ints | int) -> Ints:
        """How many of the first questions of the span's quarter have a tag."""
        phase = np.arange(len(self.tags))[tag] * _PHASE_STEP % span.total
        return taken(self._tagged[span.settled][tag, span.quarter], span.total, first, phase)

    def _simple_count(self, span: Span, tag: str = "") -> int:
        if not tag:
            return span.end - span.first
        number = self._number[tag]
        return int(self._upto(span, number, span.end) - self._upto(span, number, span.first))

    def _numbers(self, span: Span, tags: Sequence[str]) -> Ints:
        """Numbers, within the quarter, of the span's questions that have all of the tags."""
        numbers = np.arange(span.first, span.end)
        for tag in tags:
            if (number := self._number.get(tag)) is None:
                return numbers[:0]
            numbers = numbers[self._upto(span, number, numbers + 1) > self._upto(span, number, numbers)]
        return numbers

    def _questions(self, span: Span, numbers: Ints) -> list[Question]:
        start, end = self._bounds[span.quarter : span.quarter + 2]
        table = [self._has_tag(span, number) for number in numbers.tolist()]
        return [
            Question(
                id=_FIRST_ID + int(self._before[span.quarter]) + number,
                # The last second before which `taken` questions are complete: never the first of a quarter.
                asked=start - 1 - (number + 1) * (start - end) // span.total,
                tags=tuple(self.tags[place] for place in np.flatnonzero(row)) or (noise.UNTAGGED,),
            )
            for number, row in zip(numbers.tolist(), table, strict=True)
        ]  # fmt: skip

    def _has_tag(self, span: Span, number: int) -> Any:
        return self._upto(span, slice(None), number + 1) > self._upto(span, slice(None), number)
