"""The pictures of a model card, by kind of problem; the same card gives the same bytes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from include.kreislauf.evaluation.card_facts import Card, finite, metric_label, period_label, words
from include.kreislauf.evaluation.gates import threshold_of
from include.kreislauf.evaluation.models import SegmentScore
from include.kreislauf.evaluation.plots_classes import binary, multiclass
from include.kreislauf.evaluation.plotting import AMBER, BLUE, GREY, RED, Plot, label_periods, png, short
from include.kreislauf.statistics.metrics import metric

__all__ = ["Plot", "plots", "png"]

MAX_POINTS = 400
MAX_SEGMENTS = 30
MAX_FEATURES = 15


def plots(card: Card) -> list[Plot]:
    """The pictures there is something to draw for, in the order of the card."""
    kind = card.contract.problem.kind
    of_kind = (
        [_scatter(card)] if kind == "regression" else binary(card) if kind == "binary" else multiclass(card)
    )
    made = (*of_kind, _error(card), _business(card), _segments(card), _importance(card))
    return [one for one in made if one]


# --- numbers: predicted against realised


def _scatter(card: Card) -> Plot | None:
    if card.rows.empty:
        return None
    rows = card.rows.dropna(subset=["prediction", "target"])
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


# --- by period


def _error(card: Card) -> Plot | None:
    if card.rows.empty or not card.report.held_out:
        return None
    name, total = metric_label(card.report.metric), metric(card.report.metric).total
    by_period = card.rows.groupby("fold")[["loss", "baseline_loss"]].mean().map(total)
    labels = [period_label(one, card.contract.problem.period) for one in by_period.index]
    better = int((by_period["loss"] < by_period["baseline_loss"]).sum())

    def draw(axis: Any) -> None:
        positions = range(len(labels))
        axis.plot(positions, by_period["baseline_loss"], color=AMBER, marker="s", label=card.report.baseline)
        axis.plot(positions, by_period["loss"], color=BLUE, marker="o", label=short(_name(card)))
        axis.set_ylim(bottom=0)
        axis.set_ylabel(name)
        label_periods(axis, labels)
        axis.legend(frameon=False, fontsize=9)

    text = f"Error ({name}) by {card.contract.problem.period}: below {card.report.baseline} in {better} of {len(labels)}."
    return Plot("error_by_period.png", f"Line chart. {text}", text, draw, height=3.4)


def _business(card: Card) -> Plot | None:
    subject, rule = card.subject, card.contract.gate_metric
    if subject is None or not subject.business_by_period:
        return None
    found = sorted(subject.business_by_period.items())
    labels = [period_label(start, card.contract.problem.period) for start, _ in found]
    values = [value for _, value in found]
    threshold, mean = threshold_of(rule), subject.business
    good = [value >= threshold if rule.direction == "higher" else value <= threshold for value in values]

    def draw(axis: Any) -> None:
        colours = [BLUE if one else AMBER for one in good]
        axis.bar(range(len(values)), values, color=colours, width=0.65)
        axis.axhline(0, color="k", linewidth=0.8)
        axis.axhline(threshold, color=RED, linestyle="--", label=f"threshold {threshold:g}")
        if mean.value is not None:
            axis.axhline(mean.value, color=BLUE, linewidth=1.2, label=f"mean {mean.value:+.4g}")
        if mean.low is not None and mean.high is not None:
            axis.axhspan(
                mean.low, mean.high, color=BLUE, alpha=0.15, label=f"{mean.level:.0%} interval of the mean"
            )
        axis.set_ylabel(f"{words(rule.name)}\n({rule.unit})")
        label_periods(axis, labels)
        axis.legend(frameon=False, fontsize=9, ncols=3, loc="lower left", bbox_to_anchor=(0, 1))

    text = (
        f"Business metric {words(rule.name)} by {card.contract.problem.period}, in {rule.unit}: {sum(good)} of {len(values)} "
        f"reach the threshold of {threshold:g}, which counts for the mean."
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
            range(len(shown)), [short(f"{one.by}: {one.value} ({one.n_rows})", 44) for one in shown]
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
        axis.set_yticks(range(len(shown)), [short(one.feature, 44) for one in shown])
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
