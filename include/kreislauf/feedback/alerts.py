"""Alertmanager's webhook: which alerts ask for a loop, and what monitoring is told of them.

Format: https://prometheus.io/docs/alerting/latest/configuration/#webhook_config, version 4.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from include.kreislauf.handovers import MACHINE, OPENING

USE_CASE, LOOP = "kreislauf_use_case", "kreislauf_loop"
"""Labels of an alert that asks for a loop."""
MAX_ALERTS = 1000

Start = Callable[[str, dict[str, str]], bool]
"""Starts a run of the monitoring DAG by its id and its form; ``False``: there is such a run already."""


class _Sent(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Alert(_Sent):
    """One alert, as Alertmanager sends it."""

    status: Literal["firing", "resolved"]
    labels: dict[str, str]
    annotations: dict[str, str] = Field(default_factory=dict)
    starts_at: AwareDatetime = Field(alias="startsAt")
    fingerprint: str = Field(pattern=r"^[0-9a-zA-Z]{1,64}$", description="The same for the same labels.")

    @property
    def run_id(self) -> str:
        """Id of the run that it starts: the same however often the alert is sent, another one when it fires anew."""
        return f"alert__{self.fingerprint}__{self.starts_at:%Y%m%dT%H%M%S}"

    @property
    def reason(self) -> str:
        """Why the loop is raised, in a sentence."""
        name, said = self.labels.get("alertname", "alert"), self.annotations.get("summary", "")
        return f"alert {name} since {self.starts_at:%Y-%m-%d %H:%M}{': ' if said else ''}{said}"[:2000]


class AlertGroup(_Sent):
    """What one call of the webhook brings."""

    version: Literal["4"]
    alerts: tuple[Alert, ...] = Field(max_length=MAX_ALERTS)


class AlertAnswer(BaseModel):
    """What became of an alert."""

    fingerprint: str
    result: Literal["raised", "known", "ignored", "wrong"]
    run_id: str | None = None
    reason: str = ""


def take_alert(alert: Alert, use_cases: Collection[str], start: Start) -> AlertAnswer:
    """Start the run of monitoring that raises the loop an alert names.

    The loop is the machine's, not a person's: the governor holds it to the cool-down, and it overrides nothing.

    Parameters
    ----------
    use_cases: those with a signed contract.
    """
    if alert.status != "firing":
        return _answer(alert, "ignored", "it is over")
    missing = [name for name in (USE_CASE, LOOP) if not alert.labels.get(name)]
    if missing:
        return _answer(alert, "ignored", f"without the label {' and '.join(missing)}")
    use_case, loop = alert.labels[USE_CASE], alert.labels[LOOP].replace("->", "→")
    for label, value, allowed in ((USE_CASE, use_case, sorted(use_cases)), (LOOP, loop, OPENING)):
        if value not in allowed:
            names = ", ".join(allowed) or "(no use case has a signed contract)"
            return _answer(alert, "wrong", f"{label} is {value[:100]!r}; allowed: {names}")
    form = {"use_case": use_case, "loop": loop, "reason": alert.reason, "by": MACHINE}
    return _answer(alert, "raised" if start(alert.run_id, form) else "known", run_id=alert.run_id)


def _answer(
    alert: Alert, result: Literal["raised", "known", "ignored", "wrong"], reason: str = "", run_id: str | None = None
) -> AlertAnswer:  # fmt: skip
    return AlertAnswer(fingerprint=alert.fingerprint, result=result, reason=reason, run_id=run_id)
