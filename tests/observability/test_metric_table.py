"""The guide's table of metrics is that of the code."""

from __future__ import annotations

import re

from include.kreislauf.exporting.metrics import ALL, PREFIX
from include.kreislauf.settings import ROOT

GUIDE = ROOT / "docs" / "how-to" / "dashboards.md"


def test_the_guide_lists_every_metric_with_its_meaning_and_labels() -> None:
    rows = re.findall(rf"^\| `({PREFIX}\w+)` \| (.+) \| (.*) \|$", GUIDE.read_text(), re.MULTILINE)
    written = [(name, text, tuple(re.findall(r"`(\w+)`", labels))) for name, text, labels in rows]
    assert written == [(one.exported, one.text, one.labels) for one in ALL]


def test_what_is_told_while_the_store_is_away_comes_first() -> None:
    assert [one.name for one in ALL[:4]] == [
        "store_up", "exporter_errors", "exporter_read_seconds", "exporter_read_timestamp_seconds",
    ]  # fmt: skip
