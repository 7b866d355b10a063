"""The stack of docker-compose.yaml, started as a user would, and broken on purpose. The tests follow one another."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.production.deployment import Deployment, wait_for
from tests.production.engine import docker
from tests.production.slow_sources import AS_OF, NAME
from tests.production.traffic import ROW, Traffic
from tests.production.traffic import USE_CASE as CANARY

pytestmark = [pytest.mark.deployment, pytest.mark.timeout(1800)]

Figures = dict[str, Any]
TASKS_END = 600
MARK = "/var/lib/kreislauf/deployment.json"
IDLE_SECONDS, ROUNDS = 20, 15
LONG_RUNNING = {
    "api-server", "dag-processor", "mlflow", "postgres", "prediction-service", "prometheus", "redis", "scheduler",
    "statsd-exporter", "triggerer", "watcher", "worker",
}  # fmt: skip
AIRFLOWS_OWN = ("AIRFLOW_DB_PASSWORD", "AIRFLOW_FERNET_KEY", "AIRFLOW_JWT_SECRET", "AIRFLOW_API_SECRET_KEY")


@pytest.fixture(scope="module")
def key(deployment: Deployment) -> str:
    """An API key for predictions and outcomes."""
    words = ("keys", "create", "load", "--scopes", "predict,outcome", "--by", "the tests")
    return deployment.inside("worker", "python", "-m", "include.kreislauf", *words).strip()


@pytest.fixture(scope="module")
def traffic(deployment: Deployment, key: str) -> Iterator[Traffic]:
    """Requests that go on through everything that is broken."""
    with Traffic(deployment.service, key) as one:
        yield one


class TestUp:
    def test_up_ends_with_the_canary(self, deployment: Deployment, figures: Figures) -> None:
        deployment.compose("build", timeout=1500)
        began = time.monotonic()
        said = deployment.tool("up", "--no-build", "--workers", "2", timeout=900)
        figures["up_to_canary_seconds"] = round(time.monotonic() - began, 1)
        figures["canary"] = next(
            line for line in said.stdout.splitlines() if line.startswith("canary passed")
        )

    def test_every_service_runs(self, deployment: Deployment) -> None:
        running = {
            one["Config"]["Labels"]["com.docker.compose.service"]
            for one in deployment.containers()
            if one["State"]["Running"]
        }
        assert running == LONG_RUNNING

    def test_up_again_changes_no_container(self, deployment: Deployment) -> None:
        before = {one["Id"] for one in deployment.containers() if one["State"]["Running"]}
        deployment.tool("up", "--no-build", "--workers", "2", "--no-canary")
        assert {one["Id"] for one in deployment.containers() if one["State"]["Running"]} == before

    def test_images(self, deployment: Deployment, figures: Figures) -> None:
        """Sizes are told; no compiler, no pip, and no file that the user of the image may change."""
        tag = deployment.variables["KREISLAUF_TAG"]
        for name, user in (("airflow", "50000:0"), ("service", "10001:10001")):
            image = f"kreislauf-{name}:{tag}"
            (told,) = json.loads(docker("image", "inspect", image).stdout)
            figures.setdefault("image_megabytes", {})[name] = round(told["Size"] / 1e6)
            assert told["Config"]["User"] == user
            look = "command -v gcc cc c++ g++ clang ld make; find /opt/kreislauf /opt/venv -writable ! -type l | head -3"
            said = docker(
                "run", "--rm", "--network", "none", "--entrypoint", "sh", image, "-c", look, check=False
            )
            assert said.stdout == ""


class TestLockedDown:
    def test_containers(self, deployment: Deployment) -> None:
        """Read-only roots, no capabilities, no way to gain any, limits of memory and processes, and no root."""
        for one in deployment.containers():
            host, name = one["HostConfig"], one["Name"]
            assert host["ReadonlyRootfs"], name
            assert host["CapDrop"] == ["ALL"], name
            assert not host["CapAdd"], name
            assert "no-new-privileges:true" in host["SecurityOpt"], name
            assert 0 < host["Memory"] <= 6 << 30, name
            assert 0 < host["PidsLimit"] <= 2048, name
            assert not host["Privileged"], name
            if one["State"]["Running"]:
                owners = {
                    line.split()[1]
                    for line in docker("top", one["Id"], "-eo", "pid,uid").stdout.splitlines()[1:]
                }
                assert "0" not in owners, name

    def test_only_the_two_are_published_and_on_loopback(self, deployment: Deployment) -> None:
        published = {
            (one["Config"]["Labels"]["com.docker.compose.service"], binding["HostIp"])
            for one in deployment.containers()
            for bindings in (one["NetworkSettings"]["Ports"] or {}).values()
            for binding in bindings or []
        }
        assert published == {("api-server", "127.0.0.1"), ("prediction-service", "127.0.0.1")}

    def test_only_what_needs_it_reaches_the_outside(self, deployment: Deployment) -> None:
        for service in ("postgres", "redis", "prometheus", "mlflow", "watcher", "dag-processor"):
            names = deployment.container(service)["NetworkSettings"]["Networks"]
            told = json.loads(docker("network", "inspect", *names).stdout)
            assert all(one["Internal"] for one in told), service

    def test_workers_have_none_of_airflows_secrets(self, deployment: Deployment) -> None:
        for worker in deployment.containers("worker"):
            environment = "\n".join(worker["Config"]["Env"])
            for name in AIRFLOWS_OWN:
                assert deployment.variables[name] not in environment, name

    def test_each_database_has_its_own_role(self, deployment: Deployment) -> None:
        owners = dict(
            deployment.rows(
                "SELECT datname, rolname FROM pg_database JOIN pg_roles r ON r.oid = datdba", "postgres"
            )
        )
        assert {name: owners[name] for name in ("airflow", "kreislauf", "mlflow")} == {
            "airflow": "airflow", "kreislauf": "kreislauf", "mlflow": "mlflow",
        }  # fmt: skip

    def test_the_service_cannot_change_what_is_live(self, deployment: Deployment) -> None:
        url = next(
            line.partition("=")[2]
            for line in deployment.container("prediction-service")["Config"]["Env"]
            if line.startswith("KREISLAUF_STORE_URL=")
        )
        code = (
            "import sqlalchemy as s, sys; e = s.create_engine(sys.argv[1])\n"
            "with e.begin() as db: db.execute(s.text('UPDATE live_releases SET version = 1'))"
        )
        identity = deployment.container("prediction-service")["Id"]
        tried = docker("exec", identity, "python", "-c", code, url, check=False)
        assert "permission denied" in tried.stderr


class TestIdle:
    def test_health_checks_cost_little(self, deployment: Deployment, figures: Figures) -> None:
        """CPU of all checks, told from what containers and engine use more while they are made all the time."""
        deployment.tool("up", "--no-build", "--workers", "2", "--no-canary")
        checks = [
            (one["Id"], one["Config"]["Healthcheck"])
            for one in deployment.containers()
            if one["State"]["Running"] and one["Config"].get("Healthcheck")
        ]
        # migrate has ended, and the image of statsd-exporter has no shell
        assert len(checks) == len(deployment.containers()) - 2
        names = [one["Id"] for one in deployment.containers() if one["State"]["Running"]]
        before = _busy(lambda: time.sleep(IDLE_SECONDS), names)
        began = time.monotonic()
        spent = _busy(lambda: [_check(*one) for one in checks * ROUNDS], names)
        passed = time.monotonic() - began
        idle = (before + _busy(lambda: time.sleep(IDLE_SECONDS), names)) / (2 * IDLE_SECONDS)
        each = (spent - idle * passed) / ROUNDS / len(checks)
        share = each * sum(1e9 / check["Interval"] for _, check in checks)
        figures["health_checks_share_of_a_core"] = round(share, 4)
        assert share < 0.05


def _check(container: str, check: dict[str, Any]) -> None:
    kind, *words = check["Test"]
    command = ["sh", "-c", words[0]] if kind == "CMD-SHELL" else words
    docker("exec", container, *command, check=False)


def _busy(act: Callable[[], Any], containers: list[str]) -> float:
    """CPU seconds of the containers and of the engine that serves them, while something is done."""
    before = _cpu_seconds(containers)
    act()
    return _cpu_seconds(containers) - before


def _cpu_seconds(containers: list[str]) -> float:
    with httpx.Client(
        transport=httpx.HTTPTransport(uds="/var/run/docker.sock"), base_url="http://docker"
    ) as engine:
        told = [
            engine.get(f"/containers/{one}/stats?stream=false&one-shot=true").json() for one in containers
        ]
    return sum(one["cpu_stats"]["cpu_usage"]["total_usage"] for one in told) / 1e9 + sum(
        _engine_cpu_seconds()
    )


def _engine_cpu_seconds() -> Iterator[float]:
    """Of dockerd, containerd and their helpers, with the children that have ended."""
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            name, rest = stat.read_text().split("(", 1)[1].rsplit(")", 1)
        except OSError:  # it has just ended
            continue
        if name.startswith(("dockerd", "containerd")):
            yield sum(map(int, rest.split()[11:15])) / os.sysconf("SC_CLK_TCK")


class TestObservability:
    def test_every_expression_is_answered(self, deployment: Deployment) -> None:
        """Dashboards and rules, by the Prometheus of the stack; what it tells must have come from its targets."""
        from tests.support.expressions import check_expressions

        address = deployment.container("prometheus")["NetworkSettings"]["Networks"]
        (one,) = [net["IPAddress"] for name, net in address.items() if name.endswith("_metrics")]
        url = f"http://{one}:9090"
        targets = wait_for("all targets", lambda: _targets(deployment, url), 120, 5)
        assert set(targets.values()) == {"up"}, targets
        assert check_expressions(url) == []


def _targets(deployment: Deployment, url: str) -> dict[str, str]:
    """Job -> health of Prometheus's targets, once all have been asked."""
    active = deployment.client.get(f"{url}/api/v1/targets").json()["data"]["activeTargets"]
    found = {one["labels"]["job"]: one["health"] for one in active}
    return {} if "unknown" in found.values() or "down" in found.values() else found


