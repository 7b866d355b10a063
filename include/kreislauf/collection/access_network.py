"""HTTP requests to servers that cannot be trusted: checked at every hop, retried, bounded in time and in size."""

from __future__ import annotations

import io
import logging
import zlib
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import BinaryIO

import httpcore
import httpx
from tenacity import RetryCallState, Retrying, retry_if_exception_type, wait_random_exponential

from include.kreislauf import __version__
from include.kreislauf.collection.access_answer import Answer, NotThere
from include.kreislauf.collection.access_rules import AccessRules
from include.kreislauf.collection.access_secrets import is_key
from include.kreislauf.collection.access_wire import DEADLINE, CheckedBackend, Deadline
from include.kreislauf.errors import SourceError

log = logging.getLogger(__name__)

TOLD_FROM_SECONDS = 2.0
MISSING = (404, 410)
REDIRECTS = (301, 302, 303, 307, 308)
BUSY = (408, 429)
CARRIED = ("accept", "accept-encoding", "user-agent", "if-none-match", "if-modified-since")
"""Headers that another host may see after a redirect; all others may be keys."""
MAX_BACKOFF = 60.0
BLOCK = 64 * 1024
SHOWN_BYTES = 200
_BACKOFF = wait_random_exponential(multiplier=1, max=MAX_BACKOFF)


class Again(Exception):
    """The request failed in a way that may pass.

    Parameters
    ----------
    after: seconds that the server asks to wait.
    """

    def __init__(self, what: str, after: float = 0.0) -> None:
        self.what, self.after = what, after
        super().__init__(what)


@dataclass(frozen=True)
class Ask:
    """One request.

    Parameters
    ----------
    accept: statuses that are answers.
    max_bytes: size of the decompressed body.
    packed: the body is left as it is, even where the server calls its compression a matter of transport.
    """

    url: httpx.URL
    headers: Mapping[str, str]
    accept: Collection[int]
    max_bytes: int
    packed: bool = False


