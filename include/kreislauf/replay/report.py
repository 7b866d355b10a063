"""Policies side by side: for the terminal, as JSON, and as a picture."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

from include.kreislauf.replay.policies import ReplayError
from include.kreislauf.replay.results import MetricResult, PolicyResult

FILE = "replay.json"


@dataclass(frozen=True)
class Replay:
    """What was replayed, and what each policy came to.

    Parameters
    ----------
    contract: path of the contract; ``contract_hash``: of the file as its owner wrote it.
    start, end: the first and the last day lived through.
    every: steps from one loop of the schedule to the next.
    changes: days on which the world changed; empty where nobody knows.
    """

    use_case: str
    contract: str
    contract_hash: str
    world: str
    start: str
    end: str
    every: int
    changes: list[str]
    policies: list[PolicyResult]


def as_text(replay: Replay) -> str:
    """The table for a terminal: one line per policy."""
    names = [one.name for one in replay.policies[0].metrics if one.mean is not None]
    head = ["policy", *names, "bad periods", "retrainings", "releases", "helped", "machine s"]
    rows = [head, *(_row(one, names) for one in replay.policies)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
    lines = ["  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
    about = f"{replay.use_case}, {replay.world}, {replay.start} to {replay.end}"
    return "\n".join([about, "", *lines, "", *map(_says, replay.policies[0].metrics)])


def make_folder(folder: Path) -> None:
    """Make the folder of a report: a replay takes long, and must not find out at its end that it cannot be written.

    Raises
    ------
    ReplayError: it cannot be made, or nothing can be written there.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise ReplayError(
            f"nothing can be written there: {error.strerror}", where=f"--out {folder}",
            allowed="a folder that this user may write to, or the path of a new one",
        ) from error  # fmt: skip


def write_replay(replay: Replay, folder: Path) -> Path:
    """Write ``replay.json`` and ``replay.png``; returns the JSON's path."""
    make_folder(folder)
    path = folder / FILE
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps(asdict(replay), indent=1, ensure_ascii=False) + "\n")
    temporary.replace(path)
    draw(replay, path.with_suffix(".png"))
    return path


def draw(replay: Replay, path: Path) -> None:
    """Per business metric a line for each policy, with the threshold; a mark where a policy trained again."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    names = [one.name for one in replay.policies[0].metrics if one.mean is not None]
    figure, axes = pyplot.subplots(
        len(names) or 1, 1, figsize=(11, 1 + 3.5 * (len(names) or 1)), sharex=True, squeeze=False, layout="constrained"
    )  # fmt: skip
    for axis, name in zip(axes[:, 0], names, strict=False):
        for number, policy in enumerate(replay.policies):
            _draw_line(axis, _metric(policy, name), policy, f"C{number}")
        shown = _metric(replay.policies[0], name)
        axis.axhline(shown.threshold, color="0.4", linestyle="--", linewidth=1, label="threshold")
        for change in map(datetime.fromisoformat, replay.changes):
            axis.axvline(change, color="0.8", linewidth=4, zorder=0)
        axis.set_ylabel(f"{name}\n({shown.unit})")
    axes[0, 0].set_title(f"{replay.use_case}, {replay.world}; triangles: trained again", fontsize=10)
    if names:
        axes[0, 0].legend(fontsize=8, ncols=len(replay.policies) + 1)
    figure.savefig(path, dpi=110)
    pyplot.close(figure)


def _draw_line(axis: object, metric: MetricResult, policy: PolicyResult, colour: str) -> None:
    times = [datetime.fromisoformat(one.period) for one in metric.periods]
    axis.plot(times, [one.value for one in metric.periods], color=colour, label=policy.policy, alpha=0.8)  # type: ignore[attr-defined]
    low = min((one.value for one in metric.periods), default=0.0)
    marks = [datetime.fromisoformat(day) for day in policy.retrained]
    axis.plot(marks, [low] * len(marks), "^", color=colour, markersize=6)  # type: ignore[attr-defined]


def _row(policy: PolicyResult, names: Sequence[str]) -> list[str]:
    helped, judged = policy.helped
    decisive = policy.metrics[0]
    return [
        policy.policy, *(_number(_metric(policy, name).mean) for name in names),
        "-" if decisive.bad is None else f"{decisive.bad:.0%}", str(len(policy.retrained)), str(policy.releases),
        f"{helped} of {judged}", f"{policy.seconds:.1f}",
    ]  # fmt: skip


def _says(metric: MetricResult) -> str:
    if metric.mean is None:
        return f"{metric.name}: nothing that a replay can know"
    return (
        f"{metric.name}: mean in {metric.unit}, {metric.direction} is better, bad beyond {metric.threshold:g}"
    )


def _metric(policy: PolicyResult, name: str) -> MetricResult:
    return next(one for one in policy.metrics if one.name == name)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"