class TestBrokenOnPurpose:
    """One cycle, in whose way everything is put."""

    def test_two_workers_collect_faster_than_one(
        self, deployment: Deployment, traffic: Traffic, figures: Figures
    ) -> None:
        """Files per minute of one worker with one slot, then of two, in one and the same collection."""
        _workers(deployment, 1)
        deployment.trigger("requirements", use_case=NAME, as_of=AS_OF, reason="the tests")
        run = wait_for("the collection", lambda: _run_of(deployment, "data_engineering"), 180)
        wait_for("portions", lambda: len(_ended_reads(deployment, run)) >= 2, TASKS_END)
        one = _rate(deployment, run, 4)
        _workers(deployment, 2)
        known = len(_ended_reads(deployment, run))
        wait_for("both workers", lambda: len(_ended_reads(deployment, run)) >= known + 3, TASKS_END)
        two = _rate(deployment, run, 8)
        figures["files_per_minute"] = {"1 worker": round(one, 1), "2 workers": round(two, 1)}
        figures["collect_speedup_2_workers"] = round(two / one, 2)

    def test_a_killed_workers_task_runs_again(
        self, deployment: Deployment, traffic: Traffic, figures: Figures
    ) -> None:
        run = _run_of(deployment, "data_engineering")
        victim = deployment.containers("worker")[0]
        host = victim["Config"]["Hostname"]
        mine = wait_for("a task of the worker", lambda: _running_on(deployment, run, host), 120, 0.5)
        killed = deployment.kill("worker")
        task = mine[0]["map_index"]
        wait_for("its second try", lambda: _tried_again(deployment, run, task), 180, 0.5)
        figures["worker_takeover_seconds"] = round(time.monotonic() - killed, 1)

    def test_a_killed_schedulers_work_goes_on(
        self, deployment: Deployment, traffic: Traffic, figures: Figures
    ) -> None:
        # what was handed out before may still begin: only what the next scheduler hands out counts
        (moment,) = deployment.rows("SELECT now()", "airflow")[0]
        killed = deployment.kill("scheduler")
        handed_out = f"SELECT count(*) FROM task_instance WHERE queued_dttm > '{moment}'::timestamptz + interval '1 second'"
        wait_for(
            "the next scheduler",
            lambda: _quietly(deployment, handed_out, "airflow") not in ("", "0"),
            120,
            0.5,
        )
        figures["scheduler_takeover_seconds"] = round(time.monotonic() - killed, 1)

    @pytest.mark.parametrize("service", ["postgres", "redis", "prediction-service"])
    def test_everything_else_comes_back(self, deployment: Deployment, traffic: Traffic, service: str) -> None:
        _kill_and_wait(deployment, service)
        before = _started(deployment)
        wait_for("a task that starts", lambda: _started(deployment) > before, 180)

    def test_the_service_answers_while_its_database_is_away(
        self, deployment: Deployment, traffic: Traffic
    ) -> None:
        deployment.compose("stop", "-t", "5", "postgres")
        began = time.monotonic()
        time.sleep(20)
        over = time.monotonic()
        deployment.compose("start", "postgres")
        assert traffic.refused_between(began, over) == []
        assert traffic.answered_between(began, over) >= 20

    def test_mlflow_dies_in_the_middle_of_a_training(self, deployment: Deployment, traffic: Traffic) -> None:
        training = "SELECT count(*) FROM task_instance WHERE task_id = 'train' AND state = 'running'"
        wait_for(
            "the training", lambda: _quietly(deployment, training, "airflow") not in ("", "0"), TASKS_END, 0.2
        )
        _kill_and_wait(deployment, "mlflow")

    def test_the_cycle_completes_once(self, deployment: Deployment, traffic: Traffic) -> None:
        query = f"SELECT count(*) FROM verdicts WHERE use_case = '{NAME}'"
        wait_for("a verdict", lambda: _quietly(deployment, query) not in ("", "0"), 900, 5)
        doubled = f"""SELECT stage, attempt, count(*) FROM handovers WHERE use_case = '{NAME}'
                      GROUP BY cycle_id, stage, attempt HAVING count(*) > 1"""
        assert deployment.rows(doubled) == []
        releases = deployment.rows(f"SELECT count(*) FROM releases WHERE use_case = '{NAME}'")
        assert releases == [["1"]]

    def test_no_acknowledged_outcome_is_lost(self, deployment: Deployment, traffic: Traffic) -> None:
        wait_for("outcomes", lambda: len(traffic.acknowledged) > 100, 60)
        time.sleep(5)
        sent = list(traffic.acknowledged)

        def missing() -> set[str]:
            return set(sent) - {one for (one,) in deployment.rows("SELECT prediction_id FROM outcomes")}

        wait_for("every outcome in the store", lambda: not missing(), 60)
        assert len(traffic.values) == 1, "the same release answers the same"


