"""The route that Alertmanager's webhook calls: an alert raises the loop that its labels name."""

from __future__ import annotations

from fastapi import APIRouter, Response, status

from include.kreislauf.feedback.alerts import AlertAnswer, AlertGroup, Start, take_alert
from include.kreislauf.store import contracts
from include.kreislauf.store.database import get_store


def alert_routes(start: Start) -> APIRouter:
    """The route, which starts runs of the monitoring DAG by ``start``."""
    alerts = APIRouter(prefix="/api")

    @alerts.post("/alerts")
    def take_alerts(group: AlertGroup, response: Response) -> list[AlertAnswer]:
        """What became of each alert. 422 when the labels of one are wrong: the others were taken all the same."""
        with get_store().require().read() as db:
            known = contracts.signed_use_cases(db)
        answers = [take_alert(one, known, start) for one in group.alerts]
        if any(one.result == "wrong" for one in answers):
            response.status_code = status.HTTP_422_UNPROCESSABLE_CONTENT
        return answers

    return alerts
