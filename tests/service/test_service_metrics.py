"""Metrics that Prometheus can read, and labels that no client can multiply."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from math import isnan
from typing import TYPE_CHECKING, Any

from prometheus_client.parser import text_string_to_metric_families

from include.kreislauf.service.app import create_app
from include.kreislauf.service.metrics import Metrics
from include.kreislauf.service.monitoring_metrics import VERDICTS
from include.kreislauf.settings import Settings
from include.kreislauf.store import schema
from include.kreislauf.store.database import insert_rows
from include.kreislauf.store.live import Live

if TYPE_CHECKING:
    from tests.service.conftest import Running, Start, World

AS_OF = datetime(2016, 1, 1, tzinfo=UTC)
ENDS = ("", "_low", "_high", "_threshold", "_evidence")

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def samples(service: Running) -> Samples:
    families = text_string_to_metric_families(service.client.get("/metrics").text)
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in families
        for sample in family.samples
    }


def test_metrics_count_what_happened(service: Running) -> None:
    found = service.predict({"entity": "python"}, {"entity": "zig"}).json()["predictions"]
    then = {"value": 1, "observed_at": "2016-04-01T00:00:00Z"}
    outcomes = [{"prediction_id": one, **then} for one in (found[0]["prediction_id"], "nobody")]
    service.client.post("/v1/radar/outcomes", json={"outcomes": outcomes})
    service.predict({})
    radar = ("use_case", "radar")
    counted = samples(service)
    assert counted["kreislauf_predictions_total", (("arm", "champion"), radar)] == 2
    assert counted["kreislauf_novel_predictions_total", (radar,)] == 1
    assert counted["kreislauf_outcomes_total", (("answer", "stored"), radar)] == 1
    assert counted["kreislauf_outcomes_total", (("answer", "unknown"), radar)] == 1
    assert counted["kreislauf_live_release", (radar,)] == 1
    route = ("route", "/v1/{use_case}/predictions")
    assert counted["kreislauf_requests_total", (route, ("status", "200"))] == 1
    assert counted["kreislauf_requests_total", (route, ("status", "422"))] == 1
    assert counted["kreislauf_request_seconds_count", (route,)] == 2
    assert "process_resident_memory_bytes" in {name for name, _ in counted}


def test_no_client_makes_a_label(service: Running) -> None:
    service.client.get("/metrics")
    for number in range(5):
        service.client.get(f"/nothing/{number}")
        service.client.get(f"/v1/made_up_{number}/ranking")
        service.client.delete("/live")
        service.predict({"entity": "python"}, use_case=f"made_up_{number}")
        service.client.post("/v1/radar/predictions", content=b" " * 1_100_000)
    labels = {value for _, pairs in samples(service) for _, value in pairs}
    assert not [value for value in labels if "made_up" in value or "nothing" in value]
    assert {"(none)", "/v1/{use_case}/ranking", "404", "405", "413"} <= labels


def test_each_application_has_its_own_registry(world: World) -> None:
    settings = Settings.model_validate({"store_url": world.store.url})
    first, second = (create_app(settings).state.service.metrics.registry for _ in range(2))
    assert first is not second


def say(world: World, verdict: str, at: datetime = AS_OF, **fields: Any) -> None:
    """What a check of release 1 writes down."""
    own = {"use_case": "radar", "release": 1, "as_of": at, "created_at": at}
    judged = {
        "metric": "productivity",
        "cycle_id": "c1",
        "threshold": 95.0,
        "periods": 3,
        "text": "",
        "verdict": verdict,
    }
    with world.store.write() as db:
        insert_rows(db, schema.verdicts, [{**own, **judged, **fields}])
        if not fields:
            insert_rows(db, schema.signals, [
                {**own, "name": "novelty", "value": 0.3, "limit": 0.1, "warning": True, "text": ""},
                {**own, "name": "service_errors", "value": None, "limit": 0.01, "warning": False, "text": ""},
            ])  # fmt: skip


def test_what_monitoring_says_is_shown(world: World, start: Start) -> None:
    world.sign()
    world.release(1)
    world.promote(1)
    later = AS_OF + timedelta(hours=1)
    say(world, "healthy", value=99.0)
    say(world, "breach", later)
    say(world, "breach", metric="uplift", value=0.01, low=-0.02, high=0.03, threshold=0.02, evidence=120.0)
    with world.store.write() as db:
        ids = ("radar|c2|e1", "radar|c2|e2", "radar|c2|e3", "radar_two|c2|e1")
        insert_rows(db, schema.reminders, [
            {"message_id": one, "count": 2 + (one != ids[1]), "last_at": AS_OF, "note": ""} for one in ids
        ])  # fmt: skip
        insert_rows(db, schema.receipts, [
            {"message_id": ids[2], "role": "mlops", "run_id": "r", "received_at": AS_OF}
        ])  # fmt: skip
        loop = {
            "use_case": "radar",
            "cycle_id": "c2",
            "edge": "monitoring→mlops",
            "reason": "retriggered",
            "body": {},
        }
        rows = [
            {"id": str(n), "as_of": AS_OF, "created_at": AS_OF, "state": "closed" if n else "raised"}
            for n in range(3)
        ]
        insert_rows(db, schema.loops, [{**loop, **row} for row in rows])
    service = start(world)
    found = samples(service)
    radar, metric = ("use_case", "radar"), ("metric", "productivity")
    assert isnan(
        found["kreislauf_business_metric", (metric, radar)]
    )  # what was known an hour ago is not known now
    verdicts = {
        name: found["kreislauf_business_metric_verdict", (metric, radar, ("verdict", name))]
        for name in VERDICTS
    }
    assert verdicts == {"healthy": 0, "inconclusive": 0, "breach": 1}
    uplift = [found[f"kreislauf_business_metric{end}", (("metric", "uplift"), radar)] for end in ENDS]
    assert uplift == [0.01, -0.02, 0.03, 0.02, 120.0]
    assert found["kreislauf_signal", (("signal", "novelty"), radar)] == 0.3
    assert found["kreislauf_signal_warning", (("signal", "novelty"), radar)] == 1
    assert isnan(found["kreislauf_signal", (("signal", "service_errors"), radar)])
    edge = ("edge", "monitoring→mlops")
    assert [found["kreislauf_loops", (edge, ("state", one), radar)] for one in ("raised", "closed")] == [1, 2]
    assert found["kreislauf_stranded_messages", (radar,)] == 1
    assert found["kreislauf_last_check_timestamp_seconds", (radar,)] == later.timestamp()


def test_what_the_store_no_longer_has_is_not_known(world: World) -> None:
    world.sign()
    world.release(1)
    world.promote(1)
    say(world, "healthy", value=99.0)
    metrics = Metrics()

    def value(name: str, *labels: str) -> float | None:
        names = dict(zip(("use_case", "metric", "verdict"), labels, strict=False))
        return metrics.registry.get_sample_value(f"kreislauf_{name}", names)

    for pointers in ([Live("radar", 1, 1)], [Live("radar", 2, 2)]):
        with world.store.read() as db:
            metrics.monitoring.show(db, pointers)
        known = not isnan(value("business_metric", "radar", "productivity") or 0)
        assert known == (value("business_metric_verdict", "radar", "productivity", "healthy") == 1)
        assert known == (pointers[0].version == 1)
        assert value("stranded_messages", "radar") == 0
