"""Connections that go only to checked addresses, and that end when the time of their request is over."""

from __future__ import annotations

import ipaddress
import socket
import ssl
import time
from collections.abc import Callable, Iterable
from contextvars import ContextVar
from typing import Any

import httpcore

from include.kreislauf.collection.access_rules import HOSTS, AccessRules
from include.kreislauf.errors import SourceError

NAT64 = ipaddress.ip_network("64:ff9b::/96")
Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class Deadline:
    """The time that one request has, with all that belongs to it.

    Parameters
    ----------
    sleep: may return at once (in a test): its seconds count as slept.
    """

    def __init__(self, seconds: float, sleep: Callable[[float], None]) -> None:
        self._sleep, self._end = sleep, time.monotonic() + seconds

    def left(self) -> float:
        """Seconds that remain; not positive once it is over."""
        return self._end - time.monotonic()

    def pause(self, seconds: float) -> None:
        """Sleep."""
        before = time.monotonic()
        self._sleep(seconds)
        self._end -= max(0.0, seconds - (time.monotonic() - before))


DEADLINE: ContextVar[Deadline] = ContextVar("DEADLINE")
"""Of the request that this thread is at; connections outlive requests."""


class CheckedBackend(httpcore.NetworkBackend):
    """Resolves a name, checks every address, and connects to an address that was checked.

    A name that resolves otherwise the next time (DNS rebinding) gains nothing: it is not asked again in between.
    """

    def __init__(self, rules: AccessRules) -> None:
        self._rules, self._sockets = rules, httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        """A connection to the first address that answers.

        Raises
        ------
        SourceError: one of the addresses is private, and the deployment does not permit that.
        httpcore.ConnectError, httpcore.ConnectTimeout: none answers.
        """
        failed: Exception = httpcore.ConnectError(f"{host} has no address")
        for address in self._addresses(host, port):
            try:
                stream = self._sockets.connect_tcp(
                    address, port, within(timeout), local_address, socket_options or ()
                )
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failed = error
            else:
                return TimedStream(stream)
        raise failed

    def _addresses(self, host: str, port: int) -> list[str]:
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            raise httpcore.ConnectError(f"{host} cannot be resolved ({error})") from error
        addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
        if not self._rules.permits_private(host, port):
            for address in addresses:
                if not is_public(address):
                    raise SourceError(
                        f"{host} has the private address {address}", where=host, allowed="public addresses",
                        next_step=f"have the deployment list it with scheme and port in {HOSTS}",
                    )  # fmt: skip
        return addresses


class TimedStream(httpcore.NetworkStream):
    """A connection whose every wait ends with the request's time, so that no server can hold it by trickling."""

    def __init__(self, stream: httpcore.NetworkStream) -> None:
        self._stream = stream

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """The next bytes."""
        return self._stream.read(max_bytes, within(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Send bytes."""
        self._stream.write(buffer, within(timeout))

    def close(self) -> None:
        """Close the connection."""
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        """The same connection, encrypted; the certificate must be the host's, whatever address it has.

        Raises
        ------
        SourceError: it is not.
        """
        try:
            return TimedStream(self._stream.start_tls(ssl_context, server_hostname, within(timeout)))
        except httpcore.ConnectError as error:
            if not isinstance(error.__cause__, ssl.SSLCertVerificationError):
                raise
            raise SourceError(
                f"the server's certificate is not trusted ({error.__cause__.verify_message})",
                where=server_hostname or "", next_step="correct the URL, or let SSL_CERT_FILE name the authority",
            ) from error  # fmt: skip

    def get_extra_info(self, info: str) -> Any:
        """What httpcore asks of a connection."""
        return self._stream.get_extra_info(info)


def within(timeout: float | None) -> float:
    """A time-out, no longer than the request's time.

    Raises
    ------
    httpcore.ReadTimeout: the time is over.
    """
    left = DEADLINE.get().left()
    if left <= 0:
        raise httpcore.ReadTimeout("the time for the request is over")
    return left if timeout is None else min(timeout, left)


def is_public(text: str) -> bool:
    """Whether an address is one of the Internet's, also where it is an IPv4 address in the clothes of IPv6."""
    address = ipaddress.ip_address(text.split("%")[0])
    return all(one.is_global and not one.is_multicast for one in (address, *_inner(address)))


def _inner(address: Address) -> list[Address]:
    if isinstance(address, ipaddress.IPv4Address):
        return []
    teredo = address.teredo or ()
    nat64 = [ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)] if address in NAT64 else []
    return [one for one in (address.ipv4_mapped, address.sixtofour, *teredo, *nat64) if one is not None]
