"""A server of simulated sources that fails as real ones do: where, how and how often a test says."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, cast

from include.kreislauf.simulation.answers import Answer
from include.kreislauf.simulation.server import SourceHandler, WorldServer
from include.kreislauf.simulation.sources import SimulatedSources

Kind = Literal["status", "hang", "truncate", "corrupt", "drop"]
_TAIL = 8
"""Bytes at the end of a gzip file that hold its check sum and length."""


@dataclass
class Fault:
    """What goes wrong for requests whose path and query match.

    Parameters
    ----------
    pattern: regular expression, looked for in the path with its query.
    kind: ``status`` answers with ``status``; ``hang`` answers nothing until the server is stopped; ``truncate`` ends
        the connection in the middle of the body; ``corrupt`` falsifies the check sum of a gzip file; ``drop`` ends
        the connection before an answer.
    times: how often; afterwards all is well.
    retry_after: value of that header, with ``status``.
    """

    pattern: str
    kind: Kind
    times: int = 1
    status: int = 500
    retry_after: str = ""


class _FaultyHandler(SourceHandler):
    def send_answer(self, answer: Answer) -> None:
        server = cast("FaultyServer", self.server)
        server.requests.append(self.path)
        fault = server.next_fault(self.path)
        if fault is None:
            super().send_answer(answer)
        elif fault.kind == "status":
            headers = {"Retry-After": fault.retry_after} if fault.retry_after else {}
            super().send_answer(Answer(fault.status, b'{"error": "on purpose"}', headers))
        elif fault.kind == "corrupt":
            body = answer.body[:-_TAIL] + bytes(byte ^ 0xFF for byte in answer.body[-_TAIL:])
            super().send_answer(Answer(answer.status, body, answer.headers))
        else:
            self._break(answer, fault)

    def _break(self, answer: Answer, fault: Fault) -> None:
        self.close_connection = True
        if fault.kind == "hang":
            cast("FaultyServer", self.server).stopped.wait(timeout=60)
        elif fault.kind == "truncate":
            self.send_response(answer.status)
            self.send_header("Content-Length", str(len(answer.body)))
            self.end_headers()
            self.wfile.write(answer.body[: len(answer.body) // 2])


class FaultyServer(WorldServer):
    """Serves simulated sources, with faults.

    Parameters
    ----------
    faults: the first that matches and is not used up decides.
    requests: paths with queries, in the order of the answers.
    """

    handler = _FaultyHandler

    def __init__(self, sources: SimulatedSources, faults: Iterable[Fault] = ()) -> None:
        super().__init__(sources)
        self.faults = list(faults)
        self.requests: list[str] = []
        self.stopped = threading.Event()
        self._lock = threading.Lock()

    def next_fault(self, path: str) -> Fault | None:
        """The fault of this request, which is then used up once."""
        with self._lock:
            for fault in self.faults:
                if fault.times > 0 and re.search(fault.pattern, path):
                    fault.times -= 1
                    return fault
        return None

    def shutdown(self) -> None:
        """Stop, and let go of who was left hanging."""
        self.stopped.set()
        super().shutdown()
