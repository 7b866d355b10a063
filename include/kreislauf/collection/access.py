"""How sources reach what is outside: servers, files, object stores, databases, and the secrets that these ask for."""

from __future__ import annotations

import os
import re
import tempfile
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, BinaryIO, Self

from include.kreislauf.collection.access_answer import Answer, NotThere
from include.kreislauf.collection.access_files import OBJECT_STORES, open_local, open_object, scheme_of
from include.kreislauf.collection.access_rules import AccessRules
from include.kreislauf.collection.access_secrets import Secrets
from include.kreislauf.errors import SourceError
from include.kreislauf.settings import Settings

if TYPE_CHECKING:
    from include.kreislauf.collection.access_network import Network

__all__ = ["Access", "AccessRules", "Answer", "NotThere", "connection_variable"]


def connection_variable(name: str) -> str:
    """The environment variable that gives a connection's SQLAlchemy URL."""
    return "KREISLAUF_CONNECTION_" + re.sub(r"[^A-Z0-9]", "_", name.upper())


class Access:
    """The only way out for a source.

    Parameters
    ----------
    rules: what the installation permits.
    connections: SQLAlchemy URL of a named connection, or nothing; Airflow's, in the DAG layer.
    sleep: waits some seconds.
    """

    def __init__(
        self,
        rules: AccessRules,
        *,
        connections: Callable[[str], str | None] | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.rules, self._connections, self._sleep = rules, connections, sleep
        self._secrets = Secrets()
        self._network: Network | None = None

    @classmethod
    def from_settings(
        cls, settings: Settings, connections: Callable[[str], str | None] | None = None
    ) -> Self:
        """As this installation permits.

        Raises
        ------
        SettingsError: a variable's value is not allowed.
        """
        return cls(AccessRules.from_settings(settings), connections=connections)

    def get(
        self,
        url: str,
        *,
        params: Mapping[str, str | int] | None = None,
        headers: Mapping[str, str] | None = None,
        accept: Collection[int] = (200,),
        max_bytes: int | None = None,
    ) -> Answer:
        """The answer to one HTTP request, whole.

        Redirects are followed, each hop checked as the first one was; another host gets no key. HTTP 429 and 5xx,
        time-outs and broken connections are tried again, as the server asks (Retry-After) or with growing pauses.

        Parameters
        ----------
        accept: statuses that are answers, such as 304.
        max_bytes: size of the decompressed body; default: the rules'.

        Raises
        ------
        NotThere: HTTP 404 or 410, unless accepted.
        SourceError: the server is not permitted, refuses, or answers too much; transient: the deadline is over.
        """
        limit = self.rules.max_bytes if max_bytes is None else max_bytes
        return self._http().get(url, params or {}, headers or {}, accept, limit)

    @contextmanager
    def open(self, url: str) -> Iterator[BinaryIO]:
        """A whole file or object as a stream of bytes, from a path, a ``file://``, http(s) or object-store URL.

        What a server sends is written to a temporary file first, so that no half file is ever parsed.

        Raises
        ------
        NotThere: it does not exist.
        SourceError: it cannot be had; transient where asking later can help.
        """
        address = self.resolve(url)
        with self._opened(address) as file:
            yield file

    def resolve(self, url: str) -> str:
        """The URL with ``{data}`` filled in.

        Raises
        ------
        SourceError: the URL uses ``{data}`` but the installation does not set it.
        """
        if "{data}" in url and not self.rules.data:
            raise SourceError(
                "uses {data}, but KREISLAUF_DATA is not set", where=url,
                next_step="set KREISLAUF_DATA to the folder or URL of the data",
            )  # fmt: skip
        return url.replace("{data}", self.rules.data.rstrip("/"))

    def secret(self, name: str) -> str:
        """``KREISLAUF_SECRET_<NAME>``, or what stands in the file that ``..._FILE`` names; empty: none is set."""
        return self._secrets.get(name)

    def hide(self, text: str) -> str:
        """A text without the secrets that were given out, and without keys in URLs."""
        return self._secrets.hide(text)

    def connection(self, name: str) -> str:
        """SQLAlchemy URL of a connection: Airflow's, or ``KREISLAUF_CONNECTION_<NAME>``.

        Raises
        ------
        SourceError: neither exists.
        """
        variable = connection_variable(name)
        if found := (self._connections(name) if self._connections else None) or os.environ.get(variable):
            return found
        raise SourceError(
            "no such connection", where=name,
            next_step=f"add it in Airflow (Admin, Connections), or set {variable} to a SQLAlchemy URL",
        )  # fmt: skip

    def wait(self, seconds: float) -> None:
        """Wait as a server asked between two requests.

        Raises
        ------
        SourceError: it asks for longer than a request may take (transient).
        """
        if seconds > self.rules.deadline:
            raise SourceError(
                f"the server asks to wait {seconds:g} s", allowed=f"{self.rules.deadline:g} s",
                next_step="try again later", transient=True,
            )  # fmt: skip
        self._sleep(seconds)

    def close(self) -> None:
        """Close the connections to servers."""
        if self._network is not None:
            self._network.close()
            self._network = None

    def _http(self) -> Network:
        if self._network is None:
            # what only reads local files spares the memory of an HTTP client
            from include.kreislauf.collection.access_network import Network

            self._network = Network(self.rules, self._sleep, self.hide)
        return self._network

    @contextmanager
    def _opened(self, address: str) -> Iterator[BinaryIO]:
        scheme = scheme_of(address)
        if scheme == "file":
            with open_local(address) as file:
                yield file
        elif scheme in OBJECT_STORES:
            with open_object(address, self.rules.max_file_bytes) as file:
                yield file
        elif scheme in ("http", "https"):
            with tempfile.TemporaryFile() as copy:
                self._http().download(address, copy)
                copy.seek(0)
                yield copy
        else:
            raise SourceError(
                f"{scheme}:// cannot be opened", where=self.hide(address),
                allowed=("a path", "file", "http", "https", *OBJECT_STORES),
            )  # fmt: skip
