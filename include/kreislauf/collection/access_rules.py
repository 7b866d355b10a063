"""Where an installation lets its sources go: permitted hosts, mirrors, limits. A use case cannot extend them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self
from urllib.parse import SplitResult, urlsplit

from include.kreislauf.errors import SettingsError, SourceError
from include.kreislauf.settings import Settings

if TYPE_CHECKING:
    import httpx

PORTS = {"http": 80, "https": 443}
HOSTS, MIRRORS = "KREISLAUF_ALLOWED_HOSTS", "KREISLAUF_MIRRORS"
MIB = 1024 * 1024


@dataclass(frozen=True)
class Place:
    """A server that may be asked.

    Parameters
    ----------
    private: whether it may have an address that cannot be reached from the Internet, such as 127.0.0.1.
    """

    scheme: str
    host: str
    port: int
    private: bool

    def __str__(self) -> str:
        return f"{self.scheme}://{self.host}:{self.port}" if self.private else self.host

    @classmethod
    def parse(cls, entry: str) -> Self:
        """A bare name means https at a public address; a scheme permits exactly that server, private or not.

        Raises
        ------
        SettingsError: it is neither.
        """
        named = "://" in entry
        parts = _split(entry if named else f"https://{entry}", HOSTS)
        if parts.path.strip("/") or parts.query or parts.fragment:
            raise _wrong(entry, HOSTS)
        return cls(parts.scheme, str(parts.hostname), _port(parts), private=named)


@dataclass(frozen=True)
class Mirror:
    """URLs that begin with ``base`` are asked for at ``target`` instead."""

    base: SplitResult
    target: SplitResult

    def apply(self, url: httpx.URL) -> httpx.URL | None:
        """The URL at the mirror; nothing for URLs of others."""
        if (url.scheme, url.host, url.port or PORTS.get(url.scheme)) != (
            self.base.scheme, self.base.hostname, _port(self.base),
        ):  # fmt: skip
            return None
        base = self.base.path.rstrip("/").encode()
        rest = url.raw_path[len(base) :]
        if not url.raw_path.startswith(base) or rest[:1] not in (b"", b"/", b"?"):
            return None
        return url.copy_with(
            scheme=self.target.scheme, host=self.target.hostname, port=self.target.port,
            raw_path=self.target.path.rstrip("/").encode() + rest,
        )  # fmt: skip


@dataclass(frozen=True)
class AccessRules:
    """What the installation permits.

    Parameters
    ----------
    places: servers that may be asked; the targets of mirrors are among them.
    data: what ``{data}`` in a URL stands for.
    deadline: seconds for one request, with its retries and redirects.
    connect_timeout, read_timeout: seconds for one connection, and for one wait for bytes.
    max_bytes, max_file_bytes: size of an answer, and of a file that is downloaded, decompressed.
    """

    places: frozenset[Place] = frozenset()
    mirrors: tuple[Mirror, ...] = ()
    data: str = ""
    deadline: float = 300.0
    connect_timeout: float = 10.0
    read_timeout: float = 30.0
    max_bytes: int = 64 * MIB
    max_file_bytes: int = 2048 * MIB
    max_redirects: int = 5

    @classmethod
    def of(
        cls, hosts: Iterable[str], mirrors: Mapping[str, str] | None = None, **limits: float | str
    ) -> Self:
        """Rules from the texts in which an installation writes them.

        Raises
        ------
        SettingsError: an entry is not a host, or a mirror not a pair of URLs.
        """
        found = tuple(
            Mirror(_split(base, MIRRORS), _split(target, MIRRORS)) for base, target in (mirrors or {}).items()
        )
        targets = {
            Place(one.target.scheme, str(one.target.hostname), _port(one.target), private=True)
            for one in found
        }
        places = {Place.parse(entry.strip()) for entry in hosts if entry.strip()}
        return cls(frozenset(places | targets), found, **limits)  # type: ignore[arg-type]

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """The rules of this installation.

        Raises
        ------
        SettingsError: a variable's value is not allowed; names the variable.
        """
        return cls.of(
            settings.allowed_hosts.split(","), _mirrors(settings.mirrors),
            data=settings.data, deadline=settings.request_deadline,
        )  # fmt: skip

    def route(self, url: httpx.URL, shown: str) -> httpx.URL:
        """Where a URL is really asked for: at its mirror, or at itself, if that is permitted.

        Raises
        ------
        SourceError: the host is not permitted, or not with this scheme and port.
        """
        for mirror in self.mirrors:
            if (mirrored := mirror.apply(url)) is not None:
                return mirrored
        if not any(self._is(place, url) for place in self.places):
            raise SourceError(
                f"{url.scheme}://{url.host}{f':{url.port}' if url.port else ''} is not a permitted server", where=shown,
                allowed=sorted(map(str, self.places)) or "none",
                next_step=f"correct the URL, or have the deployment add the host to {HOSTS}",
            )  # fmt: skip
        return url

    def permits_private(self, host: str, port: int) -> bool:
        """Whether a server may have a private address."""
        return any(place.private and (place.host, place.port) == (host, port) for place in self.places)

    def _is(self, place: Place, url: httpx.URL) -> bool:
        port = url.port or PORTS.get(url.scheme)
        return (place.scheme, place.host, place.port) == (url.scheme, url.host, port)


def _mirrors(text: str) -> dict[str, str]:
    try:
        found = json.loads(text or "{}")
    except ValueError as error:
        raise _wrong(text, MIRRORS) from error
    if not isinstance(found, dict) or not all(isinstance(target, str) for target in found.values()):
        raise _wrong(text, MIRRORS)
    return found


def _split(url: str, variable: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        if parts.scheme in PORTS and parts.hostname and _port(parts) and "@" not in parts.netloc:
            return parts
    except ValueError as error:
        raise _wrong(url, variable) from error
    raise _wrong(url, variable)


def _port(parts: SplitResult) -> int:
    return parts.port or PORTS[parts.scheme]


def _wrong(found: str, variable: str) -> SettingsError:
    examples = {
        HOSTS: "names such as api.github.com, or one server such as http://127.0.0.1:8123, with commas between",
        MIRRORS: 'a JSON object of URLs such as {"https://data.gharchive.org": "http://127.0.0.1:9000/gharchive"}',
    }
    return SettingsError(
        f"found {found!r}",
        where=variable,
        allowed=examples[variable],
        next_step="correct the environment variable",
    )
