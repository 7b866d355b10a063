"""The command ``canary`` against an Airflow that a test plays; the real one answers in tests/ring."""

from __future__ import annotations

from typing import Any

import pytest

from include.kreislauf import cli_canary
from include.kreislauf.canary.diagnosis import PARTS
from include.kreislauf.canary.watching import CanaryError
from include.kreislauf.cli import main
from include.kreislauf.cli_canary import _Run
from include.kreislauf.embedded.transport import AirflowApiError
from include.kreislauf.settings import CANARY

AT = "2026-01-01T00:00:00Z"


class Airflow:
    """Shows one state of the canary's run after the other; the last one stays.

    Parameters
    ----------
    states: of the run and of the task that asks the service.
    xcoms: what tasks have told, by task and key.
    status: with which a start is refused, at first so often.
    """

    def __init__(
        self, *states: tuple[str, str], xcoms: Any = (), refused: int = 0, status: int = 404
    ) -> None:
        self.states, self.xcoms = list(states), dict(xcoms)
        self.refused, self.status, self.triggered = refused, status, 0

    def trigger(self, dag_id: str, **_: Any) -> dict[str, Any]:
        self.triggered += 1
        if self.triggered <= self.refused:
            raise AirflowApiError("no", status=self.status)
        return {"dag_run_id": "run1", "run_after": AT}

    def run(self, dag_id: str, run_id: str) -> dict[str, Any]:
        state = self.states[0][0]
        if len(self.states) > 1:
            self.states.pop(0)
        return {"state": state, "dag_run_id": run_id}

    def runs(self, dag_id: str = "~", *, limit: int = 0) -> list[dict[str, Any]]:
        one = {"dag_run_id": "canary__run1", "run_after": AT, "partition_key": None, "state": "success"}
        own = {"dag_run_id": "x", "run_after": AT, "partition_key": f"{CANARY}|c1", "state": "running"}
        return [{**own, "dag_id": "data_engineering"}, {**one, "dag_id": "requirements"}]

    def task_instances(self, dag_id: str, run_id: str) -> list[dict[str, Any]]:
        start = {"task_id": "start", "state": "success", "start_date": AT, "map_index": -1}
        return [start, {**start, "task_id": "ask_the_service", "state": self.states[0][1]}]

    def xcom(self, dag_id: str, run_id: str, task_id: str, key: str = "return_value") -> Any:
        return self.xcoms.get((task_id, key))

    def health(self) -> dict[str, Any]:
        return {part: {"status": "healthy"} for part in PARTS if part != "triggerer"}

    def import_errors(self) -> list[dict[str, Any]]:
        return []


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli_canary, "PAUSE", 0.001)


def asked(airflow: Airflow, wait: float = 60.0) -> str:
    return _Run(airflow, wait).result()  # type: ignore[arg-type]


def test_shows_each_step_once_and_gives_the_line(capsys: pytest.CaptureFixture[str]) -> None:
    xcoms = {("ask_the_service", "return_value"): "canary passed in 3 s"}
    airflow = Airflow(("running", ""), ("running", ""), ("running", "success"), xcoms=xcoms)
    assert asked(airflow) == "canary passed in 3 s"
    steps = [line.partition(" s  ")[2] for line in capsys.readouterr().err.splitlines()]
    assert steps == ["start: success", "requirements: success", "ask_the_service: success"]


@pytest.mark.parametrize("task", ["wait_for_the_ring", "ask_the_service"])
def test_what_the_canary_says_of_its_failure_is_what_is_told(task: str) -> None:
    xcoms = {(task, "fault"): "training: no disk; next: free some"}
    with pytest.raises(CanaryError, match=r"^training: no disk; next: free some$"):
        asked(Airflow(("running", ""), ("failed", ""), xcoms=xcoms))


def test_a_failure_without_a_word_and_one_that_does_not_end_are_looked_into() -> None:
    for airflow, wait in ((Airflow(("failed", "")), 60.0), (Airflow(("running", "")), 0.01)):
        with pytest.raises(CanaryError, match=r"^airflow: Airflow misses triggerer; next: "):
            asked(airflow, wait)


def test_a_dag_that_is_not_parsed_yet_is_waited_for() -> None:
    xcoms = {("ask_the_service", "return_value"): "passed"}
    airflow = Airflow(("success", "success"), xcoms=xcoms, refused=2)
    assert (asked(airflow), airflow.triggered) == ("passed", 3)
    with pytest.raises(CanaryError, match="there is no DAG canary; next: set KREISLAUF_CANARY=true"):
        asked(Airflow(refused=10**9), 0.01)


def test_a_start_that_is_forbidden_is_not_tried_again() -> None:
    airflow = Airflow(refused=1, status=403)
    with pytest.raises(AirflowApiError):
        asked(airflow)
    assert airflow.triggered == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--airflow", "nowhere"], "'nowhere' is no address; allowed: http://host:port"),
        (["--airflow", "http://x:1", "--wait", "0"], "'0' is no number of seconds; allowed: above 0, up to 3600"),
    ],
)  # fmt: skip
def test_options_say_what_is_allowed(
    capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    with pytest.raises(SystemExit):
        main(["canary", *arguments])
    assert said in capsys.readouterr().err


def test_without_a_password_it_says_which_variable(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("KREISLAUF_AIRFLOW_PASSWORD", raising=False)
    assert main(["canary", "--airflow", "http://127.0.0.1:1"]) == 1
    assert "KREISLAUF_AIRFLOW_PASSWORD: no password for Airflow" in capsys.readouterr().err