class Network:
    """Sends requests.

    Parameters
    ----------
    hide: takes keys out of texts that are shown.
    """

    def __init__(
        self, rules: AccessRules, sleep: Callable[[float], None], hide: Callable[[str], str]
    ) -> None:
        self._rules, self._sleep, self._hide = rules, sleep, hide
        self._pool = httpcore.ConnectionPool(
            ssl_context=httpx.create_ssl_context(), max_connections=8, keepalive_expiry=5.0,
            network_backend=CheckedBackend(rules),
        )  # fmt: skip

    def close(self) -> None:
        """Close the connections."""
        self._pool.close()

    def get(
        self, url: str, params: Mapping[str, str | int], headers: Mapping[str, str], accept: Collection[int],
        max_bytes: int,
    ) -> Answer:  # fmt: skip
        """The whole answer, in memory."""
        body = io.BytesIO()
        answer = self._send(Ask(self._parse(url, params), headers, accept, max_bytes), body)
        return Answer(answer.url, answer.status, answer.headers, body.getvalue())

    def download(self, url: str, file: BinaryIO) -> None:
        """A file, whole, from its first byte to its last."""
        address = self._parse(url, {})
        headers = {"accept-encoding": "identity"}
        self._send(
            Ask(address, headers, (200,), self._rules.max_file_bytes, packed=address.path.endswith(".gz")),
            file,
        )

    def _parse(self, url: str, params: Mapping[str, str | int]) -> httpx.URL:
        try:
            address = httpx.URL(url)
            address = address.copy_merge_params(dict(params)) if params else address
        except (httpx.InvalidURL, ValueError) as error:
            raise SourceError(f"is not a URL ({error})", where=self._hide(url)) from None
        if address.userinfo:
            raise SourceError(
                "a URL must not carry a password",
                where=self._hide(url),
                next_step="use a secret of the installation",
            )
        return address

    def _send(self, ask: Ask, body: BinaryIO) -> Answer:
        deadline, where = Deadline(self._rules.deadline, self._sleep), self._hide(str(ask.url))
        token = DEADLINE.set(deadline)
        retrying = Retrying(
            retry=retry_if_exception_type(Again), wait=_wait, sleep=deadline.pause, reraise=True,
            stop=lambda state: state.upcoming_sleep >= deadline.left(),
            before_sleep=lambda state: self._tell(state, where),
        )  # fmt: skip
        try:
            return retrying(self._attempt, ask, body)
        except Again as error:
            raise SourceError(
                f"{self._hide(error.what)}; given up after {retrying.statistics['attempt_number']} attempts",
                where=where, allowed=f"{self._rules.deadline:g} s for a request (KREISLAUF_REQUEST_DEADLINE)",
                next_step="try again later; if it lasts, check the network, the name, and KREISLAUF_MIRRORS",
                transient=True,
            ) from None  # fmt: skip
        finally:
            DEADLINE.reset(token)

    def _tell(self, state: RetryCallState, where: str) -> None:
        """A line for who waits, once it takes longer than a moment."""
        error = state.outcome.exception() if state.outcome else None
        if isinstance(error, Again) and state.upcoming_sleep >= TOLD_FROM_SECONDS:
            log.warning("%s: %s; asked again in %.0f s", where, self._hide(error.what), state.upcoming_sleep)

    def _attempt(self, ask: Ask, body: BinaryIO) -> Answer:
        url = ask.url
        headers = {"accept-encoding": "gzip", "user-agent": f"kreislauf/{__version__}"}
        headers |= {name.lower(): value for name, value in ask.headers.items()}
        for _ in range(self._rules.max_redirects + 1):
            hop = self._rules.route(url, self._hide(str(url)))
            with self._response(hop, headers) as response:
                found = httpx.Headers(response.headers)
                if response.status in REDIRECTS and response.status not in ask.accept and "location" in found:
                    url, headers = self._next(ask, hop, found["location"], headers)
                    continue
                self._judge(ask, response, found, hop)
                body.seek(0)
                body.truncate()
                _copy(response, found, ask, body)
                return Answer(self._hide(str(hop)), response.status, found, b"")
        raise SourceError(
            f"redirected more than {self._rules.max_redirects} times", where=self._hide(str(ask.url))
        )

    @contextmanager
    def _response(self, url: httpx.URL, headers: Mapping[str, str]) -> Iterator[httpcore.Response]:
        """The answer's head; failures of the connection, also while the body is read, may pass."""
        times = {"connect": self._rules.connect_timeout, "read": self._rules.read_timeout}
        times |= {"write": self._rules.read_timeout, "pool": self._rules.deadline}
        try:
            with self._pool.stream(
                "GET", str(url), headers=list(headers.items()), extensions={"timeout": times}
            ) as response:
                yield response
        except httpcore.TimeoutException as error:
            raise Again(f"no answer in time ({_name(error)})") from None
        except (httpcore.NetworkError, httpcore.RemoteProtocolError) as error:
            raise Again(f"the connection failed ({_name(error)})") from None
        except (httpcore.LocalProtocolError, httpcore.UnsupportedProtocol) as error:
            raise SourceError(
                f"cannot be asked ({self._hide(_name(error))})", where=self._hide(str(url))
            ) from None

    def _next(
        self, ask: Ask, hop: httpx.URL, location: str, headers: dict[str, str]
    ) -> tuple[httpx.URL, dict[str, str]]:
        """Where a redirect leads; another host gets no key of ours, but may get one that the server made for it."""
        try:
            url = hop.join(location)
        except (httpx.InvalidURL, ValueError):
            raise SourceError("redirected to something that is no URL", where=self._hide(str(hop))) from None
        if (url.scheme, url.host, url.port) == (hop.scheme, hop.host, hop.port):
            return url, headers
        sent = (*ask.url.params.multi_items(), *hop.params.multi_items())
        ours = {value for name, value in sent if is_key(name)}
        for name in {name for name, value in url.params.multi_items() if value in ours}:
            url = url.copy_remove_param(name)
        return url, {name: value for name, value in headers.items() if name in CARRIED}

    def _judge(self, ask: Ask, response: httpcore.Response, headers: httpx.Headers, url: httpx.URL) -> None:
        """Let only answers pass."""
        status, where = response.status, self._hide(str(url))
        if status in ask.accept:
            return
        if status in MISSING:
            raise NotThere(f"does not exist (HTTP {status})", where=where)
        if status in BUSY or status >= 500:
            raise Again(f"HTTP {status}", _retry_after(headers))
        raise SourceError(
            f"refused with HTTP {status}: {self._hide(_beginning(response))}", where=where,
            next_step="correct the URL, the parameters or the key",
        )  # fmt: skip


