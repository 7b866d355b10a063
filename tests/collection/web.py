"""A real HTTP server on the loopback, which answers (or fails) as a test says."""

from __future__ import annotations

import gzip
import json
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit


class Request(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    web: Web

    def do_GET(self) -> None:
        self.web.answer(self)

    def log_message(self, *_: Any) -> None:
        """Silent."""

    @property
    def query(self) -> dict[str, str]:
        return {name: values[0] for name, values in parse_qs(urlsplit(self.path).query).items()}


Answering = Callable[[Request], None]


class Web:
    """What each path answers, one answer after the other; the last one stays."""

    def __init__(self, scheme: str) -> None:
        self.scheme, self.port = scheme, 0
        self.requests: list[tuple[str, dict[str, str]]] = []
        self._answers: dict[str, list[Answering]] = {}

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}"

    @property
    def paths(self) -> list[str]:
        return [path for path, _ in self.requests]

    def on(self, path: str, *answers: Answering) -> str:
        self._answers[path] = list(answers)
        return self.url + path

    def answer(self, request: Request) -> None:
        self.requests.append((request.path, {name.lower(): value for name, value in request.headers.items()}))
        answers = self._answers.get(urlsplit(request.path).path, [reply(404)])
        (answers.pop(0) if len(answers) > 1 else answers[0])(request)


def reply(status: int = 200, body: bytes | str = b"", **headers: str) -> Answering:
    """A whole answer; names of headers with _ for -."""
    content = body.encode() if isinstance(body, str) else body

    def send(request: Request) -> None:
        request.send_response(status)
        fields = {name.replace("_", "-"): value for name, value in headers.items()}
        for name, value in ({"Content-Length": str(len(content))} | fields).items():
            request.send_header(name, value)
        request.end_headers()
        request.wfile.write(content)
        request.close_connection = fields.get("Content-Length", str(len(content))) != str(len(content))

    return send


def packed(content: Any, status: int = 200, **headers: str) -> Answering:
    """JSON, compressed as Stack Exchange does."""
    return reply(status, gzip.compress(json.dumps(content).encode()), Content_Encoding="gzip", **headers)


def trickle(head: bytes, drops: bytes, seconds: float) -> Answering:
    """One byte at a time."""

    def send(request: Request) -> None:
        request.close_connection = True
        try:
            request.wfile.write(head)
            for drop in drops:
                time.sleep(seconds)
                request.wfile.write(bytes([drop]))
        except OSError:
            pass

    return send


@contextmanager
def serving(context: ssl.SSLContext | None = None) -> Iterator[Web]:
    web = Web("https" if context else "http")
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (Request,), {"web": web}))
    server.handle_error = lambda *_: None  # type: ignore[method-assign]
    if context:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    web.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield web
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)
