"""Problems of each kind, for tests that need no contract around them."""

from __future__ import annotations

from include.kreislauf.requirements.problem import Problem

NUMBERS = Problem(kind="regression", entity="technology", time="quarter", period="quarter")
TWO = Problem(kind="binary", target="failed", classes=("runs", "fails"), requests="features")
THREE = Problem(
    kind="multiclass", target="cultivar", classes=("barolo", "grignolino", "barbera"), requests="features"
)
