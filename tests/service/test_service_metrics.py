"""Metrics that Prometheus can read, and labels that no client can multiply."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client.parser import text_string_to_metric_families

from include.kreislauf.service.app import create_app
from include.kreislauf.settings import Settings

if TYPE_CHECKING:
    from tests.service.conftest import Running, World

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
