"""Pictures of probabilities: of two classes, and of more."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.metrics import (
    average_precision_score,
    confusion_matrix,
    precision_recall_curve,
    precision_recall_fscore_support,
    roc_auc_score,
    roc_curve,
)

from include.kreislauf.evaluation.card_facts import Card
from include.kreislauf.evaluation.plotting import AMBER, BLUE, GREY, RED, Plot, short
from include.kreislauf.statistics.calibration import Reliability, of_classes
from include.kreislauf.statistics.decisions import Costs
from include.kreislauf.training.files import probabilities_of

Floats = npt.NDArray[np.float64]
MAX_CLASSES = 12
THRESHOLDS = np.linspace(0, 1, 201)


def binary(card: Card) -> list[Plot]:
    """Reliability, precision and recall, ROC, the probabilities, and what decisions are worth."""
    if card.rows.empty:
        return []
    outcome, shares = _shown(card)
    positive, name = shares[:, 1], card.contract.problem.classes[1]
    made = [_reliability(of_classes(outcome, shares), f"probability of {name}", len(outcome))]
    if len(np.unique(outcome)) == 2:
        made += [_precision_recall(outcome, positive, name), _roc(outcome, positive, name)]
    made.append(_histogram(outcome, positive, card.contract.problem.classes))
    return [*made, *([_worth(card.costs, outcome, positive, name)] if card.costs else [])]


def multiclass(card: Card) -> list[Plot]:
    """The confusion of classes, scores by class, and reliability of the most probable one."""
    if card.rows.empty:
        return []
    outcome, shares = _shown(card)
    places, likely = outcome.astype(np.intp), shares.argmax(axis=1)
    names = card.contract.problem.classes
    return [
        _confusion(places, likely, names), _by_class(places, likely, names),
        _reliability(of_classes(outcome, shares), "probability of the predicted class", len(outcome)),
    ]  # fmt: skip


def _shown(card: Card) -> tuple[Floats, Floats]:
    rows = card.rows
    return rows["target"].to_numpy(np.float64), rows[probabilities_of(rows)].to_numpy(np.float64)


def _reliability(found: Reliability, what: str, count: int) -> Plot:
    text = (
        f"{what.capitalize()} against the share that came true, {count} held-out rows in {len(found.rows)} bins; in the mean "
        f"{found.error:.1%} apart, chance alone makes up to {found.by_chance:.1%}."
    )

    def draw(axis: Any) -> None:
        most = min(1.0, 1.15 * float(max(found.said.max(), (found.came + 2 * found.spread).max())))
        axis.plot([0, 1], [0, 1], color=GREY, linewidth=1, linestyle="--", label="perfectly calibrated")
        axis.errorbar(
            found.said, found.came, yerr=2 * found.spread, fmt="o", color=BLUE, elinewidth=1, capsize=3,
            label="bin of equal count, with what chance makes in 19 of 20",
        )  # fmt: skip
        axis.set(xlabel=what, ylabel="share that came true", xlim=(0, most), ylim=(0, most))
        axis.legend(frameon=False, fontsize=9, loc="upper left")

    return Plot("reliability.png", f"Reliability diagram. {text}", text, draw, height=4.6)


def _precision_recall(outcome: Floats, positive: Floats, name: str) -> Plot:
    precision, recall, _ = precision_recall_curve(outcome, positive)
    share, score = float(outcome.mean()), float(average_precision_score(outcome, positive))
    text = (
        f"Precision and recall of {name}; average precision {score:.3f}, {share:.3f} would be chance: {int(outcome.sum())} "
        f"of {len(outcome)} held-out rows are {name}."
    )

    def draw(axis: Any) -> None:
        axis.step(recall, precision, color=BLUE, where="post", label=f"average precision {score:.3f}")
        axis.axhline(share, color=GREY, linestyle="--", linewidth=1, label=f"chance {share:.3f}")
        axis.set(
            xlabel=f"recall: share of {name} that is found",
            ylabel=f"precision: share of found that is {name}",
        )
        axis.set(xlim=(0, 1), ylim=(0, 1.02))
        axis.legend(frameon=False, fontsize=9)

    return Plot("precision_recall.png", f"Line chart. {text}", text, draw)


def _roc(outcome: Floats, positive: Floats, name: str) -> Plot:
    wrong, right, _ = roc_curve(outcome, positive)
    score = float(roc_auc_score(outcome, positive))
    text = f"ROC curve: share of {name} that is found, by the share of others that is found as well; area {score:.3f}."

    def draw(axis: Any) -> None:
        axis.plot(wrong, right, color=BLUE, label=f"area {score:.3f}")
        axis.plot([0, 1], [0, 1], color=GREY, linestyle="--", linewidth=1, label="chance 0.5")
        axis.set(
            xlabel="share of others (false positives)", ylabel=f"share of {name}", xlim=(0, 1), ylim=(0, 1.02)
        )
        axis.legend(frameon=False, fontsize=9)

    return Plot("roc.png", f"Line chart. {text}", text, draw)


def _histogram(outcome: Floats, positive: Floats, classes: tuple[str, ...]) -> Plot:
    text = (
        f"Probability of {classes[1]}: how many of the {len(outcome)} held-out rows, by what happened. "
        f"Mean {positive.mean():.3f}, {outcome.mean():.3f} came true."
    )

    def draw(axis: Any) -> None:
        for place, colour in ((0, BLUE), (1, RED)):
            part = positive[outcome == place]
            label = f"{short(classes[place])} ({len(part)})"
            axis.hist(part, bins=np.linspace(0, 1, 41), color=colour, alpha=0.65, label=label)
        axis.set_yscale("symlog", linthresh=1)  # rare classes can be seen as well
        axis.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
        axis.set(xlabel=f"probability of {classes[1]}", ylabel="rows", xlim=(0, 1))
        axis.legend(frameon=False, fontsize=9)

    return Plot("probabilities.png", f"Histogram. {text}", text, draw, height=3.4)


def _worth(costs: Costs, outcome: Floats, positive: Floats, name: str) -> Plot:
    """By threshold the mean value of taking an action from there on; Elkan, 2001."""
    chosen, mean = costs.chosen(positive), float(costs.values(positive, outcome).mean())
    share = {action: float((chosen == place).mean()) for place, action in enumerate(costs.names)}
    done = ", ".join(f"{action} in {part:.1%}" for action, part in share.items())
    text = f"What decisions are worth by the matrix of costs: {mean:.4g} in the mean of held-out rows, with {done}."

    def draw(axis: Any) -> None:
        for action, colour in zip(costs.names[1:], (BLUE, AMBER, RED, GREY), strict=False):
            axis.plot(
                THRESHOLDS,
                _values(costs, action, outcome, positive),
                color=colour,
                label=f"{action} from the threshold on",
            )
            if (limit := costs.threshold(action)) is not None:
                axis.axvline(
                    limit, color=colour, linestyle=":", label=f"{action}: chosen from {limit:.3f} on"
                )
        axis.axhline(mean, color="k", linewidth=1, linestyle="--", label=f"by the matrix {mean:.4g}")
        axis.axhline(0, color=GREY, linewidth=0.8)
        axis.set_xscale("symlog", linthresh=0.1)
        axis.set_xticks([0, 0.05, 0.1, 0.2, 0.5, 1], ["0", "0.05", "0.1", "0.2", "0.5", "1"])
        axis.set(
            xlabel=f"threshold of the probability of {name}",
            ylabel=f"saved against {costs.without}",
            xlim=(0, 1),
        )
        axis.legend(frameon=False, fontsize=9)

    return Plot("decisions.png", f"Line chart. {text}", text, draw)


def _values(costs: Costs, action: str, outcome: Floats, positive: Floats) -> list[float]:
    saved = (costs.matrix[0] - costs.matrix[costs.names.index(action)])[outcome.astype(np.intp)] / costs.per
    return [float(np.where(positive >= limit, saved, 0.0).mean()) for limit in THRESHOLDS]


def _confusion(places: npt.NDArray[np.intp], likely: npt.NDArray[np.intp], names: tuple[str, ...]) -> Plot:
    shown, counts = _most_frequent(places, likely, len(names))
    right = float((places == likely).mean())

    def draw(axis: Any) -> None:
        labels = [short(names[one]) for one in shown]
        axis.imshow(counts, cmap="Blues", aspect="auto")
        axis.set_xticks(
            range(len(shown)),
            labels,
            rotation=30 if len(shown) > 5 else 0,
            ha="right" if len(shown) > 5 else "center",
        )
        axis.set_yticks(range(len(shown)), labels)
        half = counts.max() / 2
        for (row, column), count in np.ndenumerate(counts):
            axis.text(column, row, f"{count}", ha="center", va="center", color="w" if count > half else "k")
        axis.set(xlabel="predicted", ylabel="realised")

    of = f", the {len(shown)} most frequent of {len(names)} classes" if len(shown) < len(names) else ""
    text = f"Realised against predicted class, {len(places)} held-out rows; {right:.0%} are right{of}."
    return Plot(
        "confusion.png", f"Confusion matrix. {text}", text, draw, height=max(3.4, 0.5 * len(shown) + 1.4)
    )


def _by_class(places: npt.NDArray[np.intp], likely: npt.NDArray[np.intp], names: tuple[str, ...]) -> Plot:
    shown, _ = _most_frequent(places, likely, len(names))
    precision, recall, _, support = precision_recall_fscore_support(
        places, likely, labels=shown, zero_division=0
    )
    worst = shown[int(np.argmin(recall))]
    text = f"Precision and recall of each class; {names[worst]} is found least, in {recall.min():.0%} of its rows."

    def draw(axis: Any) -> None:
        position = np.arange(len(shown))
        axis.bar(position - 0.2, precision, 0.38, color=BLUE, label="precision: right, of those predicted")
        axis.bar(position + 0.2, recall, 0.38, color=AMBER, label="recall: found, of those that came")
        labels = [f"{short(names[one], 16)} ({count})" for one, count in zip(shown, support, strict=True)]
        axis.set_xticks(
            position, labels, rotation=30 if len(shown) > 5 else 0, ha="right" if len(shown) > 5 else "center"
        )
        axis.set_ylim(0, 1.02)
        axis.legend(frameon=False, fontsize=9, ncols=2, loc="lower left", bbox_to_anchor=(0, 1))

    return Plot("classes.png", f"Bar chart. {text}", text, draw, height=3.6)


def _most_frequent(
    places: npt.NDArray[np.intp], likely: npt.NDArray[np.intp], classes: int
) -> tuple[list[int], npt.NDArray[np.int64]]:
    """The classes that occur most, in their order, and how often each was predicted as which."""
    most = np.bincount(np.concatenate([places, likely]), minlength=classes)
    shown = sorted(np.argsort(-most, kind="stable")[:MAX_CLASSES].tolist())
    return shown, np.asarray(confusion_matrix(places, likely, labels=shown), dtype=np.int64)
