"""The simulated sources behind a local HTTP server, for real connectors to collect from.

``python -m include.kreislauf.simulation.server --seed 3 --home FOLDER`` serves until it is stopped, and writes
``FOLDER/world.json`` with its address, the mirrors to set, and the seed. The world's time is read and set at
``/world/now``.
"""

from __future__ import annotations

import argparse
import json
import threading
from collections.abc import Sequence
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self, cast
from urllib.parse import parse_qsl, urlsplit

from include.kreislauf.simulation import SimulationError
from include.kreislauf.simulation.answers import Answer, json_answer
from include.kreislauf.simulation.sources import SimulatedSources
from include.kreislauf.simulation.technologies import simulate

HOST = "127.0.0.1"
NOW_PATH = "/world/now"
WORLD_FILE = "world.json"
_ROOTS = {
    "https://data.gharchive.org": "/gharchive",
    "https://api.github.com": "/github",
    "https://api.stackexchange.com": "/stackexchange",
    "https://hn.algolia.com": "/hackernews",
}
_MOST_POSTED_BYTES = 1000


def mirrors(url: str) -> dict[str, str]:
    """Base URL of each real source -> its place on a server of the simulated ones."""
    return {real: f"{url}{root}" for real, root in _ROOTS.items()}


class SourceHandler(BaseHTTPRequestHandler):
    """One connection, kept open for many requests as the real sources keep theirs."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1  # headers and body leave together
    timeout = 300

    def do_GET(self) -> None:
        """Answer a request for data or for the world's time."""
        self.send_answer(self._sources_answer())

    def do_POST(self) -> None:
        """Set the world's time."""
        self.send_answer(self._set_now())

    def send_answer(self, answer: Answer) -> None:
        """Write an answer; a client that went away is none of the server's business."""
        try:
            self.send_response(answer.status)
            for name, value in {**answer.headers, "Content-Length": str(len(answer.body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(answer.body)
            self.wfile.flush()
        except ConnectionError:
            self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Say nothing: a first collection asks a thousand times."""

    @property
    def _sources(self) -> SimulatedSources:
        return cast("WorldServer", self.server).sources

    def _sources_answer(self) -> Answer:
        parts = urlsplit(self.path)
        if parts.path == NOW_PATH:
            return _time(self._sources)
        headers = {name.lower(): value for name, value in self.headers.items()}
        return self._sources.answer(parts.path, dict(parse_qsl(parts.query)), headers)

    def _set_now(self) -> Answer:
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal() or int(length) > _MOST_POSTED_BYTES:
            self.close_connection = True
            return json_answer({"error": f"a body of at most {_MOST_POSTED_BYTES} bytes is expected"}, 400)
        body = self.rfile.read(int(length))
        if self.path != NOW_PATH:
            return json_answer({"error": f"only {NOW_PATH} can be set"}, 404)
        try:
            self._sources.now = datetime.fromisoformat(json.loads(body)["now"])
        except (ValueError, KeyError, TypeError, SimulationError) as error:
            return json_answer({"error": f'{error}; allowed: {{"now": "2016-01-01T00:00:00Z"}}'}, 400)
        return _time(self._sources)


class WorldServer(ThreadingHTTPServer):
    """Serves while it is entered, on this machine only.

    Parameters
    ----------
    sources: what is served.
    port: 0 takes a free one.
    """

    daemon_threads = True
    request_queue_size = 128
    handler: type[SourceHandler] = SourceHandler

    def __init__(self, sources: SimulatedSources, port: int = 0) -> None:
        self.sources = sources
        super().__init__((HOST, port), self.handler)

    @property
    def url(self) -> str:
        """Base URL, without a slash at its end."""
        return f"http://{HOST}:{self.server_port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.shutdown()
        self.server_close()


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve a world until the process is stopped."""
    parser = argparse.ArgumentParser(
        prog="python -m include.kreislauf.simulation.server", description=__doc__
    )
    parser.add_argument("--seed", type=int, default=0, help="seed of the world")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--home", type=Path, help=f"folder for {WORLD_FILE}")
    parser.add_argument("--now", type=datetime.fromisoformat, help="the world's time; by default its end")
    given = parser.parse_args(arguments)
    server = WorldServer(SimulatedSources(simulate(given.seed), given.now), given.port)
    if given.home:
        announce(server, given.home)
    print(f"the world of seed {given.seed} is served at {server.url}", flush=True)
    try:
        server.serve_forever(poll_interval=0.2)
    except KeyboardInterrupt:
        pass
    finally:
        server.server_close()


def announce(server: WorldServer, home: Path) -> Path:
    """Write where a server is; a reader sees the whole file or none."""
    home.mkdir(parents=True, exist_ok=True)
    content = {"url": server.url, "seed": server.sources.world.seed, "mirrors": mirrors(server.url)}
    part, target = home / f".{WORLD_FILE}.part", home / WORLD_FILE
    part.write_text(json.dumps(content, indent=2), encoding="utf-8")
    return part.replace(target)


def _time(sources: SimulatedSources) -> Answer:
    return json_answer({"now": f"{sources.now:%Y-%m-%dT%H:%M:%SZ}"})


if __name__ == "__main__":
    main()