def _wait(state: RetryCallState) -> float:
    """Exponential with full jitter, and at least as long as the server asks."""
    error = state.outcome.exception() if state.outcome else None
    return max(_BACKOFF(state), error.after if isinstance(error, Again) else 0.0)


def _retry_after(headers: httpx.Headers) -> float:
    """Seconds that the server asks to wait, given as seconds or as a date (RFC 9110, section 10.2.3)."""
    value = headers.get("retry-after", "").strip()
    if value.isdecimal():
        return float(value)
    try:
        until = parsedate_to_datetime(value)
        # the server's own clock, where it tells: ours may differ
        now = parsedate_to_datetime(headers["date"]) if "date" in headers else datetime.now(UTC)
        return max(0.0, (until.replace(tzinfo=UTC) - now.replace(tzinfo=UTC)).total_seconds())
    except (ValueError, TypeError):
        return 0.0


def _copy(response: httpcore.Response, headers: httpx.Headers, ask: Ask, body: BinaryIO) -> None:
    """The body, decompressed, up to the cap; what was declared longer is not begun."""
    encoding = "" if ask.packed else headers.get("content-encoding", "").lower()
    declared = headers.get("content-length", "0")
    if declared.isdecimal() and int(declared) > ask.max_bytes:
        raise _too_large(ask, f"{declared} bytes")
    blocks = response.iter_stream()
    if encoding in ("gzip", "x-gzip"):
        blocks = _decompressed(blocks)
    elif encoding not in ("", "identity"):
        raise SourceError(f"is compressed as {encoding!r}", where=ask.url.host, allowed="gzip, or not at all")
    size = 0
    for block in blocks:
        size += len(block)
        if size > ask.max_bytes:
            raise _too_large(ask, "more")
        body.write(block)


def _decompressed(blocks: Iterator[bytes]) -> Iterator[bytes]:
    """Small pieces, however much is packed into one block; members may follow each other."""
    inflate = zlib.decompressobj(wbits=31)
    begun = False
    try:
        for block in blocks:
            rest = block
            while rest:
                if inflate.eof:
                    inflate = zlib.decompressobj(wbits=31)
                begun = True
                yield inflate.decompress(rest, BLOCK)
                rest = inflate.unused_data if inflate.eof else inflate.unconsumed_tail
    except zlib.error as error:
        raise Again(f"the compressed answer is damaged ({error})") from None
    if begun and not inflate.eof:
        raise Again("the compressed answer is cut off")


def _beginning(response: httpcore.Response) -> str:
    """The first words of a refusal, where they are plain text."""
    headers = httpx.Headers(response.headers)
    block = next(iter(response.iter_stream()), b"")
    if headers.get("content-encoding", "").lower() in ("gzip", "x-gzip"):
        try:
            block = zlib.decompressobj(wbits=31).decompress(block, BLOCK)
        except zlib.error:
            block = b""
    return block[:SHOWN_BYTES].decode("utf-8", "replace")


def _too_large(ask: Ask, size: str) -> SourceError:
    return SourceError(
        f"the answer has {size}", where=ask.url.host + ask.url.path, allowed=f"at most {ask.max_bytes} bytes",
        next_step="ask for less at once",
    )  # fmt: skip


def _name(error: Exception) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
