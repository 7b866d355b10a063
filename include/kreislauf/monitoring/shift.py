"""Whether what is asked, and what is answered, is spread as it was: features, predictions, and what the model knows.

A change shows first in the newest requests, and is watered down by older ones. So windows of different lengths are
looked at, each twice the one before, and share the chance of error. The same request, sent again and again within an
hour, is no new evidence: such requests count as fewer (:func:`~include.kreislauf.statistics.stability.effective_size`).
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from include.kreislauf.inference.served import MISSING
from include.kreislauf.statistics.stability import Profile, Shift, effective_size, share_of, shift, windows
from include.kreislauf.store.release_files import PROFILE, LoadedRelease
from include.kreislauf.store.signals import Signal

SMALLEST, LARGEST = 50, 1_600
"""Requests in the smallest and in the largest window."""
ERROR = 0.001
"""Chance that a signal warns in one pass although its true value is not above the limit."""
WORST = 3
"""So many features, or new categories, are named."""
LONGEST = 40
"""A category's name is cut there."""

NOVELTY, FEATURES, PREDICTIONS = "novelty", "feature_shift", "prediction_shift"


@dataclass(frozen=True)
class _Moved:
    name: str
    window: int
    shift: Shift


def unknown(name: str, why: str, limit: float | None = None) -> Signal:
    """A signal that is not known, and why."""
    return Signal(name, None, limit, False, f"not known: {why}")


def profiles_of(release: LoadedRelease) -> dict[str, Profile]:
    """Feature -> how it was spread in training; of an old release, how it is over the entities that it knows."""
    if PROFILE in release.files:
        kept = json.loads(release.files[PROFILE])
        return {name: Profile.from_dict(one) for name, one in kept.items()}
    rows = list(release.snapshot.values())
    numbers = {name: Profile.of_numbers(row.get(name) for row in rows) for name in release.numeric}
    texts = {name: Profile.of_categories(row.get(name) for row in rows) for name in release.categorical}
    return numbers | texts


def novelty(
    rows: Sequence[Any], limit: float, categories: Mapping[str, Container[str]] = MappingProxyType({})
) -> Signal:
    """Share of requests with an entity or a category that the model does not know.

    Parameters
    ----------
    rows: requests, newest first, with attributes entity, known, features (JSON, or ``None``), as_of.
    categories: by feature those that the model has learnt from; what is new among them is named.
    """
    sizes = windows(len(rows), SMALLEST, LARGEST)
    if not sizes:
        return unknown(NOVELTY, f"{len(rows)} requests, {SMALLEST} needed", limit)
    found, names = [], [_same(row) for row in rows]
    for size in sizes:
        share = sum(not row.known for row in rows[:size]) / size
        worth = effective_size(names[:size])
        found.append((share_of(share, worth, 1 - ERROR / len(sizes)), size))
    surest, size = max(found, key=lambda one: one[0].low)
    warning = surest.low > limit
    if not warning:
        surest, size = found[-1]
    text = (
        f"{surest.mean:.1%} of the newest {size} requests ({surest.low:.1%} to {surest.high:.1%}) are outside of what "
        f"the model knows; {limit:.0%} allowed{_named(rows[:size], categories)}"
    )
    return Signal(NOVELTY, surest.mean, limit, warning, text)


def _named(rows: Sequence[Any], categories: Mapping[str, Container[str]]) -> str:
    """The categories that are new, the most frequent first; empty: there are none."""
    sent = [json.loads(row.features) for row in rows if row.features and not row.known]
    new = Counter(
        (name, str(features[name])[:LONGEST])
        for features in sent
        for name, seen in categories.items()
        if name in features and as_learnt(features[name], seen) not in seen
    )
    listed = ", ".join(f"{name} {value!r} ({count})" for (name, value), count in new.most_common(WORST))
    return f"; new: {listed}" if listed else ""


