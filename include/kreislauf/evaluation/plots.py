"""The pictures of a model card; the same card gives the same bytes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import numpy as np
import pandas as pd

from include.kreislauf.evaluation.card_facts import (
    Card,
    are_probabilities,
    finite,
    metric_label,
    period_label,
    words,
)
from include.kreislauf.evaluation.models import SegmentScore
from include.kreislauf.statistics.metrics import metric

BLUE, AMBER, RED, GREY = "#4c78a8", "#f2a541", "#e45756", "#7f868f"
MAX_POINTS = 400
MAX_SEGMENTS = 30
MAX_FEATURES = 15
MAX_CLASSES = 12


@dataclass(frozen=True)
class Plot:
    """A picture: its file, what is to be seen for people who do not see it, and how it is drawn on an axis."""

    file: str
    alt: str
    caption: str
    draw: Callable[[Any], None]
    height: float = 4.0
    """Inches; the width is always 9."""


def plots(card: Card) -> list[Plot]:
    """The pictures there is something to draw for, in the order of the card."""
    made = (_predicted(card), _error(card), _business(card), _segments(card), _importance(card))
    return [one for one in made if one]


def png(plot: Plot) -> bytes:
    """The picture as a PNG file, without a trace of when and by what it was made."""
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    # no pyplot: it is not safe in threads
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        # names from the data are no formulas
        matplotlib.rcParams.update({"text.parse_math": False, "font.size": 11})
        figure = Figure(figsize=(9, plot.height), layout="constrained")
        FigureCanvasAgg(figure)
        axis = figure.add_subplot()
        axis.spines[["top", "right"]].set_visible(False)
        plot.draw(axis)
        stream = BytesIO()
        figure.savefig(stream, format="png", dpi=120, metadata={"Software": None})
    return stream.getvalue()


# --- predicted against realised


def _predicted(card: Card) -> Plot | None:
    rows = card.rows.dropna(subset=["prediction", "target"]) if len(card.rows) else card.rows
    if rows.empty:
        return None
    if card.contract.problem.kind == "classification":
        return _calibration(rows) if are_probabilities(rows) else _confusion(rows)
    return _scatter(card, rows)


def _scatter(card: Card, rows: pd.DataFrame) -> Plot:
    ends = rows[["low", "high"]].astype(float)
    known = pd.Series(np.isfinite(ends.to_numpy()).all(axis=1), index=rows.index)
    inside = known & rows["target"].between(rows["low"], rows["high"])
    shown = rows.iloc[np.unique(np.linspace(0, len(rows) - 1, MAX_POINTS).astype(int))]
    share = f"; {inside[known].mean():.0%} of outcomes lie inside their intervals" if known.any() else ""
    some = f"{len(shown)} of {len(rows)}" if len(shown) < len(rows) else f"{len(rows)}"
    promised = f"{card.contract.performance.interval:.0%} prediction intervals"
    bars = f" Bars are {promised}; those in red miss the outcome." if known.any() else ""
    groups = ((inside, BLUE, "outcome inside"), (known & ~inside, RED, "outcome outside"),
              (~known, GREY, "no interval"))  # fmt: skip

    def draw(axis: Any) -> None:
        for belongs, colour, label in groups:
            part = shown[belongs.loc[shown.index]]
            if len(part):
                axis.errorbar(
                    part["target"], part["prediction"], yerr=_distances(part), fmt="o", markersize=3.5, color=colour,
                    elinewidth=0.6, alpha=0.6, label=label,
                )  # fmt: skip
        both = shown[["target", "prediction"]].to_numpy(float)
        ends = [both.min(), both.max()]
        axis.plot(ends, ends, color="k", linewidth=1, linestyle="--", label="prediction = outcome")
        axis.set(xlabel="realised", ylabel="predicted")
        axis.legend(frameon=False, fontsize=9)

    return Plot(
        "predicted.png", f"Scatter of predicted against realised values of {some} held-out rows{share}.",
        f"Predicted against realised, {some} held-out rows{share}.{bars}", draw, height=4.6,
    )  # fmt: skip


def _distances(rows: pd.DataFrame) -> list[Any]:
    """From predictions down and up to the ends of their intervals; nothing where they are not known."""
    middle, low, high = (rows[name].to_numpy(float) for name in ("prediction", "low", "high"))
    known = np.isfinite(low) & np.isfinite(high)
    return [np.where(known, distance, 0.0) for distance in (middle - low, high - middle)]


def _calibration(rows: pd.DataFrame) -> Plot:
    bins = (rows["prediction"] * 10).clip(upper=9.5).astype(int)
    found = rows.groupby(bins.to_numpy()).agg(
        said=("prediction", "mean"), came=("target", "mean"), n=("target", "size")
    )

    def draw(axis: Any) -> None:
        axis.plot([0, 1], [0, 1], color=GREY, linewidth=1, linestyle="--", label="perfectly calibrated")
        sizes = 20 + 180 * found["n"] / found["n"].max()
        axis.scatter(
            found["said"], found["came"], s=sizes, color=BLUE, label="tenth of the scale; area: rows"
        )
        axis.set(xlabel="predicted probability", ylabel="share that came true", xlim=(0, 1), ylim=(0, 1))
        axis.legend(frameon=False, fontsize=9)

    off = float((found["said"] - found["came"]).abs().mul(found["n"]).sum() / found["n"].sum())
    text = f"Predicted probability against the share that came true, {len(rows)} held-out rows; on average {off:.1%} apart."
    return Plot("predicted.png", f"Calibration curve. {text}", text, draw)


def _confusion(rows: pd.DataFrame) -> Plot:
    predicted, realised = rows["prediction"].astype(str), rows["target"].astype(str)
    classes = sorted({*predicted, *realised})
    most = pd.concat([realised, predicted]).value_counts().reindex(classes)
    shown = sorted(most.nlargest(MAX_CLASSES).index)
    counts = pd.crosstab(realised, predicted).reindex(index=shown, columns=shown, fill_value=0)
    right = float((predicted == realised).mean())

    def draw(axis: Any) -> None:
        axis.imshow(counts, cmap="Blues", aspect="auto")
        axis.set_xticks(range(len(shown)), [_short(one) for one in shown], rotation=30, ha="right")
        axis.set_yticks(range(len(shown)), [_short(one) for one in shown])
        half = counts.to_numpy().max() / 2
        for (row, column), count in np.ndenumerate(counts.to_numpy()):
            axis.text(column, row, f"{count}", ha="center", va="center", color="w" if count > half else "k")
        axis.set(xlabel="predicted", ylabel="realised")

    of = f", the {len(shown)} most frequent of {len(classes)} classes" if len(shown) < len(classes) else ""
    text = f"Predicted against realised class, {len(rows)} held-out rows; {right:.0%} are right{of}."
    return Plot(
        "predicted.png", f"Confusion matrix. {text}", text, draw, height=max(3.4, 0.5 * len(shown) + 1.4)
    )


# --- by period


def _error(card: Card) -> Plot | None:
    if card.rows.empty or "period" not in card.rows:
        return None
    name, losses = _losses(card)
    by_period = losses.groupby(card.rows["period"].to_numpy()).mean().dropna(how="all")
    if by_period.empty:
        return None
    if card.contract.problem.kind == "regression":
        by_period = by_period.map(metric(card.report.metric).total)
    labels = [period_label(one, card.contract.problem.period) for one in by_period.index]
    better = int((by_period["prediction"] < by_period["baseline"]).sum())

    def draw(axis: Any) -> None:
        positions = range(len(labels))
        axis.plot(positions, by_period["baseline"], color=AMBER, marker="s", label=card.report.baseline)
        axis.plot(positions, by_period["prediction"], color=BLUE, marker="o", label=_short(_name(card)))
        axis.set_ylim(bottom=0)
        axis.set_ylabel(name)
        _label_periods(axis, labels)
        axis.legend(frameon=False, fontsize=9)

    text = f"Error ({name}) by {card.contract.problem.period}: below {card.report.baseline} in {better} of {len(labels)}."
    return Plot("error_by_period.png", f"Line chart. {text}", text, draw, height=3.4)


def _losses(card: Card) -> tuple[str, pd.DataFrame]:
    """What the error by period is called, and the loss of each row by model and baseline."""
    rows, name, columns = card.rows, card.report.metric, ("prediction", "baseline")
    if card.contract.problem.kind == "regression":
        target = rows["target"].to_numpy(float)
        losses = {one: metric(name).losses(target, rows[one].to_numpy(float)) for one in columns}
    elif are_probabilities(rows):
        losses = {one: _binary(name, rows["target"], rows[one]) for one in columns}
    else:
        wrong = {
            one: (rows[one].astype(str) != rows["target"].astype(str)).to_numpy(float) for one in columns
        }
        return "share of wrong classes", pd.DataFrame(wrong)
    return metric_label(name), pd.DataFrame(losses)


def _binary(name: str, target: pd.Series[Any], probability: pd.Series[Any]) -> Any:
    known = (target.notna() & probability.notna()).to_numpy()
    of_one = probability.to_numpy(float)[known]
    found = np.full(len(known), np.nan)
    found[known] = metric(name).losses(target.to_numpy(float)[known], np.column_stack([1 - of_one, of_one]))
    return found


def _business(card: Card) -> Plot | None:
    subject, rule = card.subject, card.contract.gate_metric
    if subject is None or not subject.business_by_period:
        return None
    found = sorted(subject.business_by_period.items())
    labels = [period_label(start, card.contract.problem.period) for start, _ in found]
    values = [value for _, value in found]
    reached = sum(value >= rule.gate_threshold for value in values)
    mean = subject.business

    def draw(axis: Any) -> None:
        colours = [BLUE if value >= rule.gate_threshold else AMBER for value in values]
        axis.bar(range(len(values)), values, color=colours, width=0.65)
        axis.axhline(0, color="k", linewidth=0.8)
        axis.axhline(
            rule.gate_threshold, color=RED, linestyle="--", label=f"threshold {rule.gate_threshold:g}"
        )
        if mean.value is not None:
            axis.axhline(mean.value, color=BLUE, linewidth=1.2, label=f"mean {mean.value:+.4g}")
        if mean.low is not None and mean.high is not None:
            axis.axhspan(
                mean.low, mean.high, color=BLUE, alpha=0.15, label=f"{mean.level:.0%} interval of the mean"
            )
        axis.set_ylabel(f"{words(rule.name)}\n({rule.unit})")
        _label_periods(axis, labels)
        axis.legend(frameon=False, fontsize=9, ncols=3, loc="lower left", bbox_to_anchor=(0, 1))

    text = (
        f"Business metric {words(rule.name)} by {card.contract.problem.period}, in {rule.unit}: {reached} of {len(values)} "
        f"reach the threshold of {rule.gate_threshold:g}, which counts for the mean."
    )
    return Plot("business_by_period.png", f"Bar chart. {text}", text, draw, height=3.6)


# --- segments and features


def _segments(card: Card) -> Plot | None:
    scored = [one for one in card.subject.segments if one.gain.value is not None] if card.subject else []
    if not scored:
        return None
    # a stable order: the segments of one kind stay together, as in the table
    kept = sorted(scored, key=lambda one: -one.n_rows)[:MAX_SEGMENTS]
    shown = [one for one in scored if one in kept][::-1]
    below = sum(_value(one) < 0 for one in shown)

    def draw(axis: Any) -> None:
        for place, one in enumerate(shown):
            colour = GREY if card.too_small(one) else BLUE if _value(one) >= 0 else RED
            ends = finite([one.gain.low, one.gain.high])
            if len(ends) == 2:
                axis.plot(ends, [place, place], color=colour, linewidth=2, solid_capstyle="butt")
            axis.plot([_value(one)], [place], "o", color=colour)
            if one.limit is not None:
                axis.plot([one.limit], [place], "|", color=RED, markersize=13, markeredgewidth=2)
        axis.axvline(0, color="k", linewidth=0.8)
        axis.set_yticks(
            range(len(shown)), [_short(f"{one.by}: {one.value} ({one.n_rows})", 44) for one in shown]
        )
        axis.xaxis.set_major_formatter(lambda value, _: f"{value:+.0%}")
        axis.set_xlabel(f"gain over {card.report.baseline}")
        axis.set_ylim(-0.7, len(shown) - 0.3)

    some = (
        f"the {len(shown)} largest of {len(scored)} segments" if len(shown) < len(scored) else "all segments"
    )
    text = (
        f"Gain over {card.report.baseline} in {some}, with intervals; {below} of {len(shown)} are below zero."
    )
    grey = " Red marks are limits; grey segments are too small to judge." if len(shown) else ""
    return Plot("segments.png", f"Dot chart. {text}", text + grey, draw, height=1.3 + 0.3 * len(shown))


def _value(segment: SegmentScore) -> float:
    return segment.gain.value or 0.0


def _importance(card: Card) -> Plot | None:
    shown = card.importance[:MAX_FEATURES][::-1]
    if not shown:
        return None

    def draw(axis: Any) -> None:
        axis.barh(
            range(len(shown)), [one.mean for one in shown], xerr=[one.deviation for one in shown], color=BLUE,
            height=0.65, error_kw={"ecolor": "k", "elinewidth": 1, "capsize": 3},
        )  # fmt: skip
        axis.axvline(0, color="k", linewidth=0.8)
        axis.set_yticks(range(len(shown)), [_short(one.feature, 44) for one in shown])
        axis.set_xlabel(
            f"rise of {metric_label(card.report.metric)} when the feature is shuffled (bars: standard deviation)"
        )

    some = (
        f"the {len(shown)} most important of {len(card.importance)}"
        if len(shown) < len(card.importance)
        else "all"
    )
    text = f"Permutation importance, {some} features; first {shown[-1].feature}."
    return Plot("importance.png", f"Bar chart. {text}", text, draw, height=1.3 + 0.28 * len(shown))


def _name(card: Card) -> str:
    return card.subject.name if card.subject else "model"


def _short(text: str, length: int = 28) -> str:
    return text if len(text) <= length else f"{text[: length - 1]}…"


def _label_periods(axis: Any, labels: list[str]) -> None:
    """Names below the periods, at most some 16 of them."""
    step = -(-len(labels) // 16)
    axis.set_xticks(range(0, len(labels), step), labels[::step], rotation=30 if len(labels) > 9 else 0)
