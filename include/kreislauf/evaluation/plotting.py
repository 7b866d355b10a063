"""What every picture of a model card shares: how it is kept, written, and how things are named on it."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from typing import Any

BLUE, AMBER, RED, GREY = "#4c78a8", "#f2a541", "#e45756", "#7f868f"


@dataclass(frozen=True)
class Plot:
    """A picture: its file, what is to be seen for people who do not see it, and how it is drawn on an axis."""

    file: str
    alt: str
    caption: str
    draw: Callable[[Any], None]
    height: float = 4.0
    """Inches; the width is always 9."""


def png(plot: Plot) -> bytes:
    """The picture as a PNG file, without a trace of when and by what it was made."""
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    # no pyplot: it is not safe in threads
    with matplotlib.rc_context(), warnings.catch_warnings():
        # names from the data may hold any character; those that no font has become boxes
        warnings.filterwarnings("ignore", r"Glyph .* missing from font")
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


def short(text: str, length: int = 28) -> str:
    """The text, cut where it is too long for its place."""
    return text if len(text) <= length else f"{text[: length - 1]}…"


def label_periods(axis: Any, labels: list[str]) -> None:
    """Names below the periods, at most some 16 of them."""
    step = -(-len(labels) // 16)
    axis.set_xticks(range(0, len(labels), step), labels[::step], rotation=30 if len(labels) > 9 else 0)
