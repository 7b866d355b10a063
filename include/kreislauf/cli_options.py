"""Values of options that several commands take."""

from __future__ import annotations

import argparse


def span(text: str, unit: str, most: float) -> float:
    """A span of time, of an option: above 0, up to ``most`` of a unit.

    Raises
    ------
    ArgumentTypeError: it is no such number.
    """
    try:
        found = float(text)
    except ValueError:
        found = 0.0
    if not 0 < found <= most:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of {unit}; allowed: above 0, up to {most}")
    return found
