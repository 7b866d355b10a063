"""What the parts of ``make bench-sizing`` share: slopes, and the bytes of a home."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np


def slope(points: Mapping[float, float]) -> float:
    """What one more costs: the least-squares line through all points."""
    return float(f"{np.polyfit(list(points), list(points.values()), 1)[0]:.3g}")


def kept(home: Path) -> dict[str, int]:
    """Bytes of a home, by its first folder or file; what SQLite has still in its log belongs to its file."""
    sizes: dict[str, int] = {}
    for path in home.rglob("*"):
        if path.is_file():
            first = path.relative_to(home).parts[0].removesuffix("-wal").removesuffix("-shm")
            sizes[first] = sizes.get(first, 0) + path.stat().st_size
    return sizes
