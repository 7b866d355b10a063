"""The simulated Hacker News: the monthly threads of its user ``whoishiring``, as Algolia's API shows them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import numpy as np

from include.kreislauf.periods import between, shift
from include.kreislauf.simulation import noise
from include.kreislauf.simulation.observations import MONTHS, Observations, taken

AUTHOR = "whoishiring"
TITLES = (
    "Ask HN: Who is hiring? ({month})",
    "Ask HN: Who wants to be hired? ({month})",
    "Ask HN: Freelancer? Seeking freelancer? ({month})",
)
HIRING = 0
"""Number of the title whose thread holds advertisements."""

_STREAM = 8
_EPOCH = datetime(2007, 1, 1, tzinfo=UTC)
# Hacker News numbers everything that is written; so many numbers pass in a month.
_IDS_PER_MONTH = 100_000
_WEEKEND = 5
_OPEN_DAYS = 20
_DELETED_EVERY, _REPLY_EVERY = 40, 12
_OTHERS = 25
"""Comments in a thread that holds no advertisements."""


class Thread(NamedTuple):
    """One thread; ``kind`` is the number of its title."""

    id: int
    kind: int
    month: datetime
    posted: datetime

    @property
    def title(self) -> str:
        """As its author writes it."""
        return TITLES[self.kind].format(month=f"{self.month:%B %Y}")


class Comment(NamedTuple):
    """Something written below a thread; no text: it was deleted."""

    id: int
    posted: datetime
    author: str | None
    text: str | None
    replies: tuple[Comment, ...] = ()


def threads(seen: Observations, now: datetime) -> list[Thread]:
    """All threads that were posted before a time, newest first."""
    months = MONTHS * len(seen.world.quarters)
    found = [
        thread
        for number in range(months)
        for thread in _threads_of(shift(seen.world.quarters[0], "month", number))
        if thread.posted < now
    ]
    return found[::-1]


def find_thread(seen: Observations, number: int, now: datetime) -> Thread | None:
    """The thread with an id, if it was posted before a time."""
    return next((thread for thread in threads(seen, now) if thread.id == number), None)


def search_hit(seen: Observations, thread: Thread, now: datetime) -> dict[str, Any]:
    """A thread as a result of a search."""
    highlighted = {"value": thread.title, "matchLevel": "none", "matchedWords": []}
    return {
        "_highlightResult": {"title": highlighted},
        "_tags": ["story", f"author_{AUTHOR}", f"story_{thread.id}", "ask_hn"],
        "author": AUTHOR, "created_at": f"{thread.posted:%Y-%m-%dT%H:%M:%SZ}",
        "created_at_i": int(thread.posted.timestamp()), "num_comments": _written_before(seen, thread, now),
        "objectID": str(thread.id), "points": 300, "story_id": thread.id, "story_text": "One post per company, please.",
        "title": thread.title, "updated_at": f"{thread.posted:%Y-%m-%dT%H:%M:%SZ}",
    }  # fmt: skip


def item(seen: Observations, thread: Thread, now: datetime) -> dict[str, Any]:
    """A thread with everything that was written below it before a time."""
    children = [_child(comment, thread.id, thread.id) for comment in comments(seen, thread, now)]
    story = _node(
        thread.id, thread.posted, AUTHOR, "One post per company, please.", thread.id, None, children
    )
    return story | {"title": thread.title, "points": 300, "type": "story"}


def comments(seen: Observations, thread: Thread, now: datetime) -> list[Comment]:
    """What was written directly below a thread before a time, oldest first."""
    texts = list(_advertisements(seen, thread.month) if thread.kind == HIRING else _other_texts(seen, thread))
    length = len(texts)
    number, found = thread.id + len(TITLES), []
    for place, text in enumerate(texts):
        posted = _posted(thread, place, length)
        if posted >= now:
            break
        found.append(_comment(seen, number, place, posted, text, now))
        number += 2
    return found


def _comment(
    seen: Observations, number: int, place: int, posted: datetime, text: str | None, now: datetime
) -> Comment:
    if text is None:
        return Comment(number, posted, None, None)
    replies: tuple[Comment, ...] = ()
    answered = posted + timedelta(hours=1)
    if place % _REPLY_EVERY == 0 and answered < now:
        name = seen.world.names[place % len(seen.world.names)]
        asked = f"Do you use {name}? Would you hire somebody who knows {name} well?"
        replies = (Comment(number + 1, answered, "curious", asked),)
    return Comment(number, posted, f"poster{place * 31 % 400}", text, replies)


def _posted(thread: Thread, place: int, length: int) -> datetime:
    """When a comment was written: most are in the first days."""
    later = timedelta(days=_OPEN_DAYS) * ((place + 1) / (length + 1)) ** 2
    return (thread.posted + later).replace(microsecond=0)


def _written_before(seen: Observations, thread: Thread, now: datetime) -> int:
    """How many comments a thread has, without writing them."""
    length = _OTHERS
    if thread.kind == HIRING:
        _, first, end = _bounds(seen, thread.month)
        length = end - first + sum(map(_is_deleted, range(first, end)))
    if _posted(thread, length - 1, length) < now:
        return length
    return sum(_posted(thread, place, length) < now for place in range(length))


def _threads_of(month: datetime) -> list[Thread]:
    """The threads of a month, posted on its first working day."""
    first = month.replace(hour=15)
    while first.weekday() >= _WEEKEND:
        first += timedelta(days=1)
    number = _IDS_PER_MONTH * between(_EPOCH, month, "month")
    return [
        Thread(number + kind * (_IDS_PER_MONTH // len(TITLES)), kind, month, first + timedelta(seconds=kind))
        for kind in range(len(TITLES))
    ]


def _bounds(seen: Observations, month: datetime) -> tuple[int, int, int]:
    """Advertisements of a month's quarter, and the first and the end (excluded) of those of the month."""
    total, number = int(seen.ads[seen.world.index_of(month)]), (month.month - 1) % MONTHS
    return total, int(taken(total, MONTHS, number, 0)), int(taken(total, MONTHS, number + 1, 0))


