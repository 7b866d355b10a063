"""What a run came to for a use case: cycles, why they started, the business metric before and after.

As JSON, text and picture. The business metric is the contract's first that can be computed in the lab and live.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any, cast

from include.kreislauf.embedded.live_error import LiveError, live_error
from include.kreislauf.monitoring.history import UNTIMED, history_of
from include.kreislauf.monitoring.history import PeriodLine as History
from include.kreislauf.periods import start_of
from include.kreislauf.requirements.contract import Contract, PortfolioUplift
from include.kreislauf.store import cycles, live, messages, observations
from include.kreislauf.store.database import Store


@dataclass(frozen=True)
class CycleLine:
    """One cycle of the timeline. Times in seconds of machine time, the metric in its own unit."""

    key: str
    started_by: str
    reason: str
    state: str
    as_of: str
    release: int | None
    seconds: float | None
    business_metric_before: float | None
    business_metric_after: float | None
    helped: bool | None


@dataclass(frozen=True)
class PeriodLine:
    """One lived-through period: the release that was asked, and the business metric of its answers, so many of them.

    ``asked`` is the time of the last request, ``novelty`` the share of requests outside what the release knows.
    """

    period: str
    asked: str
    release: int
    value: float
    observations: int
    novelty: float


@dataclass(frozen=True)
class Timeline:
    """The whole run of one use case.

    ``error`` says how wrong live predictions were, ``mae`` and ``mae_persistence`` (or the mean) the same of numbers.
    """

    use_case: str
    metric: str
    unit: str
    threshold: float
    cycles: list[CycleLine]
    periods: list[PeriodLine]
    mae: float | None
    mae_persistence: float | None
    error: LiveError | None
    predictions_with_outcome: int
    first_champion_seconds: float | None


def build_timeline(
    store: Store, contract: Contract, until: datetime, started_at: datetime, folder: Path | None = None
) -> Timeline:
    """Read the timeline of a use case from the store.

    Parameters
    ----------
    started_at: wall-clock time at which the run was started; the first champion is counted from it.
    folder: that of the use case, where its own code is.
    """
    name, metric = contract.name, contract.gate_metric
    with store.read() as db:
        rows = observations.observed(db, name, until)
        history = history_of(db, contract, metric, until, folder)
        promotions = live.promotions_of(db, name)
        made = {release.cycle_id: release.version for release in live.releases_of(db, name)}
        loops = {row.loop.cycle_id: row for row in messages.loops_of(db, name) if row.loop.edge.opens_cycle}
        known = cycles.all_cycles(db, name)
    promoted: dict[str, datetime] = {}
    for change in promotions:
        promoted.setdefault(change.cycle_id, change.at)
    lines = [
        _cycle_line(one, made.get(one.cycle_id), promoted.get(one.cycle_id), loops.get(one.cycle_id), history)
        for one in known
    ]
    error = _error(contract, rows)
    is_number = error is not None and contract.problem.kind == "regression"
    return Timeline(
        use_case=name, metric=metric.name, unit=metric.unit, threshold=metric.threshold, cycles=lines,
        periods=_periods(contract, rows, history), error=error, mae=error.value if error and is_number else None,
        mae_persistence=error.without if error and is_number else None,
        predictions_with_outcome=error.predictions if error else 0,
        first_champion_seconds=round((promotions[0].at - started_at).total_seconds(), 1) if promotions else None,
    )  # fmt: skip


def write_timeline(timeline: Timeline, folder: Path, name: str = "timeline") -> Path:
    """Write ``<name>.json`` and ``<name>.png``; returns the JSON's path."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.json"
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps(asdict(timeline), indent=1, ensure_ascii=False) + "\n")
    temporary.replace(path)
    if timeline.periods:
        draw_timeline(timeline, path.with_suffix(".png"))
    return path


def as_text(timeline: Timeline) -> str:
    """The timeline for a terminal."""
    head = f"{'cycle':<20} {'state':<8} {'release':>7} {'before':>8} {'after':>8}  started by"
    body = [
        f"{line.key.partition('|')[2]:<20} {line.state:<8} {line.release or '-':>7} {_number(line.business_metric_before):>8} "
        f"{_number(line.business_metric_after):>8}  {line.started_by}: {line.reason}"
        for line in timeline.cycles
    ]
    return "\n".join([head, *body, "", _error_line(timeline)])


