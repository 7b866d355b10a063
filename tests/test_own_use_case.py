"""A use case with a source and a metric of its own goes through the whole ring: collected, judged, released, watched."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from include.kreislauf.embedded.exchange import Asked, Request
from include.kreislauf.embedded.timeline import build_timeline
from include.kreislauf.feedback.watcher import make_watch
from include.kreislauf.handovers import Handover, Role, Stage
from include.kreislauf.replay.recommending import predict
from include.kreislauf.settings import ROOT, Settings
from include.kreislauf.store import observations
from include.kreislauf.store.database import Store
from include.kreislauf.store.monitoring_view import newest_verdicts
from tests.support.lap import Lap

BAKERY = ROOT / "tests" / "use_cases" / "bakery"
BEGIN = datetime(2024, 10, 2, tzinfo=UTC)
DAYS = 30


@pytest.fixture
def ring(tmp_path: Path, migrated_file: Path) -> Iterator[Lap]:
    shutil.copytree(BAKERY, tmp_path / "use_cases" / "bakery")
    shutil.copy(migrated_file, tmp_path / "kreislauf.db")
    settings = Settings(
        home=tmp_path, data=str(BAKERY / "data"), use_cases=tmp_path / "use_cases", clock="given", store_url="",
        tables_url="", tracking_url="none",
    )  # fmt: skip
    found = Lap(settings, Store(settings.store), "bakery")
    yield found
    found.store.engine.dispose()


def sell(ring: Lap, days: int, *, share: float) -> datetime:
    """Each day twenty shops ask, and a day later sell a share of what was predicted; returns when the last did."""
    rng = np.random.default_rng(0)
    for day in range(days):
        at = BEGIN + timedelta(days=day)
        rows = [
            Asked(f"shop{place}", {"flyers": float(rng.integers(20)), "sold_before": float(rng.integers(100, 300))})
            for place in range(20)
        ]  # fmt: skip
        answers = predict(ring, Request(at, datetime(2024, 10, 1, tzinfo=UTC), rows))
        with ring.store.write() as db:
            for one in answers:
                assert one.value is not None
                sold, seen = one.value * share, at + timedelta(days=1)
                observations.save_outcome(db, one.prediction_id, sold, seen, seen)
    return BEGIN + timedelta(days=days + 1)


def verdict(ring: Lap) -> tuple[str, str]:
    with ring.store.read() as db:
        [row] = newest_verdicts(db, "bakery", 1)
    return row.verdict, row.text


def test_from_its_source_to_verdicts_by_its_metric(ring: Lap) -> None:
    stages = {
        one.stage: one for one in ring.manual(Role.REQUIREMENTS, as_of=BEGIN) if isinstance(one, Handover)
    }
    assert stages[Stage.COLLECTION].summary["rows"] == 8 * 33
    assert 300 < stages[Stage.EVALUATION].summary["metrics"]["earned"] < 500
    as_of = sell(ring, DAYS, share=1.0)
    ring.check(as_of)
    said, text = verdict(ring)
    assert (said, "euros per shop and month" in text) == ("healthy", True)
    path = ring.settings.use_cases / "bakery" / "metrics.py"
    path.unlink()
    assert ring.check(as_of + timedelta(hours=1)) == []
    assert verdict(ring) == (
        "inconclusive",
        f"the metric cannot be had: {path.parent}: has no metrics.py; next: add one (see the guide)",
    )


def test_what_sells_badly_is_a_breach(ring: Lap) -> None:
    ring.manual(Role.REQUIREMENTS, as_of=BEGIN)
    as_of = sell(ring, DAYS, share=0.4)
    tipped, faults = make_watch(ring.settings).look(as_of)
    assert ([one.metric for one in tipped], faults) == (["earned"], [])
    ring.check(as_of)
    assert verdict(ring)[0] == "breach"
    own = ring.settings.use_cases / "bakery"
    [line] = build_timeline(ring.store, ring.contract, as_of, ring.now(), own).periods
    assert line.observations == 20 * DAYS
    assert line.value < ring.contract.gate_metric.threshold
