"""The deployment's files: what Compose makes of them, and what the Dockerfile promises. No image is built here."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, TypeAlias

import pytest
import yaml

from include.kreislauf import __version__
from include.kreislauf.settings import Settings
from tests.support.missing import missing

Services: TypeAlias = dict[str, dict[str, Any]]

ROOT = Path(__file__).resolve().parents[2]
# what sources ask Access for
SOURCE_KEYS = (
    "secret_stackexchange_key",
    "secret_github_token",
    "secret_adzuna_app_id",
    "secret_adzuna_app_key",
)
COMPOSE_FILE = ROOT / "docker-compose.yaml"
ENV_EXAMPLE = ROOT / ".env.example"
BUNDLE_ROOT = "/opt/kreislauf"

SECRETS = {
    "AIRFLOW_ADMIN_PASSWORD",
    "AIRFLOW_API_SECRET_KEY",
    "AIRFLOW_DB_PASSWORD",
    "AIRFLOW_FERNET_KEY",
    "AIRFLOW_JWT_SECRET",
    "AIRFLOW_WATCHER_PASSWORD",
    "GRAFANA_ADMIN_PASSWORD",
    "KREISLAUF_DB_PASSWORD",
    "MLFLOW_DB_PASSWORD",
    "POSTGRES_PASSWORD",
    "REDIS_PASSWORD",
    "SERVICE_DB_PASSWORD",
}
PUBLISHED = {"api-server": "8080", "prediction-service": "8000"}
WITH_DATABASE = {"api-server", "scheduler", "dag-processor", "triggerer"}
AIRFLOW_COMPONENTS = WITH_DATABASE | {"worker"}
OTHERS = {
    "postgres", "redis", "migrate", "watcher", "mlflow", "prediction-service", "statsd-exporter", "prometheus", "grafana",
    "dask-scheduler", "dask-worker", "object-storage",
}  # fmt: skip
EVERY_PROFILE = "celery,grafana,dask,object-storage"
# images that have nothing to check with, or that tell by the connections of others
UNCHECKED = {"statsd-exporter", "dask-worker", "object-storage"}


@cache
def installed() -> tuple[tuple[str, ...], ...]:
    """The Compose commands of this computer: v2 as Docker's plugin, 1.29 as a program of its own."""
    return tuple(command for command in (("docker", "compose"), ("docker-compose",)) if _answers(command))


def _answers(command: tuple[str, ...]) -> bool:
    if shutil.which(command[0]) is None:
        return False
    answer = subprocess.run([*command, "version"], capture_output=True, text=True, timeout=60)
    return answer.returncode == 0 and "compose" in answer.stdout.lower()


