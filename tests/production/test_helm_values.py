"""The values of Airflow's Helm chart: keys that the chart has, options that Airflow has, and no secret too many.

The chart itself is in no package registry, so it is neither rendered nor asked for its schema here: the keys that
the values use were compared by hand with ``values.yaml`` of chart 1.22.0 and stand in ``chart-1.22.0-keys.txt``.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from include.kreislauf.settings import ROOT
from tests.production import manifests as given

KEYS = Path(__file__).with_name("chart-1.22.0-keys.txt")
# what the chart hands on as it is, or what is checked below
WHOLE = {
    "args", "command", "config", "container", "containers", "dagBundleConfigList", "env", "extraEnvFrom",
    "extraVolumeMounts", "extraVolumes", "from", "labels", "pod", "resources", "secret", "volumeMounts", "volumes",
}  # fmt: skip
NOT_FOR_TASKS = {
    "AIRFLOW__API_AUTH__JWT_SECRET", "AIRFLOW__API__SECRET_KEY", "AIRFLOW__CORE__FERNET_KEY",
    "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN", "AIRFLOW_CONN_AIRFLOW_DB",
}  # fmt: skip
# one computer or many pods: these differ by nature
OWN = {
    "AIRFLOW__CORE__PARALLELISM",
    "AIRFLOW__API__BASE_URL", "AIRFLOW__CORE__EXECUTION_API_SERVER_URL", "AIRFLOW__CORE__EXECUTOR",
    "AIRFLOW__CORE__LOAD_EXAMPLES", "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST",
}  # fmt: skip
_OPTIONS = """
import json
from airflow.configuration import conf
print(json.dumps({section: sorted(found["options"]) for section, found in conf.configuration_description.items()}))
"""
_DEFAULT = re.compile(r"\$\{\w+:-([^}]*)\}")


def _paths(tree: Any, before: str = "") -> Iterator[str]:
    for key, below in tree.items():
        whole = key in WHOLE or not isinstance(below, dict)
        yield from [f"{before}{key}"] if whole else _paths(below, f"{before}{key}.")


@lru_cache
def _options() -> dict[str, list[str]]:
    done = subprocess.run(
        [sys.executable, "-c", _OPTIONS], capture_output=True, text=True, check=True, timeout=120
    )
    found: dict[str, list[str]] = json.loads(done.stdout.splitlines()[-1])
    found["scheduler"].append(
        "num_stuck_in_queued_retries"
    )  # read with a default of its own, and listed nowhere
    return found


@pytest.fixture(autouse=True)
def _airflow_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path))
    for name in [one for one in os.environ if one.startswith("AIRFLOW__")]:
        monkeypatch.delenv(name)


def _task_env() -> dict[str, list[dict[str, Any]]]:
    return {
        "kubernetes": given.values("values.yaml")["workers"]["kubernetes"]["env"],
        "celery": given.values("values-celery.yaml")["workers"]["celery"]["env"],
    }


def test_the_chart_has_every_key_that_is_used() -> None:
    known = {line for line in KEYS.read_text().splitlines() if line and not line.startswith("#")}
    used = {path for name in given.VALUES for path in _paths(given.values(name))}
    assert used == known


@pytest.mark.parametrize("name", given.VALUES)
def test_airflow_has_every_option(name: str) -> None:
    for section, options in given.values(name)["config"].items():
        assert set(options) <= set(_options().get(section, ())), section


def test_airflow_has_every_option_that_is_a_variable() -> None:
    named = {
        one
        for source in given.sources()
        for one in given.inside(source, "name")
        if str(one).startswith("AIRFLOW__")
    }
    for variable in named:
        _, section, option = variable.split("__")
        assert option.lower() in _options()[section.lower()], variable


def _compose(block: str) -> dict[tuple[str, str], str]:
    """Airflow's options that Compose sets, with the defaults of its variables."""
    found = yaml.safe_load((ROOT / "docker-compose.yaml").read_text())[block]
    options = {tuple(name.lower().split("__")[1:]): text for name, text in found.items() if name not in OWN}
    return {
        (option[0], option[1]): _DEFAULT.sub(r"\1", str(text)).lower()
        for option, text in options.items()
        if option[1:]
    }


def _helm(name: str) -> dict[tuple[str, str], str]:
    config = given.values(name)["config"]
    return {
        (section, option): str(value).lower()
        for section, options in config.items()
        for option, value in options.items()
    }


def test_what_compose_sets_is_set_here_too_and_the_same() -> None:
    compose, helm = _compose("x-airflow-settings"), _helm("values.yaml")
    assert compose and {one: helm.get(one) for one in compose} == compose


def test_celery_is_set_as_in_compose() -> None:
    secret = {("celery", "broker_url"), ("celery", "result_backend")}
    compose = {option: text for option, text in _compose("x-broker").items() if option not in secret}
    helm = {
        option: text
        for option, text in _helm("values-celery.yaml").items()
        if option != ("core", "parallelism")
    }
    assert compose and helm == compose