def _kill_and_wait(deployment: Deployment, service: str) -> None:
    """Kill a service, and see it in its next life."""
    started = deployment.container(service)["State"]["StartedAt"]
    deployment.kill(service)

    def lives_again() -> bool:
        now = deployment.container(service)["State"]
        return bool(now["Running"] and now["StartedAt"] > started)

    wait_for("its next life", lives_again, 60)


def _quietly(deployment: Deployment, statement: str, database: str = "kreislauf") -> str:
    """One value; empty while the database is away."""
    try:
        rows = deployment.rows(statement, database)
    except (AssertionError, IndexError):
        return ""
    return rows[0][0]


def _workers(deployment: Deployment, number: int, slots: int = 1) -> None:
    """So many workers, with so many tasks at a time each."""
    env = deployment.tree / ".env"
    kept = [line for line in env.read_text().splitlines() if not line.startswith("WORKER_SLOTS=")]
    env.write_text("\n".join([*kept, f"WORKER_SLOTS={slots}"]) + "\n")
    deployment.compose("up", "-d", "--no-build", "--no-deps", "--scale", f"worker={number}", "worker")
    wait_for("the workers", lambda: all(
        docker("exec", one["Id"], "test", "-e", "/tmp/alive", check=False).returncode == 0
        for one in deployment.containers("worker")
    ), 120)  # fmt: skip