def _is_deleted(advertisement: int) -> bool:
    """Whether another one, before this one, was deleted again."""
    return advertisement % _DELETED_EVERY == _DELETED_EVERY - 1


def _advertisements(seen: Observations, month: datetime) -> Iterator[str | None]:
    """Texts of a month's advertisements in HTML, and None for each that was deleted again."""
    world, quarter = seen.world, seen.world.index_of(month)
    total, first, end = _bounds(seen, month)
    numbers, named = np.arange(first, end), seen.jobs[:, quarter, None]
    phase = np.random.default_rng([world.seed, _STREAM, quarter]).integers(total, size=len(named))[:, None]
    names = taken(named, total, numbers + 1, phase) > taken(named, total, numbers, phase)
    for place, advertisement in enumerate(numbers.tolist()):
        if _is_deleted(advertisement):
            yield None
        yield _advertisement(advertisement, [world.names[row] for row in np.flatnonzero(names[:, place])])


def _advertisement(number: int, technologies: list[str]) -> str:
    """One advertisement that names the technologies, each once or twice, and nothing else of the catalogue."""
    company = f"{_pick(noise.FIRST_NAMES, number)} {_pick(noise.LAST_NAMES, number)}"
    host = company.lower().replace(" ", "-") + ".example"
    tool, role = _pick(noise.TOOLS, number), _pick(noise.ROLES, number)
    stack = [*technologies, tool] if number % 2 else [tool, *technologies]
    head = f"{company} | {role} | {_pick(noise.CITIES, number)} | {_pick(noise.MODES, number)} | Full-time"
    listed = f"Our stack: {', '.join(stack[:-1])} and {stack[-1]}." if len(stack) > 1 else f"We like {tool}."
    repeated = f"<p>You know {technologies[0]} by heart." if technologies and number % 3 == 0 else ""
    link = (
        f'<a href="https:&#x2F;&#x2F;{host}&#x2F;jobs" rel="nofollow">https:&#x2F;&#x2F;{host}&#x2F;jobs</a>'
    )
    texts = (head, _pick(noise.PITCHES, number), f"{listed}{repeated}", _pick(noise.PERKS, number), link)
    return "<p>".join(texts)


def _pick(words: tuple[str, ...], number: int) -> str:
    return words[number % len(words)]


def _other_texts(seen: Observations, thread: Thread) -> Iterator[str | None]:
    """People who look for work: they name technologies too, and are not to be counted."""
    visible = seen.world.visible(thread.month)
    for number in range(_OTHERS):
        known = visible[number % len(visible)]
        yield f"Location: {_pick(noise.CITIES, number)}<p>Remote: Yes<p>Technologies: {known}, Linux<p>Email: in profile"


def _child(comment: Comment, parent: int, story: int) -> dict[str, Any]:
    children = [_child(reply, comment.id, story) for reply in comment.replies]
    return _node(comment.id, comment.posted, comment.author, comment.text, story, parent, children)


def _node(
    number: int, posted: datetime, author: str | None, text: str | None, story: int, parent: int | None,
    children: list[dict[str, Any]],
) -> dict[str, Any]:  # fmt: skip
    return {
        "id": number, "created_at": f"{posted:%Y-%m-%dT%H:%M:%S}.000Z", "created_at_i": int(posted.timestamp()),
        "type": "comment", "author": author, "title": None, "url": None, "text": text, "points": None,
        "parent_id": parent, "story_id": story, "options": [], "children": children,
    }  # fmt: skip
