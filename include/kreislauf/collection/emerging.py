"""Emerging technologies: names outside the catalogue that grow fast in several sources at once.

A name counts where its share in the last year exceeds that in the year before by the contract's factor: years, so that
neither seasons nor a busy month decide. One source alone is no proof: tags are merged, a repository trends for a week, a word comes into fashion.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import log, log1p

import pandas as pd

from include.kreislauf.collection.panel import CUMULATIVE, Observed
from include.kreislauf.collection.source import TOTAL
from include.kreislauf.periods import per_year
from include.kreislauf.requirements.catalogue import Technology, Term
from include.kreislauf.requirements.contract import Emerging

EMERGING = "emerging"
"""Kind of a technology that was found, and is no language."""
LOOKED_AT: dict[str, str] = {
    "language": "pull_requests",
    "repository": "stars",
    "tag": "questions",
    "term": "ads",
}
"""Kind of subject -> the measure in which its growth is looked for."""
_NOISE = re.compile(r"[^a-z0-9+#]+")


@dataclass(frozen=True)
class Sighting:
    """How one source shows a name: so many in the last year, so many times its share of the year before."""

    source: str
    by: str
    subject: str
    count: int
    growth: float


@dataclass(frozen=True)
class Proposal:
    """A technology that the catalogue lacks."""

    token: str
    score: float
    sightings: tuple[Sighting, ...]

    def technology(self) -> Technology:
        """What would be collected of it from now on."""
        by = {kind: tuple(sorted({one.subject for one in self.sightings if one.by == kind})) for kind in
              ("language", "repository", "topic", "tag", "tag_ever", "term")}  # fmt: skip
        name = re.sub(r"[^a-z0-9.+#_-]", "-", self.shown.lower()).lstrip(".+#_-")[:63]
        return Technology(
            name=name, kind="language" if by["language"] else EMERGING, languages=by["language"],
            repositories=by["repository"], topics=by["topic"],
            # a tag that no list shows yet most likely has the name's own form
            tags=by["tag"] or by["tag_ever"] or (name,),
            terms=tuple(Term(text=term) for term in by["term"] or (name,)),
        )  # fmt: skip

    @property
    def shown(self) -> str:
        """The name as the sources write it most plainly."""
        plain = sorted(self.sightings, key=lambda one: ("/" in one.subject, len(one.subject), one.subject))
        return plain[0].subject.rpartition("/")[2]


def token_of(subject: str) -> str:
    """One form for ``Node.js``, ``node-js`` and ``nodejs/node.js``: lower case, without owner and punctuation."""
    return _NOISE.sub("", subject.rpartition("/")[2].lower())


def propose(
    observed: Sequence[Observed], technologies: Iterable[Technology], rules: Emerging
) -> list[Proposal]:
    """Names outside the catalogue, the most convincing first: by sources, then by growth and volume."""
    known = {token_of(name) for one in technologies for name in _names(one)}
    sightings: dict[str, list[Sighting]] = {}
    for source in observed:
        for sighting in _sightings(source, rules):
            sightings.setdefault(token_of(sighting.subject), []).append(sighting)
    found = [
        Proposal(token, _score(seen), tuple(seen))
        for token, seen in sightings.items()
        if token and token not in known and len({one.source for one in seen}) >= rules.min_sources
    ]
    found.sort(key=lambda one: (-len({seen.source for seen in one.sightings}), -one.score, one.token))
    return found[: rules.propose]


def _names(technology: Technology) -> Iterable[str]:
    yield technology.name
    yield from (*technology.languages, *technology.repositories, *technology.topics, *technology.tags)
    yield from (term.text for term in technology.terms)


def _score(sightings: Sequence[Sighting]) -> float:
    return sum(log(one.growth) * log1p(one.count) for one in sightings)


def _sightings(observed: Observed, rules: Emerging) -> Iterable[Sighting]:
    """Names of one source that have grown enough."""
    for by, measure in LOOKED_AT.items():
        rows = observed.rows[(observed.rows["measure"] == measure) & observed.rows["by"].isin([by, TOTAL])]
        subjects = rows[rows["by"] == by]
        if len(subjects) and len(observed.periods) > 1:
            yield from _grown(observed, by, rows, subjects, rules)
    for by in CUMULATIVE:
        yield from _risen(observed, by, rules)


def _grown(
    observed: Observed, by: str, rows: pd.DataFrame, subjects: pd.DataFrame, rules: Emerging
) -> Iterable[Sighting]:
    table = subjects.pivot_table(
        index="subject", columns="bucket", values="value", aggfunc="sum", fill_value=0
    )
    year = per_year(observed.source.period)
    there = [one for one in observed.periods if one in table.columns]
    now, before = there[-year:], there[-2 * year : -year]
    totals = rows[rows["by"] == TOTAL].groupby("bucket")["value"].sum()
    if not before or not (total_before := totals.reindex(before).sum()):
        return
    counts = table[now].sum(axis=1)
    # a name that was not there at all counts as half a sighting: the most that could have been overlooked
    share_before = table[before].sum(axis=1).clip(lower=0.5) / total_before
    growth = counts / totals.reindex(now).sum() / share_before
    enough = (counts >= rules.min_count) & (growth >= rules.min_growth)
    for subject in table.index[enough]:
        yield Sighting(
            observed.source.config.name, by, str(subject), int(counts[subject]), float(growth[subject])
        )


def _risen(observed: Observed, by: str, rules: Emerging) -> Iterable[Sighting]:
    """Counts since ever: the share of the rise between the last two snapshots against the share of all before."""
    rows = observed.snapshots[observed.snapshots["by"] == by]
    table = rows.pivot_table(index="subject", columns="observed_at", values="value", aggfunc="max")
    if table.shape[1] < 2:
        return
    earlier, later = table.columns[-2], table.columns[-1]
    # a name that only now is among those listed had at most as many as the last of them
    known = table[earlier].fillna(table[earlier].min())
    rise = (table[later] - known).dropna()
    share, before = rise / max(rise.sum(), 1), known / max(known.sum(), 1)
    growth = share / before.reindex(share.index).clip(lower=0.5 / max(known.sum(), 1))
    enough = (rise >= rules.min_count) & (growth >= rules.min_growth)
    for subject in rise.index[enough]:
        yield Sighting(
            observed.source.config.name, by, str(subject), int(rise[subject]), float(growth[subject])
        )