def _run_of(deployment: Deployment, dag: str) -> str:
    """The newest run of the cycle in a DAG; empty: none yet."""
    runs = deployment.rest("GET", f"/dags/{dag}/dagRuns", params={"order_by": "-run_after", "limit": 20})[
        "dag_runs"
    ]
    mine = [one["dag_run_id"] for one in runs if (one.get("partition_key") or "").startswith(NAME)]
    return str(mine[0]) if mine else ""


def _reads(deployment: Deployment, run: str) -> list[dict[str, Any]]:
    return [one for one in deployment.task_instances("data_engineering", run) if one["task_id"] == "read"]


def _ended_reads(deployment: Deployment, run: str) -> list[str]:
    """When each portion of files was done."""
    return sorted(one["end_date"] for one in _reads(deployment, run) if one["state"] == "success")


def _rate(deployment: Deployment, run: str, portions: int) -> float:
    """Files per minute over the next portions."""
    known = len(_ended_reads(deployment, run))
    ended = wait_for(
        "portions",
        lambda: found if len(found := _ended_reads(deployment, run)) > known + portions else None,
        TASKS_END,
    )
    assert ended is not None
    begin, end = (_seconds(one) for one in (ended[known], ended[known + portions]))
    return 8 * portions / ((end - begin) / 60)


