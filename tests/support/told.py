"""What the workflow exporter tells, read as Prometheus reads it."""

from __future__ import annotations

from datetime import datetime

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from include.kreislauf.exporting.exporter import WorkflowCollector
from include.kreislauf.store.database import Store
from tests.support.examples import NOW


class Told:
    """What the exporter tells, by name and labels."""

    def __init__(self, text: str) -> None:
        families = text_string_to_metric_families(text)
        self.samples = [sample for family in families for sample in family.samples]
        self.names = {sample.name for sample in self.samples}

    def __call__(self, name: str, **labels: str) -> float | None:
        """The value of the one sample that has these labels, perhaps with others; ``None``: there is none."""
        found = [
            sample.value
            for sample in self.samples
            if sample.name == f"kreislauf_{name}" and labels.items() <= sample.labels.items()
        ]
        assert len(found) <= 1, (name, labels, found)
        return found[0] if found else None


def told(store: Store, now: datetime = NOW) -> Told:
    """What a new exporter tells of a store."""
    collector = WorkflowCollector(store, lambda: now)
    registry = CollectorRegistry()
    registry.register(collector)
    try:
        return Told(generate_latest(registry).decode())
    finally:
        collector.close()
