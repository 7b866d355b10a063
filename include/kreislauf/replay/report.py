"""Policies side by side: for the terminal, as JSON, and as a picture."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from include.kreislauf.replay.policies import Policy, ReplayError
from include.kreislauf.replay.results import MetricResult, PolicyResult

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FILE = "replay.json"
_COUNTED = "bad: share of the periods; retrainings, releases, loops and machine time: without the first cycle"
_STYLES = (("-", "o"), ("--", "s"), (":", "D"), ("-.", "x"))
"""Line and mark of each policy: policies that did the same lie on each other."""


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
    bad = f"{names[0]} bad" if names else "bad"
    head = ["policy", *names, bad, "retrainings", "releases", "helped", "machine s"]
    rows = [head, *(_row(one, names) for one in replay.policies)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
    lines = ["  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
    about = f"{replay.use_case}, {replay.world}, {replay.start} to {replay.end}"
    quiet = [f"{one.policy}: monitoring raised nothing" for one in replay.policies if _is_quiet(one)]
    notes = [*map(_says, replay.policies[0].metrics), _COUNTED, *quiet]
    return "\n".join([about, "", *lines, "", *notes])


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
    """Write the picture of :func:`drawn`."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure = drawn(replay)
    figure.savefig(path, dpi=110)
    pyplot.close(figure)


def drawn(replay: Replay) -> Figure:
    """Per business metric a line for each policy, with the threshold; a mark where a policy trained again."""
    from matplotlib import pyplot

    names = [one.name for one in replay.policies[0].metrics if one.mean is not None]
    figure, axes = pyplot.subplots(
        len(names) or 1, 1, figsize=(11, 1 + 3.5 * (len(names) or 1)), sharex=True, squeeze=False, layout="constrained"
    )  # fmt: skip
    for axis, name in zip(axes[:, 0], names, strict=False):
        for number, policy in enumerate(replay.policies):
            _draw_line(axis, _metric(policy, name), policy, number)
        shown = _metric(replay.policies[0], name)
        axis.axhline(shown.threshold, color="0.4", linestyle="--", linewidth=1, label="threshold")
        for change in map(datetime.fromisoformat, replay.changes):
            axis.axvline(change, color="0.8", linewidth=4, zorder=0)
        axis.set_ylabel(f"{name}\n({shown.unit})")
    axes[0, 0].set_title(f"{replay.use_case}, {replay.world}; triangles: trained again", fontsize=10)
    if names:
        axes[0, 0].legend(fontsize=8, ncols=len(replay.policies) + 1)
    return figure


def _draw_line(axis: Axes, metric: MetricResult, policy: PolicyResult, number: int) -> None:
    times = np.array([one.period for one in metric.periods], "datetime64[D]")
    colour, (line, mark) = f"C{number}", _STYLES[number % len(_STYLES)]
    values = [one.value for one in metric.periods]
    look: dict[str, Any] = {
        "markersize": 9 - 2 * number,
        "markerfacecolor": "none",
        "markevery": max(1, len(values) // 40),
    }
    axis.plot(times, values, line, marker=mark, color=colour, label=policy.policy, alpha=0.8, **look)
    low = min((one.value for one in metric.periods), default=0.0)
    marks = np.array(policy.retrained, "datetime64[D]")
    axis.plot(marks, [low] * len(marks), "^", color=colour, markersize=6)


def _row(policy: PolicyResult, names: Sequence[str]) -> list[str]:
    helped, judged = policy.helped
    bad = _metric(policy, names[0]).bad if names else None
    return [
        policy.policy, *(_number(_metric(policy, name).mean) for name in names),
        "-" if bad is None else f"{bad:.0%}", str(len(policy.retrained)), str(policy.releases),
        f"{helped} of {judged}", f"{policy.seconds:.1f}",
    ]  # fmt: skip


def _says(metric: MetricResult) -> str:
    if metric.mean is None:
        return f"{metric.name}: nothing that a replay can know"
    side = "below" if metric.direction == "higher" else "above"
    return (
        f"{metric.name}: mean in {metric.unit}, {metric.direction} is better, bad {side} {metric.threshold:g}"
    )


def _is_quiet(policy: PolicyResult) -> bool:
    return policy.policy == Policy.TRIGGERED and not policy.loops and not policy.refused


def _metric(policy: PolicyResult, name: str) -> MetricResult:
    return next(one for one in policy.metrics if one.name == name)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"