def _seconds(moment: str) -> float:
    return datetime.fromisoformat(moment).timestamp()


def _running_on(deployment: Deployment, run: str, host: str) -> list[dict[str, Any]]:
    return [one for one in _reads(deployment, run) if one["state"] == "running" and one["hostname"] == host]


def _tried_again(deployment: Deployment, run: str, index: int) -> bool:
    (one,) = [one for one in _reads(deployment, run) if one["map_index"] == index]
    return bool(one["try_number"] > 1 and one["state"] in ("running", "success"))


def _started(deployment: Deployment) -> int:
    """Tasks that were ever begun, of any DAG."""
    found = _quietly(deployment, "SELECT count(*) FROM task_instance WHERE start_date IS NOT NULL", "airflow")
    return int(found or 0)


class TestSecrets:
    def test_no_secret_is_told(self, deployment: Deployment) -> None:
        """In no log of a container or a task, no XCom, rendered template, metric or artefact."""
        secrets = {
            name: value for name, value in deployment.variables.items()
            if re.search(r"PASSWORD|SECRET|FERNET|_KEY$", name) and len(value) >= 16
        }  # fmt: skip
        assert len(secrets) >= 14
        told = {
            "container logs": "\n".join(
                docker("logs", one["Id"]).stdout + docker("logs", one["Id"]).stderr for one in deployment.containers()
            ),
            "databases": "\n".join(
                deployment.inside("postgres", "pg_dump", "-U", "postgres", "-a", one)
                for one in ("airflow", "kreislauf", "mlflow")
            ),
            "metrics": deployment.inside("api-server", "curl", "-fsS", "http://statsd-exporter:9102/metrics")
            + deployment.inside("api-server", "curl", "-fsS", "http://watcher:9105/metrics"),
        }  # fmt: skip
        for where, text in told.items():
            assert len(text) > 1000, where
            assert [name for name, value in secrets.items() if value in text] == [], where
        patterns = "\n".join(secrets.values())
        for service, folder in (
            ("worker", "/opt/airflow/logs"),
            ("worker", "/var/lib/kreislauf"),
            ("mlflow", "/var/lib/mlflow"),
        ):
            found = deployment.inside(
                service, "sh", "-c", 'printf "%s\\n" "$1" | grep -rlFf - "$2" || true', "-", patterns, folder
            )
            assert found == "", f"{folder} of {service}"
            assert deployment.inside(service, "find", folder, "-type", "f", "-size", "+0") != ""


