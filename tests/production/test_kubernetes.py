"""The Kubernetes manifests: what they name is there, agrees, and is no more than each pod needs. No cluster is asked."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from include.kreislauf.cli import parser
from include.kreislauf.service.app import create_app
from include.kreislauf.settings import ROOT, Settings
from tests.production import manifests as given

# of the command line and the sources, not of the settings: docs/how-to/operate.md
OTHER_VARIABLES = {"KREISLAUF_AIRFLOW_USER", "KREISLAUF_AIRFLOW_PASSWORD"}
# made by commands of docs/how-to/kubernetes.md, from files that are no manifests
MADE_BY_HAND = {"kreislauf-trusted-keys", "statsd-mapping"}
WORKLOADS = {given.name_of(one): one for one in given.manifests(*given.WORKLOADS)}


def _pods() -> list[dict[str, str]]:
    return [given.template_of(one)["metadata"]["labels"] for one in WORKLOADS.values()]


def _selected(selector: dict[str, str]) -> bool:
    return any(selector.items() <= labels.items() for labels in _pods())


def _variables() -> dict[str, list[dict[str, Any]]]:
    found = {}
    for name, container in given.containers():
        found[name] = container.get("env", [])
    return found


def test_every_file_is_applied_but_the_secrets_and_helms_values() -> None:
    files = {one.name for one in given.FOLDER.glob("*.yaml")} - {"kustomization.yaml", "secrets.example.yaml"}
    assert files - set(given.VALUES) == set(given.kustomization()["resources"])
    below = {one.name for one in (given.FOLDER / "monitoring").glob("*.yaml")} - {"kustomization.yaml"}
    assert below == set(given.kustomization("monitoring")["resources"])


def test_one_namespace_is_set_for_all_and_made() -> None:
    (made,) = given.manifests("Namespace")
    assert {given.kustomization(folder)["namespace"] for folder in ("", "monitoring")} == {
        made["metadata"]["name"]
    }
    assert made["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"


def test_no_name_stands_twice() -> None:
    names = [given.name_of(one) for one in given.manifests()]
    assert sorted(names) == sorted(set(names))


def test_every_image_is_renamed_by_the_kustomization_or_names_its_version() -> None:
    renamed = {one["name"] for one in given.kustomization()["images"]}
    for name, container in given.containers():
        assert container["image"] in renamed or re.search(r":v?\d", container["image"]), name
    assert all(one["newTag"] or one["digest"] for one in given.kustomization()["images"])


@pytest.mark.parametrize("name", WORKLOADS)
def test_pods_may_run_where_security_is_restricted(name: str) -> None:
    pod = given.template_of(WORKLOADS[name])["spec"]
    context = pod["securityContext"]
    assert context["runAsNonRoot"] is True and context["runAsUser"] > 0
    assert context["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["automountServiceAccountToken"] is False
    for container in pod["containers"]:
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]},
        }  # fmt: skip
        assert {"requests", "limits"} <= container["resources"].keys()


@pytest.mark.parametrize("name", WORKLOADS)
def test_users_are_those_of_the_images(name: str) -> None:
    pod, dockerfile = given.template_of(WORKLOADS[name])["spec"], (ROOT / "Dockerfile").read_text()
    users = {"kreislauf-service": "10001:10001", "kreislauf-airflow": "50000:0"}
    for container in pod["containers"]:
        if container["image"] in users:
            context = pod["securityContext"]
            assert f"{context['runAsUser']}:{context['runAsGroup']}" == users[container["image"]]
            assert f"\nUSER {users[container['image']]}\n" in dockerfile


@pytest.mark.parametrize("name", WORKLOADS)
def test_a_pod_mounts_what_it_has_and_has_what_it_mounts(name: str) -> None:
    workload = WORKLOADS[name]
    pod = given.template_of(workload)["spec"]
    volumes = {one["name"] for one in pod.get("volumes", [])}
    volumes |= {one["metadata"]["name"] for one in workload["spec"].get("volumeClaimTemplates", [])}
    mounted = {mount["name"] for one in pod["containers"] for mount in one["volumeMounts"]}
    assert mounted == volumes


def test_selectors_find_pods() -> None:
    for name, workload in WORKLOADS.items():
        if workload["kind"] != "CronJob":
            labels = given.template_of(workload)["metadata"]["labels"]
            assert workload["spec"]["selector"]["matchLabels"].items() <= labels.items(), name
    for one in given.manifests("Service"):
        assert _selected(one["spec"]["selector"]), given.name_of(one)
    for one in given.manifests("PodDisruptionBudget"):
        assert _selected(one["spec"]["selector"]["matchLabels"]), given.name_of(one)
    for one in given.documents("monitoring/monitors.yaml"):
        assert _selected(one["spec"]["selector"]["matchLabels"]), given.name_of(one)


def test_network_policies_find_pods_and_every_pod_has_one() -> None:
    policies = [one["spec"]["podSelector"].get("matchLabels", {}) for one in given.manifests("NetworkPolicy")]
    assert {} in policies  # nobody comes in
    assert all(_selected(one) for one in policies)
    for labels in _pods():
        assert any(one and one.items() <= labels.items() for one in policies), labels


def test_services_ports_are_ports_of_their_pods() -> None:
    for service in given.manifests("Service"):
        for workload in WORKLOADS.values():
            template = given.template_of(workload)
            if service["spec"]["selector"].items() <= template["metadata"]["labels"].items():
                ports = {
                    port["name"] for one in template["spec"]["containers"] for port in one.get("ports", [])
                }
                assert {one["targetPort"] for one in service["spec"]["ports"]} <= ports


def test_monitors_ask_ports_that_have_the_name() -> None:
    names = {port["name"] for _, one in given.containers() for port in one.get("ports", [])}
    for monitor in given.documents("monitoring/monitors.yaml"):
        spec = monitor["spec"]
        assert {one["port"] for one in spec.get("endpoints", spec.get("podMetricsEndpoints"))} <= names


def test_monitors_name_the_jobs_as_prometheus_own_configuration_does() -> None:
    prometheus = yaml.safe_load((ROOT / "include/observability/prometheus/prometheus.yml").read_text())
    jobs = {one["job_name"] for one in prometheus["scrape_configs"]} - {"prometheus"}
    monitors = given.documents("monitoring/monitors.yaml")
    named = {one["replacement"] for ones in given.inside(monitors, "relabelings") for one in ones}
    assert named == jobs


def test_what_scales_is_there_and_says_nothing_of_its_number() -> None:
    for scaler in given.manifests("HorizontalPodAutoscaler"):
        target = scaler["spec"]["scaleTargetRef"]
        workload = WORKLOADS[f"{target['kind']} {target['name']}"]
        assert workload["apiVersion"] == target["apiVersion"]
        assert "replicas" not in workload["spec"]
        assert all(
            "cpu" in one["resources"]["requests"] for one in given.template_of(workload)["spec"]["containers"]
        )


def test_headless_service_of_the_stateful_set_is_there() -> None:
    headless = {
        one["metadata"]["name"]
        for one in given.manifests("Service")
        if one["spec"].get("clusterIP") == "None"
    }
    assert {one["spec"]["serviceName"] for one in given.manifests("StatefulSet")} == headless


def test_probes_ask_what_the_service_answers() -> None:
    routes = {getattr(one, "path", "") for one in create_app().routes}
    service = WORKLOADS["StatefulSet prediction-service"]
    asked = {probe["path"] for probe in given.inside(given.template_of(service), "httpGet")}
    assert asked == {"/live", "/ready"}
    (monitor,) = (
        one for one in given.documents("monitoring/monitors.yaml") if one["kind"] == "ServiceMonitor"
    )
    asked |= {one["path"] for one in monitor["spec"]["endpoints"]}
    assert asked <= routes


def test_variables_are_settings() -> None:
    known = {f"KREISLAUF_{name.upper()}" for name in Settings.model_fields} | OTHER_VARIABLES
    (settings,) = given.manifests("ConfigMap")
    named = {one for one in settings["data"] if one.startswith("KREISLAUF_")}
    for source in given.sources():
        texts = [*given.inside(source, "name"), *given.inside(source, "envName")]
        named |= {one for one in texts if isinstance(one, str) and one.startswith("KREISLAUF_")}
    assert named and named <= known
    values = {
        one[10:].lower(): text for one, text in settings["data"].items() if one.startswith("KREISLAUF_")
    }
    Settings.model_validate(values)


def test_every_secret_is_in_the_example_and_the_example_has_no_values() -> None:
    example = {one["metadata"]["name"]: one["stringData"] for one in given.documents("secrets.example.yaml")}
    asked = set()
    for source in [*given.sources(), *given.documents("monitoring/monitors.yaml")]:
        asked |= {(one["name"], one["key"]) for one in given.inside(source, "secretKeyRef")}
        asked |= {(one["name"], one["key"]) for one in given.inside(source, "credentials")}
        asked |= {
            (one["secretName"], one["secretKey"]) for ones in given.inside(source, "secret") for one in ones
        }
    keys = {
        "metadataSecretName": "connection", "brokerUrlSecretName": "connection",
        "resultBackendSecretName": "connection", "fernetKeySecretName": "fernet-key",
        "apiSecretKeySecretName": "api-secret-key", "jwtSecretName": "jwt-secret", "passwordSecretName": "password",
    }  # fmt: skip
    for name, key in keys.items():
        asked |= {(one, key) for source in given.sources() for one in given.inside(source, name)}
    assert asked == {(name, key) for name, data in example.items() for key in data}
    assert not any(text for data in example.values() for text in data.values())


def test_config_maps_and_claims_are_there() -> None:
    maps = {one["metadata"]["name"] for one in given.manifests("ConfigMap")} | MADE_BY_HAND
    claims = {one["metadata"]["name"] for one in given.manifests("PersistentVolumeClaim")}
    for source in given.sources():
        asked = [*given.inside(source, "configMap"), *given.inside(source, "configMapRef")]
        assert {one["name"] for one in asked} <= maps
        assert set(given.inside(source, "claimName")) | set(given.inside(source, "existingClaim")) <= claims
    page = (ROOT / "docs/how-to/kubernetes.md").read_text()
    assert all(f"create configmap {one}" in page for one in MADE_BY_HAND)


def test_only_who_writes_may_write_the_shared_volume() -> None:
    for name, workload in WORKLOADS.items():
        pod = given.template_of(workload)["spec"]
        home = [
            mount for one in pod["containers"] for mount in one["volumeMounts"] if mount["name"] == "home"
        ]
        assert all(one.get("readOnly", False) is not name.startswith("CronJob") for one in home), name


def test_a_pod_has_its_own_secret_of_a_database_and_no_other() -> None:
    asked = {
        name: {one["valueFrom"]["secretKeyRef"]["name"] for one in env if "valueFrom" in one}
        for name, env in _variables().items()
    }
    assert asked == {
        "CronJob log-archive": {"kreislauf-store"},
        "CronJob log-rollup": {"kreislauf-store"},
        "Deployment mlflow": {"mlflow-database"},
        "Deployment statsd-exporter": set(),
        "Deployment watcher": {"kreislauf-store", "airflow-users"},
        "StatefulSet prediction-service": {"kreislauf-service-store"},
    }


def test_commands_are_commands() -> None:
    ours = [
        one for _, one in given.containers() if one.get("command") == ["python", "-m", "include.kreislauf"]
    ]
    assert len(ours) == 3
    for container in ours:
        parser().parse_args(container["args"])


def test_mlflow_is_started_as_in_compose() -> None:
    compose = yaml.safe_load((ROOT / "docker-compose.yaml").read_text())["services"]["mlflow"]
    words = " ".join(compose["command"]).replace('"', "").replace("=", " ")
    (mlflow,) = (one for name, one in given.containers() if name == "Deployment mlflow")
    for option in mlflow["args"]:
        assert option.replace("=", " ") in words