def feature_shift(profiles: Mapping[str, Profile], rows: Sequence[Any], limit: float) -> Signal:
    """Population stability index of the feature that has moved most, training's values against what clients sent.

    Parameters
    ----------
    rows: requests, newest first, with attributes entity, features (JSON, or ``None``), as_of.
    """
    sent = [row for row in rows if row.features]
    if len(sent) < SMALLEST or not profiles:
        return unknown(FEATURES, f"{len(sent)} requests with features, {SMALLEST} needed", limit)
    read = [json.loads(row.features) for row in sent]
    columns = {
        name: [as_learnt(features.get(name), one.categories) for features in read]
        for name, one in profiles.items()
    }
    return _judged(FEATURES, profiles, columns, [_same(row) for row in sent], limit, "requests with features")


def as_learnt(value: Any, categories: Container[str]) -> Any:
    """What was sent, as the release computed with it: a category that is missing may be one of those it has learnt."""
    return MISSING if value is None and MISSING in categories else value


def prediction_shift(
    first: Sequence[Any], rows: Sequence[Any], limit: float, classes: Sequence[str] = ()
) -> Signal:
    """Population stability index of the predictions: the release's first ones against its newest.

    Parameters
    ----------
    classes: where a prediction is the position of one of them; none: it is a number, or a probability.
    first: the first requests, with attributes entity, value, features, as_of.
    rows: the newest ones, newest first; as many as they are later than the first.
    """
    later = [row for row in rows if row.value is not None]
    first = [row for row in first if row.value is not None]
    if len(first) < SMALLEST or len(later) < SMALLEST:
        return unknown(
            PREDICTIONS, f"{len(later)} predictions after the first {len(first)}, {SMALLEST} needed", limit
        )
    before = _spread([row.value for row in first], classes)
    worth = effective_size(map(_same, first)) / len(first)
    profiles = {"predictions": before.scaled(worth)}
    columns = {"predictions": [_shown(row.value, classes) for row in later]}
    return _judged(PREDICTIONS, profiles, columns, [_same(row) for row in later], limit, "predictions")


def _spread(values: Sequence[float], classes: Sequence[str]) -> Profile:
    if not classes:
        return Profile.of_numbers(values)
    empty = Profile((), categories=tuple(classes))
    return Profile(
        tuple(empty.count([_shown(one, classes) for one in values]).tolist()), categories=tuple(classes)
    )


def _shown(value: float, classes: Sequence[str]) -> Any:
    """A prediction as it is counted: a number, or the name of its class."""
    if not classes:
        return value
    return classes[int(value)] if 0 <= value < len(classes) else None


def _same(row: Any) -> tuple[Any, ...]:
    """Equal for requests that are the same, sent within one hour."""
    return row.entity, row.features, row.as_of.replace(minute=0, second=0, microsecond=0)


def _judged(
    signal: str, profiles: Mapping[str, Profile], columns: Mapping[str, Sequence[Any]], names: Sequence[Any],
    limit: float, what: str,
) -> Signal:  # fmt: skip
    sizes = windows(len(names), SMALLEST, LARGEST)
    found = []
    for size in sizes:
        worth = effective_size(names[:size])
        for name, values in columns.items():
            found.append(_Moved(name, size, shift(profiles[name], values[:size], limit, worth)))
    sure = [one for one in found if one.shift.chance < ERROR / len(found)]
    shown = _worst(sure or [one for one in found if one.window == sizes[-1]])
    listed = ", ".join(f"{one.name} {one.shift.index:.2f}" for one in shown)
    text = f"population stability index over the newest {shown[0].window} {what}: {listed}; {limit:g} allowed"
    return Signal(signal, shown[0].shift.index, limit, bool(sure), text)


def _worst(found: Sequence[_Moved]) -> list[_Moved]:
    """Those that moved most, each in the window where that is surest, in the order of their index."""
    surest: dict[str, _Moved] = {}
    for one in sorted(found, key=lambda one: one.shift.chance):
        surest.setdefault(one.name, one)
    return sorted(surest.values(), key=lambda one: -one.shift.index)[:WORST]
