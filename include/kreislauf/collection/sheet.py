"""The data sheet: what the data scientist reads before using a raw-data version."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from include.kreislauf.collection.counts import ACCOUNT, FACT
from include.kreislauf.collection.coverage import REJECTED
from include.kreislauf.collection.emerging import Proposal
from include.kreislauf.collection.panel import Observed, volume
from include.kreislauf.collection.quality import Finding
from include.kreislauf.handovers import Handover
from include.kreislauf.requirements.catalogue import Technology
from include.kreislauf.requirements.contract import Contract
from include.kreislauf.requirements.sources import Counted, Source

PICTURE = "data_sheet.png"
SHOWN_GAPS = 12
SHOWN_TEXT = 60
_GAPS = {
    "outage": "taken as missing and not as zero", "absent": "taken as missing and not as zero",
    "rejected": "damaged, and looked for again", "unread": "nothing is known of them at this time",
}  # fmt: skip
"""States of units that are not there, and what they mean."""
_MARKS = {"ok": "✓", "warning": "!", "broken": "✗"}


@dataclass(frozen=True)
class Contents:
    """Everything a data sheet tells of."""

    frame: pd.DataFrame
    observed: Sequence[Observed]
    findings: Sequence[Finding]
    proposals: Sequence[Proposal]
    taken: Sequence[Proposal]
    adopted: Sequence[Technology]
    places: Sequence[str] = ()
    """What stood for ``{data}``, and where servers were asked instead of their own addresses."""


def data_sheet(contents: Contents, contract: Contract, handover: Handover) -> str:
    """Markdown: origin, extent, each source's account, what the rules found, what emerges, and each column.

    After Gebru et al., Datasheets for Datasets, CACM 64 (2021), as far as the data at hand go.
    """
    frame, summary = contents.frame, handover.summary
    parts = [
        f"# Data sheet: {contract.title}",
        f"Raw-data version `{handover.output}`, as of {handover.as_of:%Y-%m-%d}, cycle `{handover.cycle_id}`,\n"
        f"contract `{handover.contract_hash[:12]}`, code `{handover.code_version}`.",
        _extent(summary, contract),
        "## Sources\n\n"
        + "\n".join([*(_origin(source, handover) for source in contract.sources), *contents.places]),
        *(_account(one) for one in contents.observed),
        "## What the rules found\n\n" + "\n".join(_finding(one) for one in contents.findings),
        *([_emerging(contents)] if contents.observed else []),
        "## Columns\n\n| column | type | smallest | largest | missing |\n|---|---|---|---|---|\n"
        + "\n".join(_column(name, frame[name]) for name in frame.columns),
        *([f"![Volume and coverage by {contract.problem.period}]({PICTURE})"] if contents.observed else []),
    ]
    return "\n\n".join(parts) + "\n"


def _extent(summary: Mapping[str, Any], contract: Contract) -> str:
    of = f" of {summary['entities']} entities" if "entities" in summary else ""
    period = contract.problem.period
    when = f", {period}s {summary['first_period']}\nto {summary['last_period']}" if period else ""
    return f"{summary['rows']} rows{of}{when}."


def _origin(source: Source, handover: Handover) -> str:
    told = (found for name in ("url", "connection", "provider") if (found := getattr(source, name, "")))
    where = next(told, "source.py")  # of kind own: the use case's code alone knows
    version = handover.inputs.get(source.name)
    vintage = f", vintage `{source.vintage}`" if isinstance(source, Counted) else ""
    return f"- `{source.name}` ({source.kind}): `{where}`{vintage}" + (
        f", version `{version}`" if version else ""
    )


def _account(observed: Observed) -> str:
    """How many units and lines of a source there were, and what became of them."""
    rows = observed.account[observed.account["by"] == ACCOUNT]
    sums = rows.groupby("measure")["value"].sum()
    states = observed.coverage.units["state"].value_counts()
    ignored = rows[rows["measure"] == "ignored"].groupby("subject")["value"].sum()
    numbers = rows[rows["measure"] == FACT].groupby("subject")["value"].sum()
    facts = Counter({str(name): int(number) for name, number in numbers.items()})
    reasons = "".join(f", {why} {number:,}" for why, number in ignored.items())
    lines = [
        f"### {observed.source.config.name}: {observed.source.kind}",
        f"- units: {len(observed.coverage.units)} expected, "
        + ", ".join(f"{n} {state}" for state, n in states.items()),
        f"- lines: {sums.get('read', 0):,} read = {sums.get('kept', 0):,} kept + {sums.get('ignored', 0):,} ignored + "
        f"{sums.get('quarantined', 0):,} quarantined" + (f" (ignored:{reasons[1:]})" if reasons else ""),
        *(f"- {note}" for note in observed.source.notes(facts)),
        *_gaps(observed),
        *(f"- quarantined: {text}" for text in rows.loc[rows["measure"] == "fault", "subject"].head(5)),
    ]
    return lines[0] + "\n\n" + "\n".join(lines[1:])


def _gaps(observed: Observed) -> list[str]:
    """Which units are not there, and why."""
    units, found = observed.coverage.units, []
    for state, meaning in _GAPS.items():
        of_state = units[units["state"] == state]
        shown = of_state.head(SHOWN_GAPS)
        more = f" and {len(of_state) - len(shown)} more" if len(of_state) > len(shown) else ""
        if state == "rejected":
            reasons = shown["why"].str.removeprefix(REJECTED)
            found += [
                f"- rejected, {meaning}: {unit}: {why}"
                for unit, why in zip(shown["unit"], reasons, strict=True)
            ]
            found += [f"- rejected:{more}"] if more else []
        elif len(of_state):
            found.append(f"- {state}, {meaning}: {', '.join(shown['unit'])}{more}")
    return [*found, *([f"- {observed.later}"] if observed.later else [])]


def _finding(finding: Finding) -> str:
    allowed = f" (allowed: {finding.allowed})" if finding.allowed else ""
    return f"- {_MARKS[finding.level]} {finding.rule}: {finding.text}{allowed}"


def _emerging(contents: Contents) -> str:
    """Proposals for the catalogue, and what was taken in already."""
    parts = ["## Emerging technologies"]
    if contents.adopted:
        names = ", ".join(sorted(one.name for one in contents.adopted))
        parts.append(f"Outside the catalogue, taken in by loops so far: {names}.")
    if contents.taken:
        parts.append("Taken in by this collection:\n\n" + _sightings(contents.taken))
    if contents.proposals:
        parts.append("Proposals, not taken in:\n\n" + _sightings(contents.proposals))
        parts.append("A proposal that belongs into the catalogue goes into `technologies.yaml`.")
    elif not contents.taken:
        parts.append("Nothing outside the catalogue grows fast in enough sources.")
    return "\n\n".join(parts)


def _sightings(proposals: Sequence[Proposal]) -> str:
    lines = ["| name | seen as | in the last year | growth |", "|---|---|---|---|"]
    for one in proposals:
        for number, seen in enumerate(one.sightings):
            name = "" if number else one.shown
            lines.append(
                f"| {name} | {seen.by} `{seen.subject}` ({seen.source}) | {seen.count} | × {seen.growth:.1f} |"
            )
    return "\n".join(lines)


def _column(name: str, values: pd.Series) -> str:
    present = values.dropna()
    low, high = (present.min(), present.max()) if len(present) else ("", "")
    cells = (name, values.dtype, low, high, f"{values.isna().mean():.1%}")
    return f"| {' | '.join(map(_cell, cells))} |"


def _cell(value: object) -> str:
    """What stands in the data, as a table of Markdown can hold it."""
    text = " ".join(str(value).split())
    return (text if len(text) <= SHOWN_TEXT else f"{text[:SHOWN_TEXT]}…").replace("|", r"\|")


def draw(contents: Contents, contract: Contract, path: Path, title: str) -> None:
    """One row per source: what was counted per period, with gaps marked; technologies that have a value, per column."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    time = str(contract.problem.time)  # there is one: counted sources need it
    figure, axes = pyplot.subplots(
        len(contents.observed),
        2,
        figsize=(11, 2.6 * len(contents.observed)),
        squeeze=False,
        constrained_layout=True,
    )
    figure.suptitle(title, fontsize=10)
    for (counted, seen), observed in zip(axes, contents.observed, strict=True):
        _draw_volume(counted, observed, contract)
        for column in observed.source.config.columns:
            values = contents.frame.groupby(time)[column].apply(lambda one: int((one > 0).sum()))
            seen.plot(values.index, values, marker=".", label=column)
        seen.set_title("technologies with a value above zero", fontsize=9, loc="left")
        seen.legend(fontsize=7, frameon=False)
        seen.set_ylim(bottom=0)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    pyplot.close(figure)


def _draw_volume(axis: Any, observed: Observed, contract: Contract) -> None:
    """Bars of what was counted; a band where too little was there."""
    counted = volume(observed).reindex(observed.periods).fillna(0)
    width = pd.Timedelta(days=20 if contract.problem.period == "month" else 60)
    whole = observed.coverage.periods.reindex(counted.index) >= 1
    axis.bar(counted.index, counted, width=width, color=["#4c78a8" if one else "#f2a541" for one in whole])
    for period in observed.coverage.missing_periods(contract.quality.min_coverage):
        axis.axvspan(period - width / 2, period + width / 2, color="#e45756", alpha=0.35)
    measures = ", ".join(sorted({one.measure for one in observed.source.config.columns.values()}))
    title = f"{observed.source.config.name}: {measures} per unit (amber: some missing; red: too few)"
    axis.set_title(title.replace("_", " "), fontsize=9, loc="left")
