"""What a run came to: cycles, why they started, the business metric before and after; as JSON, text and picture."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from include.kreislauf.monitoring.verdicts import uplift_by_period
from include.kreislauf.requirements.contract import Contract
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
    """One lived-through period: the release that was asked, when, and the business metric of its answers."""

    period: str
    asked: str
    release: int
    uplift: float
    novelty: float


@dataclass(frozen=True)
class Timeline:
    """The whole run. ``mae`` and ``mae_persistence`` are over the same live predictions."""

    use_case: str
    metric: str
    threshold: float
    cycles: list[CycleLine]
    periods: list[PeriodLine]
    mae: float | None
    mae_persistence: float | None
    predictions_with_outcome: int
    first_champion_seconds: float | None


def build_timeline(store: Store, contract: Contract, until: datetime, started_at: datetime) -> Timeline:
    """Read the timeline of a use case from the store.

    Parameters
    ----------
    started_at: wall-clock time at which the run was started; the first champion is counted from it.
    """
    name, metric = contract.name, contract.gate_metric
    with store.read() as db:
        rows = observations.observed(db, name, until)
        promotions = live.promotions_of(db, name)
        made = {release.cycle_id: release for release in live.releases_of(db, name)}
        by_release = {
            r.version: uplift_by_period([row for row in rows if row.release == r.version], metric.top)
            for r in made.values()
        }
        loops = {row.loop.cycle_id: row for row in messages.loops_of(db, name) if row.loop.edge.opens_cycle}
        promoted: dict[str, datetime] = {}
        for change in promotions:
            promoted.setdefault(change.cycle_id, change.at)
        lines = [
            _cycle_line(
                cycle,
                made.get(cycle.cycle_id),
                promoted.get(cycle.cycle_id),
                loops.get(cycle.cycle_id),
                by_release,
            )
            for cycle in cycles.all_cycles(db, name)
        ]
    scored = [row for row in rows if row.value is not None and row.outcome is not None]
    first = promotions[0].at if promotions else None
    return Timeline(
        use_case=name, metric=metric.name, threshold=metric.threshold, cycles=lines, periods=_periods(rows, by_release),
        mae=_mean([abs(row.outcome - row.value) for row in scored]), mae_persistence=_mean([abs(row.outcome) for row in scored]),
        predictions_with_outcome=len(scored),
        first_champion_seconds=round((first - started_at).total_seconds(), 1) if first else None,
    )  # fmt: skip


def write_timeline(timeline: Timeline, folder: Path) -> Path:
    """Write ``timeline.json`` and ``timeline.png``; returns the JSON's path."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "timeline.json"
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps(asdict(timeline), indent=1, ensure_ascii=False) + "\n")
    temporary.replace(path)
    if timeline.periods:
        draw_timeline(timeline, folder / "timeline.png")
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
            (t, one.uplift)
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
    upper.set_ylabel(f"{timeline.metric}\n(log points per quarter)")
    upper.set_title(f"{timeline.use_case}: {_error_line(timeline)}", fontsize=10, pad=18)
    figure.legend(fontsize=8, ncols=3, loc="outside lower center")
    lower.bar(times, [one.novelty for one in timeline.periods], width=60, color="tab:purple")
    lower.set_ylabel("novelty\n(share of requests)")
    lower.set_xlabel("quarter that was predicted")
    lower.set_ylim(0, 1)
    figure.savefig(path, dpi=110)
    pyplot.close(figure)


def _cycle_line(
    cycle: cycles.Cycle,
    release: Any,
    promoted: datetime | None,
    loop: Any,
    uplifts: dict[int, dict[datetime, float]],
) -> CycleLine:
    matured = list(uplifts.get(release.version, {}).values()) if release else []
    after = loop.value_after if loop and loop.value_after is not None else _mean(matured)
    return CycleLine(
        key=cycle.key, started_by=cycle.started_by, reason=cycle.reason, state=str(cycle.state), as_of=cycle.as_of.isoformat(),
        release=release.version if release else None,
        seconds=round((promoted - cycle.opened_at).total_seconds(), 1) if promoted else None,
        business_metric_before=loop.value_before if loop else None, business_metric_after=after if release else None,
        helped=loop.helped if loop else None,
    )  # fmt: skip


def _periods(rows: list[Any], by_release: dict[int, dict[datetime, float]]) -> list[PeriodLine]:
    lines = []
    for release, uplifts in by_release.items():
        for period, uplift in uplifts.items():
            asked = [row for row in rows if row.release == release and row.period == period]
            novelty = sum(not row.known for row in asked) / len(asked)
            when = max(row.as_of for row in asked)
            lines.append(PeriodLine(period.isoformat(), when.isoformat(), release, uplift, novelty))
    return sorted(lines, key=lambda line: (line.period, line.release))


def _mean(values: list[float]) -> float | None:
    return sum(values) / len(values) if values else None


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:+.4f}"


def _error_line(timeline: Timeline) -> str:
    if timeline.mae is None or not timeline.mae_persistence:
        return "no outcome has matured yet"
    gain = 1 - timeline.mae / timeline.mae_persistence
    compared = f"{abs(gain):.1%} {'lower' if gain >= 0 else 'higher'}"
    return (
        f"live MAE {timeline.mae:.4f}, persistence {timeline.mae_persistence:.4f} ({compared}) "
        f"over {timeline.predictions_with_outcome} predictions"
    )