def draw_timeline(timeline: Timeline, path: Path) -> None:
    """The business metric per period with its threshold, the releases and the cycles they came from."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, (upper, lower) = pyplot.subplots(
        2, 1, figsize=(11, 6.5), sharex=True, height_ratios=[3, 1], layout="constrained"
    )
    times = [datetime.fromisoformat(one.asked) for one in timeline.periods]
    for line in timeline.cycles:
        if line.release is None:
            continue
        began = datetime.fromisoformat(line.as_of)
        own = [
            (t, one.value)
            for t, one in zip(times, timeline.periods, strict=True)
            if one.release == line.release
        ]
        upper.axvline(began, color="grey", linestyle=":", linewidth=1)
        upper.annotate(f"cycle {line.key.partition('|')[2][1:5].lstrip('0')}", (began, 1.01), xycoords=("data", "axes fraction"),
                       fontsize=8, ha="center", va="bottom")  # fmt: skip
        if own:
            upper.plot(
                *zip(*own, strict=True), marker="o", label=f"release {line.release}: {line.started_by}"
            )
    upper.axhline(timeline.threshold, color="black", linestyle="--", linewidth=1, label="threshold")
    upper.set_ylabel(f"{timeline.metric}\n({timeline.unit})")
    upper.set_title(f"{timeline.use_case}: {_error_line(timeline)}", fontsize=10, pad=18)
    figure.legend(fontsize=8, ncols=3, loc="outside lower center")
    lower.bar(times, [one.novelty for one in timeline.periods], width=_width(times), color="tab:purple")
    lower.set_ylabel("novelty\n(share of requests)")
    lower.set_xlabel("when it was asked")
    lower.set_ylim(0, 1)
    figure.savefig(path, dpi=110)
    pyplot.close(figure)


def _width(times: Sequence[datetime]) -> float:
    """Of a bar, in days: two thirds of what usually lies between two periods."""
    apart = [(later - earlier) / timedelta(days=1) for earlier, later in pairwise(sorted(set(times)))]
    return 2 / 3 * median(apart or [1.0])


def _cycle_line(
    cycle: cycles.Cycle, release: int | None, promoted: datetime | None, loop: messages.LoopRow | None,
    history: Sequence[History],
) -> CycleLine:  # fmt: skip
    own = [one for one in history if one.release == release]
    count = sum(one.observations for one in own)
    mean = sum(one.value * one.observations for one in own) / count if count else None
    after = loop.value_after if loop and loop.value_after is not None else mean
    return CycleLine(
        key=cycle.key, started_by=cycle.started_by, reason=cycle.reason, state=str(cycle.state), as_of=cycle.as_of.isoformat(),
        release=release, seconds=round((promoted - cycle.opened_at).total_seconds(), 1) if promoted else None,
        business_metric_before=loop.value_before if loop else None, business_metric_after=after if release else None,
        helped=loop.helped if loop else None,
    )  # fmt: skip


def _periods(contract: Contract, rows: Sequence[Any], history: Sequence[History]) -> list[PeriodLine]:
    asked: dict[tuple[int, str], list[Any]] = defaultdict(list)
    for row in rows:
        asked[row.release, f"{_period_of(contract, row):%Y-%m-%d}"].append(row)
    lines = []
    for one in history:
        own = asked[one.release, one.period]
        novelty = sum(not row.known for row in own) / len(own)
        when = max(row.as_of for row in own).isoformat()
        period = f"{one.period}T00:00:00+00:00"
        lines.append(PeriodLine(period, when, one.release, one.value, one.observations, novelty))
    return lines


def _period_of(contract: Contract, row: Any) -> datetime:
    """The period that a metric counts a prediction in, as :func:`history_of` does."""
    if isinstance(contract.gate_metric, PortfolioUplift):
        return cast("datetime", row.period)
    return start_of(row.as_of, contract.problem.period or UNTIMED)


def _error(contract: Contract, rows: Sequence[Any]) -> LiveError | None:
    scored = [row for row in rows if row.value is not None and row.outcome is not None]
    return live_error(contract, [row.value for row in scored], [row.outcome for row in scored])


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:+.4f}"


def _error_line(timeline: Timeline) -> str:
    return timeline.error.text if timeline.error else "no outcome has matured yet"
