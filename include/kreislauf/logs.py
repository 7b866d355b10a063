"""How processes outside Airflow's own log: lines for people, or one JSON object a line for a log aggregator."""

from __future__ import annotations

import json
import logging
import sys
import traceback
from datetime import UTC, datetime
from typing import TextIO

from include.kreislauf.settings import get_settings

FIELDS = ("use_case", "cycle")
"""What a log call may name in its ``extra``, as Airflow's own JSON logs carry what was bound."""


class JsonFormatter(logging.Formatter):
    """One JSON object a line, with the names of Airflow's JSON logs: timestamp, level, logger, event."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        found: dict[str, str] = {
            "timestamp": datetime.fromtimestamp(record.created, UTC).isoformat(),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage(),
        }
        found |= {name: str(record.__dict__[name]) for name in FIELDS if record.__dict__.get(name)}
        if record.exc_info and record.exc_info[0]:
            found["exception"] = "".join(traceback.format_exception(*record.exc_info)).rstrip()
        return json.dumps(found, ensure_ascii=False)


def set_up(
    text_format: str = "%(asctime)s %(levelname)s %(name)s %(message)s", stream: TextIO | None = None
) -> None:
    """Log to a stream, as ``KREISLAUF_LOG_FORMAT`` says; a process that has set up logging already keeps it.

    Parameters
    ----------
    text_format: of lines for people.
    stream: default: standard error.
    """
    handler = logging.StreamHandler(stream or sys.stderr)
    as_json = get_settings().log_format == "json"
    handler.setFormatter(JsonFormatter() if as_json else logging.Formatter(text_format))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
