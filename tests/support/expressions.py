"""Runs every expression of every dashboard and alert rule against a Prometheus server.

``python -m tests.support.expressions http://localhost:9090`` prints what is wrong, and ends with 1 if anything is.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import httpx
import yaml

from include.kreislauf.settings import ROOT

OBSERVABILITY = ROOT / "include" / "observability"
DASHBOARDS = sorted((OBSERVABILITY / "grafana" / "dashboards").glob("*.json"))
RULES = sorted((OBSERVABILITY / "prometheus" / "rules").glob("*.yml"))
VARIABLES = {
    "$__rate_interval": "1m",
    "$__range": "1h",
    "$__interval": "15s",
    "$use_case": ".*",
    "$dag": ".*",
}
SELECTOR = re.compile(r"\b(?:kreislauf|airflow|statsd_exporter|process|prometheus|scrape)_\w+(?:\{[^}]*\})?|\bup(?:\{[^}]*\})?|\bALERTS(?:\{[^}]*\})?")  # fmt: skip

ALWAYS_MAY_MISS = {
    "ALERTS": "nothing fires",
    "statsd_exporter_events_error_total": "Airflow sends nothing that makes no sense",
    "kreislauf_store_schema_info{current=\"no\"}": "the schema is the right one",
}  # fmt: skip
"""What a running system need not have, and why; a selector with these words in it."""
MAY_MISS = ALWAYS_MAY_MISS | {
    "kreislauf_active_cycle_": "no cycle is at work",
    "kreislauf_message_waiting_": "nothing waits for its receiver",
    "kreislauf_question_waiting_": "nobody is asked",
    "kreislauf_challenger": "no release is tried",
    "kreislauf_live_release_since": "nothing is live yet",
    "kreislauf_live_release_info": "nothing is live yet",
    "kreislauf_live_release{": "nothing is live yet",
    "kreislauf_outcomes_maturing": "no metric of a contract has maturity_days",
    "kreislauf_loops_reasons_total": "no loop was decided",
    '(kreislauf_loops_decided_total{use_case=~".*"}) > 0': "no loop was decided",
    "kreislauf_newest_verdict_": "nothing was judged yet",
    "kreislauf_handover_latency_": "nothing was handed over in 24 hours",
    "kreislauf_business_metric": "nothing was judged yet",
    "kreislauf_signal": "no signal was measured yet",
    "kreislauf_stranded_messages": "nothing is live yet",
    "kreislauf_last_check_": "nothing was judged yet",
    "kreislauf_predictions_total": "nobody has asked yet",
    "kreislauf_novel_predictions_total": "nobody has asked yet",
    "kreislauf_request_seconds_bucket": "nobody has asked for predictions yet",
    "kreislauf_outcomes_total": "nobody has sent outcomes",
    "kreislauf_reports_total": "nobody has sent reports",
    "kreislauf_shadow_requests_total": "no release was tried",
    "kreislauf_refused_total": "every request had a good key",
    "kreislauf_limited_total": "nobody sent too much",
    "kreislauf_release_load_failures_total": "every release was loaded",
    'status=~"5.."': "no request failed",
    'airflow_tasks_finished_total{dag_id=~".*", state="failed"}': "no task failed",
    'airflow_tasks_finished_total{state="failed"}': "no task failed",
    "airflow_tasks_heartbeat_lost_total": "no worker fell silent",
    "airflow_tasks_killed_externally_total": "no task was killed",
    "airflow_orphaned_tasks_": "no scheduler died",
    "airflow_pool_starving_tasks": "every task found a slot",
    "airflow_dag_run_seconds_bucket": "no run has ended",
    "airflow_asset_triggered_dag_runs_total": "no event has started a run",
    "airflow_task_instances_created_total": "no run has begun",
    "airflow_triggerer_heartbeats_total": "there is no triggerer",
    "airflow_executor_": "the executor tells it when it next looks",
    "airflow_tasks": "no task has run since the exporter began",
    "airflow_task_seconds_bucket": "no task has run since the exporter began",
    "airflow_task_queued_seconds_bucket": "no task has run since the exporter began",
    "airflow_asset_updates_total": "no event was sent since the exporter began",
}
"""Likewise, of one that has only just begun."""


@dataclass(frozen=True)
class Expression:
    """One expression, with Grafana's variables replaced.

    Parameters
    ----------
    where: dashboard and panel, or the rule.
    is_alert: whether it is well when it finds nothing.
    """

    where: str
    text: str
    is_alert: bool = False


def check_expressions(url: str, may_miss: Mapping[str, str] = MAY_MISS) -> list[str]:
    """What is wrong with the expressions on a running server.

    Each must be understood, each of its selectors must find something, and so must a panel's whole expression; but for
    what ``may_miss`` lists.

    Parameters
    ----------
    url: of Prometheus, such as ``http://localhost:9090``.
    may_miss: part of a selector -> why it may find nothing.

    Returns
    -------
    One line per problem.
    """
    problems = []
    with httpx.Client(base_url=url, trust_env=False, timeout=30) as client:
        for one in expressions():
            found = _ask(client, one.text)
            if isinstance(found, str):
                problems.append(f"{one.where}: {found}: {one.text}")
                continue
            missing = [selector for selector in selectors(one.text) if not _ask(client, selector)]
            problems += [
                f"{one.where}: nothing is found by {selector}"
                for selector in missing
                if not _may(selector, may_miss)
            ]
            if not found and not missing and not one.is_alert and not _may(one.text, may_miss):
                problems.append(f"{one.where}: nothing is found by {one.text}")
    return problems


def expressions() -> Iterator[Expression]:
    """Every expression of the dashboards, their variables and annotations, and of the rules."""
    for path in DASHBOARDS:
        board = json.loads(path.read_text())
        for panel in board["panels"]:
            for target in panel.get("targets", ()):
                yield Expression(f"{board['title']}, {panel['title']}", replaced(target["expr"]))
        for note in board["annotations"]["list"]:
            if "expr" in note:
                yield Expression(f"{board['title']}, annotation {note['name']}", replaced(note["expr"]))
        for variable in board["templating"]["list"]:
            if label_values := re.fullmatch(r"label_values\((.*), \w+\)", variable.get("definition", "")):
                yield Expression(f"{board['title']}, variable {variable['name']}", label_values[1])
    for path in RULES:
        for group in yaml.safe_load(path.read_text())["groups"]:
            for rule in group["rules"]:
                yield Expression(f"alert {rule['alert']}", rule["expr"], is_alert=True)


def replaced(text: str) -> str:
    """An expression as Grafana would send it."""
    for name, value in VARIABLES.items():
        text = text.replace(name, value)
    assert "$" not in text, text
    return text


def selectors(text: str) -> list[str]:
    """The metrics that an expression reads, with their matchers."""
    return list(dict.fromkeys(SELECTOR.findall(re.sub(r"\b(?:by|on) \([^)]*\)", "", text))))


def _ask(client: httpx.Client, expression: str) -> list[Any] | str:
    answer = client.post("/api/v1/query", data={"query": expression}).json()
    if answer["status"] != "success":
        return str(answer["error"])
    found: list[Any] = answer["data"]["result"]
    return found


def _may(text: str, may_miss: Mapping[str, str]) -> bool:
    return any(part in text for part in may_miss)


def main(arguments: list[str]) -> int:
    """Print the problems that a server has."""
    problems = check_expressions(arguments[0])
    for problem in problems:
        print(problem)
    return bool(problems)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