class TestRestore:
    def test_a_backup_comes_back_on_an_empty_host(
        self, deployment: Deployment, traffic: Traffic, key: str, figures: Figures, tmp_path: Path
    ) -> None:
        traffic.__exit__(None, None, None)
        before = _state(deployment)
        deployment.tool("backup", "--to", str(tmp_path))
        (saved,) = [one for one in tmp_path.iterdir() if one.is_dir()]
        deployment.compose("down", "-v", "-t", "5")
        assert (
            docker(
                "volume", "ls", "-q", "--filter", f"label=com.docker.compose.project={deployment.project}"
            ).stdout
            == ""
        )
        deployment.tool("restore", "--from", str(saved))
        deployment.tool("up", "--no-build", "--workers", "1", "--no-canary")
        deployment.login()
        after = _state(deployment)
        assert after == before
        wait_for("an answer", lambda: _value(deployment, key) == next(iter(traffic.values)), 60)
        figures["restore_ok"] = True


def _state(deployment: Deployment) -> dict[str, Any]:
    """What must be the same: history, releases, champions, and every file's hash."""
    tables = ("handovers", "releases", "live_releases", "cycles", "contracts", "api_keys")
    dumped = {
        table: sorted(deployment.inside("postgres", "pg_dump", "-U", "postgres", "-a", "-t", table, "--inserts", "kreislauf").splitlines())
        for table in tables
    }  # fmt: skip
    files = deployment.inside(
        "worker",
        "sh",
        "-c",
        "cd /var/lib/kreislauf && find . -type f ! -name deployment.json -exec sha256sum {} + | sort",
    )
    return {"tables": {name: [line for line in lines if line.startswith("INSERT")] for name, lines in dumped.items()},
            "files": files}  # fmt: skip


def _value(deployment: Deployment, key: str) -> float | None:
    answer = deployment.client.post(
        f"{deployment.service}/v1/{CANARY}/predictions",
        json={"as_of": "2026-11-28T00:00:00Z", "rows": [ROW]}, headers={"X-API-Key": key, "Authorization": ""},
    )  # fmt: skip
    return round(answer.json()["predictions"][0]["value"], 6) if answer.is_success else None


class TestRefused:
    """What `make up` refuses, with real volumes; nothing is changed by it."""

    def test_an_older_volume_wants_an_upgrade(self, deployment: Deployment, tmp_path: Path) -> None:
        old = json.loads(deployment.inside("worker", "cat", MARK))
        older = json.dumps({**old, "schema": "0001"})
        deployment.inside("worker", "sh", "-c", f"echo '{older}' > {MARK}")
        before = {one["Id"] for one in deployment.containers()}
        refused = deployment.tool("up", "--no-build", check=False)
        assert refused.returncode == 2
        assert "make upgrade" in refused.stdout + refused.stderr
        assert {one["Id"] for one in deployment.containers()} == before
        said = deployment.tool("upgrade", "--to", str(tmp_path), "--no-build", "--workers", "1")
        assert "canary passed" in said.stdout
        assert json.loads(deployment.inside("worker", "cat", MARK)) == old
        assert list(tmp_path.glob("*/manifest.json"))
        docker("image", "rm", *re.findall(r"kreislauf-\w+:before-\w+", said.stdout))

    def test_a_volume_of_a_wrong_owner(self, deployment: Deployment) -> None:
        deployment.compose("down", "-t", "5")
        volume = f"{deployment.project}_kreislauf"
        image = f"kreislauf-airflow:{deployment.variables['KREISLAUF_TAG']}"
        run = (
            "run",
            "--rm",
            "--user",
            "0",
            "--network",
            "none",
            "-v",
            f"{volume}:/v",
            "--entrypoint",
            "chown",
            image,
        )
        docker(*run, "12345:12345", "/v")
        refused = deployment.tool("up", "--no-build", check=False)
        assert refused.returncode == 2
        assert volume in refused.stdout + refused.stderr
        assert deployment.containers() == []
        docker(*run, "50000:0", "/v")

    def test_a_full_disk(self, deployment: Deployment) -> None:
        refused = deployment.tool("--min-free-gb", "100000", "up", "--no-build", check=False)
        assert refused.returncode == 2
        assert "100000" in refused.stdout + refused.stderr
        assert deployment.containers() == []
