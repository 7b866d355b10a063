"""Do the counts of real advertisements agree with what somebody else counted of the same threads?

Reads the recorded threads (Hacker News "Who is hiring", 2011 to 2018) as a collection does, and compares the monthly
numbers of advertisements per technology with ``jobs/hn_hiring_terms_monthly.csv``, which was counted independently.

Run: ``python -m benchmarks.jobs_correlation ../shared``
"""

from __future__ import annotations

import csv
import sys
import time
from collections import defaultdict
from datetime import UTC, date, datetime
from pathlib import Path
from statistics import correlation
from typing import NamedTuple

from include.kreislauf.collection.access import Access, AccessRules
from include.kreislauf.collection.source import Reading
from include.kreislauf.collection.sources.job_ads import JobAds
from include.kreislauf.requirements.loading import load_catalogue
from include.kreislauf.requirements.sources import CountColumn, JobAdsSource

CATALOGUE = Path(__file__).parents[1] / "include/use_cases/technology_radar/technologies.yaml"
FROM, TO = datetime(2011, 1, 1, tzinfo=UTC), datetime(2019, 1, 1, tzinfo=UTC)
TERMS = {
    "react": "React", "kubernetes": "Kubernetes", "typescript": "TypeScript",
    "python": "Python", "java": "Java", "ruby": "Ruby",
}  # fmt: skip
"""Technology -> what the reference calls it."""


class Month(NamedTuple):
    """One month of one technology: advertisements that name it."""

    month: str
    ours: int
    theirs: int


def job_correlation(shared: Path, every: int = 1) -> dict[str, float]:
    """Pearson's r over the months that both counted, per technology.

    Parameters
    ----------
    shared: the folder that holds ``data``.
    every: 3 reads every third month only.
    """
    months = compare(readings(shared, every), shared)
    return {
        name: correlation([one.ours for one in found], [one.theirs for one in found])
        for name, found in months.items()
    }


def readings(shared: Path, every: int = 1) -> list[Reading]:
    """Every recorded month, read as a collection reads it."""
    source = recorded_source(shared)
    return [source.read(unit) for unit in list(source.units(FROM, TO))[::every]]


def recorded_source(shared: Path) -> JobAds:
    """The source of the recorded threads, with the catalogue of the technology radar."""
    config = JobAdsSource(
        kind="job_ads", name="jobs", since=date(2011, 1, 1), url="{data}/raw/jobs",
        columns={"jobs_with_tech": CountColumn(measure="ads", by="term", show="count")},
    )  # fmt: skip
    access = Access(AccessRules(data=str(shared / "data")))
    technologies = load_catalogue(CATALOGUE).technologies
    return JobAds(config, technologies, period="quarter", access=access, max_bad_lines=0.0)


def compare(found: list[Reading], shared: Path) -> dict[str, list[Month]]:
    """Both numbers, per technology and month; months of which the reference knows a wrong thread are left out."""
    theirs = reference(shared)
    months: defaultdict[str, list[Month]] = defaultdict(list)
    for reading in found:
        ours = {one.subject: one.value for one in reading.counts if one.by == "technology_term"}
        for name, term in TERMS.items():
            if (number := theirs.get((term, reading.unit.id))) is not None:
                months[name].append(Month(reading.unit.id, ours.get(name, 0), number))
    return dict(months)


def reference(shared: Path) -> dict[tuple[str, str], int]:
    """(term, month) -> advertisements, as the other side counted them."""
    with (shared / "data/jobs/hn_hiring_terms_monthly.csv").open(newline="") as file:
        return {
            (row["term"], row["month_start"][:7]): int(row["ads_with_term"])
            for row in csv.DictReader(file)
            if row["thread_ok"] == "True"
        }


if __name__ == "__main__":
    started = time.process_time()
    for name, r in job_correlation(Path(sys.argv[1])).items():
        print(f"{name:12} {r:.4f}")
    print(f"{time.process_time() - started:.1f} s of CPU")