def test_the_chart_gives_no_secret_to_all() -> None:
    switched = given.values("values.yaml")["enableBuiltInSecretEnvVars"]
    assert switched == dict.fromkeys(NOT_FOR_TASKS, False)


@pytest.mark.parametrize("kind", ["kubernetes", "celery"])
def test_tasks_have_the_signing_key_and_no_way_to_airflows_database(kind: str) -> None:
    env = {one["name"]: one for one in _task_env()[kind]}
    assert env.keys() == {"AIRFLOW__DATABASE__SQL_ALCHEMY_CONN", "KREISLAUF_SIGNING_KEY"}
    compose = yaml.safe_load((ROOT / "docker-compose.yaml").read_text())["services"]["worker"]["environment"]
    nowhere = compose["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"]
    assert env["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"]["value"] == nowhere
    assert "@" not in nowhere
    assert env["KREISLAUF_SIGNING_KEY"]["valueFrom"]["secretKeyRef"]["name"] == "kreislauf-signing-key"


def test_a_task_pod_starts_without_airflows_database(monkeypatch: pytest.MonkeyPatch) -> None:
    for one in _task_env()["kubernetes"]:
        monkeypatch.setenv(one["name"], one.get("value", ""))
    words = ["-m", "airflow.sdk.execution_time.execute_workload", "--json-string", "{}"]
    done = subprocess.run([sys.executable, *words], capture_output=True, text=True, timeout=120)
    assert "Failed to parse input JSON string" in done.stdout + done.stderr  # it came as far as its work


@pytest.mark.parametrize("component", ["scheduler", "apiServer", "dagProcessor", "triggerer"])
def test_components_have_airflows_database_and_not_the_signing_key(component: str) -> None:
    found = given.values("values.yaml")[component]
    names = {one["name"] for one in found["env"]}
    assert {"AIRFLOW__DATABASE__SQL_ALCHEMY_CONN", "AIRFLOW__CORE__FERNET_KEY"} <= names
    assert "KREISLAUF_SIGNING_KEY" not in names
    waiting = {one["name"] for one in found["waitForMigrations"]["env"]}
    assert "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN" in waiting
    signs_tokens = component in {"scheduler", "apiServer"}
    assert ("AIRFLOW__API_AUTH__JWT_SECRET" in names) is signs_tokens
    assert ("AIRFLOW__API__SECRET_KEY" in names) is (component == "apiServer")


def test_pods_may_run_where_security_is_restricted() -> None:
    contexts = given.values("values.yaml")["securityContexts"]
    assert contexts["pod"]["runAsNonRoot"] is True
    assert (contexts["pod"]["runAsUser"], contexts["pod"]["runAsGroup"]) == (50000, 0)
    assert contexts["pod"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert contexts["containers"]["allowPrivilegeEscalation"] is False
    assert contexts["containers"]["readOnlyRootFilesystem"] is True
    redis = given.values("values-celery.yaml")["redis"]["securityContexts"]
    assert redis["pod"]["runAsNonRoot"] is True and redis["pod"]["runAsUser"] == 999
    assert redis["container"]["allowPrivilegeEscalation"] is False


def test_the_image_has_the_executors() -> None:
    executors = {given.values(name)["executor"]: None for name in given.VALUES}
    modules = {
        "KubernetesExecutor": "airflow.providers.cncf.kubernetes.executors.kubernetes_executor",
        "CeleryExecutor": "airflow.providers.celery.executors.celery_executor",
    }
    assert executors.keys() == modules.keys()
    assert all(importlib.util.find_spec(module) for module in modules.values())


def test_the_chart_takes_the_airflow_that_is_pinned() -> None:
    pinned = re.search(r"^apache-airflow==(\S+)", (ROOT / "requirements.txt").read_text(), re.MULTILINE)
    assert pinned and given.values("values.yaml")["airflowVersion"] == pinned.group(1)


def test_migration_is_composes_and_has_what_it_asks_for() -> None:
    job = given.values("values.yaml")["migrateDatabaseJob"]
    assert job["args"] == ["bash", "/opt/kreislauf/deploy/migrate.sh"]
    script = (ROOT / "deploy" / "migrate.sh").read_text()
    asked = set(re.findall(r"--password-variable (\S+)", script))
    assert asked and asked <= {one["name"] for one in job["env"]}
    # the root of the pod is read-only, and the key of Prometheus is a Secret
    assert 'if [ -w "${key%/*}" ]' in script


def test_no_more_tasks_at_a_time_than_celerys_workers_take() -> None:
    found = given.values("values-celery.yaml")
    slots = found["workers"]["celery"]["replicas"] * found["config"]["celery"]["worker_concurrency"]
    assert found["config"]["core"]["parallelism"] == slots


def test_pods_mount_what_there_is() -> None:
    found = given.values("values.yaml")
    assert {one["name"] for one in found["volumeMounts"]} == {one["name"] for one in found["volumes"]}
    for tasks in (found["workers"]["kubernetes"], given.values("values-celery.yaml")["workers"]["celery"]):
        assert {one["name"] for one in tasks["extraVolumeMounts"]} == {
            one["name"] for one in tasks["extraVolumes"]
        }