def run_config(command: tuple[str, ...], env_file: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """`config` with only the variables of a file: neither the caller's shell nor a `.env` takes part."""
    known = example_variables()
    environment = {name: value for name, value in os.environ.items() if name not in known}
    return subprocess.run(
        [*command, "-f", str(COMPOSE_FILE), "--env-file", str(env_file), "config", *options],
        capture_output=True, text=True, timeout=120, cwd=ROOT, env=environment,
    )  # fmt: skip


def example_variables() -> dict[str, str]:
    """The assignments of `.env.example`."""
    return dict(re.findall(r"^([A-Z_]+)=(.*)$", ENV_EXAMPLE.read_text(), re.MULTILINE))


def write_env(path: Path, values: Mapping[str, str]) -> Path:
    path.write_text("".join(f"{name}={value}\n" for name, value in values.items()))
    return path


def made_up_secrets() -> dict[str, str]:
    """A value for each secret that cannot be mistaken for another's."""
    return {name: f"{name.lower().replace('_', '')}0secret" for name in SECRETS}


def environment_of(service: Mapping[str, Any]) -> dict[str, str]:
    """A service's environment, which Compose writes as a mapping or as a list."""
    found = service.get("environment") or {}
    pairs = (str(item).split("=", 1) for item in found) if isinstance(found, list) else found.items()
    return {str(name): str(value) for name, value in pairs}


def published_ports(service: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """(address of the host, port of the container) of each published port, from either version's form."""
    for port in service.get("ports") or []:
        if isinstance(port, dict):
            yield str(port.get("host_ip", "")), str(port["target"])
        else:
            address, _host_port, target = ["", *str(port).split(":")][-3:]
            yield address, target.removesuffix("/tcp")


def sources_of(service: Mapping[str, Any]) -> dict[str, tuple[str, bool]]:
    """Folder in the container -> (volume or folder of the host, read only?), from either version's form."""
    found = {}
    for volume in service.get("volumes") or []:
        if isinstance(volume, dict):
            found[volume["target"]] = (str(volume["source"]), bool(volume.get("read_only", False)))
        else:
            source, target, *mode = str(volume).split(":")
            found[target] = (source, mode == ["ro"])
    return found


def one_shots(services: Services) -> set[str]:
    """Services that others wait for to complete."""
    return {
        name
        for service in services.values()
        for name, waits in (service.get("depends_on") or {}).items()
        if waits["condition"] == "service_completed_successfully"
    }


@pytest.fixture(
    scope="module",
    params=installed() or [()],
    ids=lambda command: "-".join(command) or "no-compose",
)
def command(request: pytest.FixtureRequest) -> tuple[str, ...]:
    found: tuple[str, ...] = request.param
    return found or missing("Docker Compose", "docker-compose")


@pytest.fixture(scope="module")
def services(command: tuple[str, ...], tmp_path_factory: pytest.TempPathFactory) -> Services:
    """The services as Compose understands them, from `.env.example` with every secret filled in."""
    values = {**example_variables(), **made_up_secrets(), "COMPOSE_PROFILES": EVERY_PROFILE}
    answer = run_config(command, write_env(tmp_path_factory.mktemp("env") / "env", values))
    assert answer.returncode == 0, answer.stderr
    found: Services = yaml.safe_load(answer.stdout)["services"]
    return found


@pytest.fixture(scope="module")
def networks() -> dict[str, Any]:
    """The networks as the file has them: 1.29 tells of them otherwise."""
    found: dict[str, Any] = yaml.safe_load(COMPOSE_FILE.read_text())["networks"]
    return found


class TestCompose:
    def test_services(self, services: Services) -> None:
        assert set(services) == AIRFLOW_COMPONENTS | OTHERS

    def test_what_runs_by_default(self, command: tuple[str, ...], tmp_path: Path) -> None:
        if command == ("docker-compose",):
            pytest.skip("1.29 starts by profiles, but lists all services")
        values = {**example_variables(), **made_up_secrets()}
        answer = run_config(command, write_env(tmp_path / "env", values), "--services")
        assert set(answer.stdout.split()) == AIRFLOW_COMPONENTS | OTHERS - {
            "dask-scheduler", "dask-worker", "object-storage",
        }  # fmt: skip

    def test_local_executor(self, command: tuple[str, ...], tmp_path: Path) -> None:
        """Without Celery, neither its workers nor their broker."""
        if command == ("docker-compose",):
            pytest.skip("1.29 starts by profiles, but lists all services")
        values = {**example_variables(), **made_up_secrets(), "COMPOSE_PROFILES": "local-executor"}
        answer = run_config(command, write_env(tmp_path / "env", values), "--services")
        assert not {"worker", "redis"} & set(answer.stdout.split())
        assert "scheduler" in answer.stdout.split()

    def test_every_service_is_locked_down(self, services: Services) -> None:
        for name, service in services.items():
            assert service["read_only"], name
            assert service["cap_drop"] == ["ALL"], name
            assert service["security_opt"] == ["no-new-privileges:true"], name
            assert service["mem_limit"], name
            assert service["pids_limit"], name
            assert service["logging"]["options"]["max-size"], name

    def test_every_service_has_a_health_check_or_is_one_shot(self, services: Services) -> None:
        once = one_shots(services)
        assert once == {"migrate"}
        assert services["migrate"]["restart"] == "no"
        for name in services.keys() - once - UNCHECKED:
            check = services[name]["healthcheck"]
            assert check["test"][0] in ("CMD", "CMD-SHELL"), name
            assert {"interval", "timeout", "retries", "start_period"} <= check.keys(), name

    def test_health_checks_end_by_themselves_and_do_not_start_airflow(self, services: Services) -> None:
        for name in services.keys() - one_shots(services) - UNCHECKED:
            line = " ".join(services[name]["healthcheck"]["test"])
            assert not re.search(r"\bairflow\b", line), name
            assert re.search(r"( -m | -t | -T |timeout[= ])\d|--max-time", line), f"{name}: {line}"

    def test_only_loopback_ports_are_published(self, services: Services) -> None:
        published = {name: dict(published_ports(service)) for name, service in services.items()}
        expected = {name: {"127.0.0.1": port} for name, port in PUBLISHED.items()}
        assert {name: ports for name, ports in published.items() if ports} == expected

    def test_only_what_needs_it_leaves_the_internal_networks(
        self, services: Services, networks: dict[str, Any]
    ) -> None:
        outside = {name for name, service in services.items() if "edge" in service["networks"]}
        # what publishes a port, and what reads sources: tasks and triggers
        assert outside == {*PUBLISHED, "scheduler", "triggerer", "worker"}
        assert {name for name, network in networks.items() if not (network or {}).get("internal")} == {"edge"}

    def test_airflow_components_share_their_settings(self, services: Services) -> None:
        """Whatever two of them set, they set alike: a different JWT issuer, say, makes every task fail."""
        own = {"AIRFLOW__DATABASE__SQL_ALCHEMY_CONN", "AIRFLOW__METRICS__STATSD_ON"}
        seen: dict[str, set[str]] = {}
        for name in AIRFLOW_COMPONENTS | {"migrate", "watcher"}:
            for variable, value in environment_of(services[name]).items():
                seen.setdefault(variable, set()).add(value)
        assert {variable for variable, values in seen.items() if len(values) > 1} == own

    def test_workers_have_no_way_to_airflows_database(self, services: Services) -> None:
        address = environment_of(services["worker"])["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"]
        assert address == "postgresql+psycopg2://workers-have-no-database/airflow"
        assert "airflow:" not in json.dumps(environment_of(services["worker"]))

    def test_airflow_settings_exist(self, services: Services) -> None:
        """A misspelt setting would be ignored in silence."""
        found = environment_of(services["scheduler"]) | environment_of(services["api-server"])
        names = [name.split("__")[1:] for name in found if name.startswith("AIRFLOW__")]
        sections = airflow_options()
        # read by the scheduler with a default of its own, and in no list of options
        sections["scheduler"].add("num_stuck_in_queued_retries")
        unknown = [name for name in names if name[1].lower() not in sections.get(name[0].lower(), ())]
        assert names
        assert unknown == []

    def test_kreislauf_settings_exist(self, services: Services) -> None:
        known = {f"KREISLAUF_{name}".upper() for name in (*Settings.model_fields, *SOURCE_KEYS)}
        for name in (*AIRFLOW_COMPONENTS, "migrate", "prediction-service"):
            found = {key for key in environment_of(services[name]) if key.startswith("KREISLAUF_")}
            assert found
            assert found <= known

    def test_the_bundle_is_where_the_image_has_it(self, services: Services) -> None:
        environment = environment_of(services["dag-processor"])
        (bundle,) = json.loads(environment["AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST"])
        assert bundle["kwargs"]["path"] == environment["AIRFLOW__CORE__DAGS_FOLDER"] == BUNDLE_ROOT
        assert environment["AIRFLOW__CORE__PLUGINS_FOLDER"] == f"{BUNDLE_ROOT}/plugins"

    def test_each_secret_reaches_only_whom_it_concerns(self, services: Services) -> None:
        """The prediction service, which strangers' requests reach, holds no key of Airflow's."""
        values = made_up_secrets()
        core = WITH_DATABASE | {"migrate"}
        expected = {
            "AIRFLOW_ADMIN_PASSWORD": {"migrate"},
            "AIRFLOW_API_SECRET_KEY": {"api-server"},
            "AIRFLOW_DB_PASSWORD": core | {"postgres"},
            "AIRFLOW_FERNET_KEY": core,
            "AIRFLOW_JWT_SECRET": {"api-server", "scheduler"},
            "AIRFLOW_WATCHER_PASSWORD": {"migrate", "watcher"},
            "GRAFANA_ADMIN_PASSWORD": {"grafana"},
            "KREISLAUF_DB_PASSWORD": core | {"worker", "watcher", "postgres"},
            "MLFLOW_DB_PASSWORD": {"mlflow", "postgres"},
            "POSTGRES_PASSWORD": {"postgres"},
            "REDIS_PASSWORD": {"redis", "scheduler", "worker"},
            "SERVICE_DB_PASSWORD": {"prediction-service", "postgres"},
        }
        found = {
            secret: {name for name, one in services.items() if value in json.dumps(one)}
            for secret, value in values.items()
        }
        assert found == expected

    def test_airflow_and_the_service_see_the_artefacts_under_one_path(self, services: Services) -> None:
        """Releases are recorded by their path."""
        home = "/var/lib/kreislauf"
        folders = {name: sources_of(services[name]).get(home) for name in services}
        writers = AIRFLOW_COMPONENTS | {"migrate"}
        assert {name for name, folder in folders.items() if folder == ("kreislauf", False)} == writers
        readers = {name for name, folder in folders.items() if folder == ("kreislauf", True)}
        assert readers == {"prediction-service", "watcher"}

    def test_mounted_files_exist(self, services: Services) -> None:
        own = [
            Path(source)
            for name in ("postgres", "prometheus", "statsd-exporter", "grafana")
            for source, _read_only in sources_of(services[name]).values()
            if "/" in source
        ]
        assert len(own) == 6
        assert all(path.exists() for path in own)

    def test_published_for_the_operator_is_on_loopback_too(
        self, command: tuple[str, ...], tmp_path: Path
    ) -> None:
        values = {**made_up_secrets(), "COMPOSE_PROFILES": EVERY_PROFILE}
        env = write_env(tmp_path / "env", values)
        files = ["-f", str(COMPOSE_FILE), "-f", str(ROOT / "deploy" / "publish.yaml")]
        said = subprocess.run(
            [*command, *files, "--env-file", str(env), "config"],
            capture_output=True,
            text=True,
            timeout=120,
            cwd=ROOT,
        )
        assert said.returncode == 0, said.stderr
        services = yaml.safe_load(said.stdout)["services"]
        published = {name: dict(published_ports(one)) for name, one in services.items() if one.get("ports")}
        assert set(published) == {*PUBLISHED, "grafana", "mlflow", "prometheus"}
        assert {address for ports in published.values() for address in ports} == {"127.0.0.1"}

    @pytest.mark.parametrize("missing", sorted(SECRETS))
    def test_a_missing_secret_is_named(self, missing: str, command: tuple[str, ...], tmp_path: Path) -> None:
        values = {**made_up_secrets(), "COMPOSE_PROFILES": EVERY_PROFILE, missing: ""}
        answer = run_config(command, write_env(tmp_path / "env", values), "--quiet")
        assert answer.returncode != 0
        assert f"set {missing} in .env" in answer.stderr

    def test_the_example_alone_does_not_start_anything(self, command: tuple[str, ...]) -> None:
        assert run_config(command, ENV_EXAMPLE, "--quiet").returncode != 0

    def test_optional_variables_may_be_left_out(
        self, command: tuple[str, ...], services: Services, tmp_path: Path
    ) -> None:
        """The example shows the defaults: leaving them out changes nothing."""
        answer = run_config(
            command, write_env(tmp_path / "env", made_up_secrets() | {"COMPOSE_PROFILES": EVERY_PROFILE})
        )
        assert answer.returncode == 0, answer.stderr
        assert yaml.safe_load(answer.stdout)["services"] == services


def airflow_options() -> dict[str, set[str]]:
    """Airflow's own settings by section, read from its files: importing Airflow takes seconds."""
    spec = importlib.util.find_spec("airflow")
    assert spec is not None
    assert spec.submodule_search_locations
    path = Path(next(iter(spec.submodule_search_locations))) / "config_templates" / "config.yml"
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    sections = yaml.load(path.read_text(), Loader=loader)
    from airflow.providers.celery import get_provider_info as celery
    from airflow.providers.fab import get_provider_info as fab

    for provider in (celery, fab):
        sections |= provider.get_provider_info()["config"]
    return {name: set(section["options"]) for name, section in sections.items()}


class TestEnvExample:
    def test_names_every_variable_and_no_other(self) -> None:
        used = set(re.findall(r"\$\{([A-Z_]+)", COMPOSE_FILE.read_text()))
        assert set(example_variables()) == used | {"COMPOSE_PROFILES"}

    def test_has_no_default_secret(self) -> None:
        variables = example_variables()
        assert {name for name in SECRETS if variables[name]} == set()

    def test_every_secret_is_required_wherever_it_is_used(self) -> None:
        text = COMPOSE_FILE.read_text()
        for name in SECRETS:
            uses = re.findall(rf"\${{?{name}\b[^}}]*", text)
            assert uses
            assert set(uses) == {f"${{{name}:?set {name} in .env"}

    def test_comments_every_variable(self) -> None:
        """A comment stands right above a variable, or above the group it belongs to."""
        lines = ENV_EXAMPLE.read_text().splitlines()
        for index, line in enumerate(lines):
            if re.match(r"[A-Z_]+=", line):
                above = [other for other in lines[:index] if not re.match(r"[A-Z_]+=", other)]
                assert above[-1].startswith("#"), line

    def test_is_kept_out_of_git_and_of_the_build(self) -> None:
        assert ".env" in (ROOT / ".gitignore").read_text().splitlines()
        assert (ROOT / ".dockerignore").read_text().splitlines()[1] == "*"


Instructions: TypeAlias = list[tuple[str, str]]


def parse_dockerfile() -> tuple[Instructions, dict[str, Instructions]]:
    """The instructions before the first `FROM`, and those of each target."""
    text = re.sub(r"^\s*#.*\n", "", (ROOT / "Dockerfile").read_text(), flags=re.MULTILINE)
    head: Instructions = []
    targets: dict[str, Instructions] = {}
    current = head
    for line in re.sub(r"\\\n\s*", "", text).splitlines():
        if not line.strip():
            continue
        name, _, rest = line.strip().partition(" ")
        if name == "FROM":
            current = targets.setdefault(rest.split(" AS ")[1], [])
        current.append((name, rest.strip()))
    return head, targets


def all_of(instructions: Instructions, name: str) -> list[str]:
    return [rest for one, rest in instructions if one == name]


class TestDockerfile:
    def test_has_both_targets_on_bases_that_can_be_replaced(self) -> None:
        head, targets = parse_dockerfile()
        assert list(targets) == ["service-environment", "service", "airflow-environment", "airflow"]
        assert set(all_of(head, "ARG")) == {
            "AIRFLOW_IMAGE=apache/airflow:3.3.2-python3.12",
            "PYTHON_IMAGE=python:3.12-slim",
        }
        assert all_of(targets["airflow"], "FROM") == ["${AIRFLOW_IMAGE} AS airflow"]
        assert all_of(targets["service"], "FROM") == ["${PYTHON_IMAGE} AS service"]
        for name in ("airflow", "service"):
            (base, _), (environment, _) = (
                all_of(targets[one], "FROM")[0].split(" AS ") for one in (name, f"{name}-environment")
            )
            assert base == environment, "an environment runs only on the Python that it was made with"

    def test_the_base_is_the_locked_airflow(self) -> None:
        head, _ = parse_dockerfile()
        (image,) = (one for one in all_of(head, "ARG") if one.startswith("AIRFLOW_IMAGE="))
        locked = re.search(
            r"^apache-airflow==([\d.]+)", (ROOT / "requirements.txt").read_text(), re.MULTILINE
        )
        assert locked
        assert f":{locked[1]}-" in image

    @pytest.mark.parametrize(
        ("target", "requirements"),
        [("airflow", "requirements.txt"), ("service", "requirements-service.txt")],
    )
    def test_installs_with_hashes_only(self, target: str, requirements: str) -> None:
        targets = parse_dockerfile()[1]
        (install,) = [run for run in all_of(targets[f"{target}-environment"], "RUN") if "pip install" in run]
        assert install.count("pip install") == install.count("--require-hashes") == 2
        assert f"--require-hashes -r /build/{requirements}" in install
        assert not [run for run in all_of(targets[target], "RUN") if "install -r" in run or "pip " in run]

    @pytest.mark.parametrize("target", ["airflow", "service"])
    def test_ends_as_a_numbered_user_that_is_not_root(self, target: str) -> None:
        instructions = parse_dockerfile()[1][target]
        assert re.fullmatch(r"[1-9]\d*(:\d+)?", all_of(instructions, "USER")[-1])
        last = max(index for index, (name, _) in enumerate(instructions) if name == "USER")
        assert not all_of(instructions[last:], "RUN")

    @pytest.mark.parametrize("target", ["airflow", "service"])
    def test_carries_labels(self, target: str) -> None:
        (labels,) = all_of(parse_dockerfile()[1][target], "LABEL")
        for name in ("title", "description", "licenses", "version", "revision"):
            assert f"org.opencontainers.image.{name}=" in labels
        assert f'version="{__version__}"' in labels

    def test_the_service_holds_nothing_but_the_domain(self) -> None:
        copied = all_of(parse_dockerfile()[1]["service"], "COPY")
        assert copied == ["--from=service-environment /opt/venv /opt/venv", "include ./include"]

    def test_airflow_holds_the_bundle(self) -> None:
        instructions = parse_dockerfile()[1]["airflow"]
        copied = {copy.split()[0] for copy in all_of(instructions, "COPY")}
        assert copied == {
            "--from=airflow-environment",
            ".airflowignore",
            "dags",
            "plugins",
            "deploy",
            "include",
        }
        assert all_of(instructions, "WORKDIR") == [BUNDLE_ROOT]
        assert any(f"PYTHONPATH={BUNDLE_ROOT}" in env for env in all_of(instructions, "ENV"))

    def test_what_is_copied_exists_and_reaches_the_build(self) -> None:
        allowed = (ROOT / ".dockerignore").read_text().splitlines()
        for instructions in parse_dockerfile()[1].values():
            for copy in all_of(instructions, "COPY"):
                *sources, _target = copy.split()
                for source in sources if not copy.startswith("--from=") else ():
                    assert (ROOT / source).exists()
                    assert f"!{source.partition('/')[0]}" in allowed

    def test_the_service_checks_its_own_health(self, services: Services) -> None:
        """The image's check, for those who run it without Compose, is the one in the Compose file."""
        (check,) = all_of(parse_dockerfile()[1]["service"], "HEALTHCHECK")
        options, _, command = check.partition(" CMD ")
        assert "--timeout=" in options
        assert ["CMD", *json.loads(command)] == services["prediction-service"]["healthcheck"]["test"]
        assert "/live" in command

    def test_needs_no_buildkit(self) -> None:
        text = (ROOT / "Dockerfile").read_text()
        assert not re.search(r"--mount|--chmod|<<|^# *syntax", text, re.MULTILINE)
