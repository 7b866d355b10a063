"""What one request gives the prediction log, and how it looks in the spool."""

from __future__ import annotations

from asyncio import Future
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import Connection

from include.kreislauf.store import log_writer
from include.kreislauf.store.log_records import LoggedOutcome, LoggedPrediction, LoggedReport, LoggedShadow
from include.kreislauf.store.log_writer import OutcomeAnswer

_encode = msgspec.json.Encoder().encode


class Observed(NamedTuple):
    """What really happened to something that was predicted: a number, of classes a position."""

    prediction_id: str
    value: float
    observed_at: datetime


class Records(NamedTuple):
    """Records of one request, or of several; all of them become durable together."""

    predictions: Sequence[LoggedPrediction] = ()
    shadows: Sequence[LoggedShadow] = ()
    outcomes: Sequence[LoggedOutcome] = ()
    reports: Sequence[LoggedReport] = ()

    @property
    def size(self) -> int:
        """Number of records."""
        return sum(map(len, self))


@dataclass(slots=True, eq=False)
class Entry:
    """A request that waits until its records are durable.

    Parameters
    ----------
    done: gets the answers to outcomes or reports, in their order.
    """

    records: Records
    done: Future[list[OutcomeAnswer]]


def write(
    db: Connection, found: Sequence[Records]
) -> list[list[OutcomeAnswer] | log_writer.WrongMetricError]:
    """Write records in the transaction of the caller; returns per item the answers to its outcomes or reports.

    Predictions come first: an outcome may have been sent in the same moment.
    """
    log_writer.write_predictions(db, [row for one in found for row in one.predictions])
    log_writer.write_shadows(db, [row for one in found for row in one.shadows])
    sent = [row for one in found for row in one.outcomes]
    answers = iter(log_writer.write_outcomes(db, sent) if sent else ())
    return [
        _reported(db, one.reports) if one.reports else [next(answers) for _ in one.outcomes] for one in found
    ]


def _reported(
    db: Connection, rows: Sequence[LoggedReport]
) -> list[OutcomeAnswer] | log_writer.WrongMetricError:
    try:
        return log_writer.write_reports(db, rows)
    except log_writer.WrongMetricError as error:
        return error


def encode(records: Records) -> bytes:
    """Records as JSON."""
    return _encode(records)


def decode(text: bytes) -> Records:
    """Records that :func:`encode` wrote.

    Raises
    ------
    msgspec.DecodeError: they are something else.
    """
    found: Records = _decoder.decode(text)
    return found


def marker(use_case: str, prediction_id: str) -> bytes:
    """What is found in an encoded prediction, and in no encoded outcome."""
    return _encode((prediction_id, use_case))[:-1] + b","


_decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(Records)
