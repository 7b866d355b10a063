"""Registers the workflow page with Airflow: a navigation entry, and the app that serves the page and its data."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from airflow.plugins_manager import AirflowPlugin

PREFIX = "/kreislauf"


class KreislaufPlugin(AirflowPlugin):
    """The page "Kreislauf" in Airflow's navigation."""

    name = "kreislauf"
    # No slash at the beginning: Airflow may itself live below a path.
    external_views = [  # noqa: RUF012 - Airflow's form
        {
            "name": "Kreislauf",
            "href": "kreislauf/",
            "url_route": "kreislauf",
            "destination": "nav",
            "nav_top_level": True,
            "icon": "kreislauf/static/icon.svg",
            "icon_dark_mode": "kreislauf/static/icon_dark.svg",
        }
    ]

    @cached_property
    def fastapi_apps(self) -> list[dict[str, Any]]:  # type: ignore[override]
        """The app, made when the API server asks: every task loads this plugin too, and has no use for FastAPI."""
        from plugins.workflow_page.api import make_app
        from plugins.workflow_page.guards import may_see_website, may_see_workflow, may_start_monitoring
        from plugins.workflow_page.runs import start_monitoring

        app = make_app(
            page_guard=may_see_website,
            data_guard=may_see_workflow,
            alert_guard=may_start_monitoring,
            start=start_monitoring,
        )
        return [{"name": "Kreislauf workflow page", "app": app, "url_prefix": PREFIX}]
