"""Connections: only to checked addresses, with the certificate of the host that was asked for."""

from __future__ import annotations

import socket
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from include.kreislauf.collection.access import Access, AccessRules
from include.kreislauf.collection.access_wire import is_public
from include.kreislauf.errors import SourceError
from tests.collection.web import reply, serving

REAL = socket.getaddrinfo


def resolving(monkeypatch: pytest.MonkeyPatch, *addresses: list[str]) -> list[str]:
    """The system's resolver: each time a name is asked for it has the next addresses."""
    asked: list[str] = []
    given_out = iter(addresses)

    def getaddrinfo(host: Any, port: Any, *args: Any, **kwargs: Any) -> list[Any]:
        if host is None or str(host).replace(".", "").isdecimal():
            return REAL(host, port, *args, **kwargs)
        asked.append(host)
        found = next(given_out)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in found]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return asked


@pytest.mark.parametrize("addresses", [
    ["127.0.0.1"], ["10.0.0.8"], ["169.254.169.254"], ["100.64.0.1"], ["0.0.0.0"], ["224.0.0.1"], ["8.8.8.8", "192.168.1.1"],
])  # fmt: skip
def test_a_name_with_a_private_address_is_not_asked(addresses: list[str], monkeypatch: pytest.MonkeyPatch):
    resolving(monkeypatch, addresses)
    with pytest.raises(SourceError, match="has the private address") as found:
        Access(AccessRules.of(["api.github.com"], deadline=5)).get("https://api.github.com/x")
    assert not found.value.transient
    assert "KREISLAUF_ALLOWED_HOSTS" in found.value.next_step


def test_the_address_that_was_checked_is_the_one_that_is_used(monkeypatch: pytest.MonkeyPatch):
    with serving() as web:
        web.on("/x", reply(200, "1"))
        asked = resolving(monkeypatch, ["127.0.0.1"], ["10.255.255.1"])
        host = f"http://rebinding.example:{web.port}"
        access = Access(AccessRules.of([host], deadline=5))
        assert access.get(f"{host}/x").json() == 1
        assert asked == ["rebinding.example"]
        assert web.requests[0][1]["host"] == f"rebinding.example:{web.port}"
        access.close()


def test_of_several_addresses_one_that_answers_is_enough(monkeypatch: pytest.MonkeyPatch):
    with serving() as web:
        web.on("/x", reply(200, "1"))
        resolving(monkeypatch, ["127.0.0.2", "127.0.0.1"])
        host = f"http://several.example:{web.port}"
        access = Access(AccessRules.of([host], deadline=5))
        assert access.get(f"{host}/x").json() == 1
        access.close()


def test_a_name_that_nobody_knows_may_be_known_later(monkeypatch: pytest.MonkeyPatch):
    def unknown(*_: Any, **__: Any) -> None:
        raise socket.gaierror("Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(SourceError, match="cannot be resolved") as found:
        Access(AccessRules.of(["api.github.com"], deadline=2), sleep=lambda _: None).get(
            "https://api.github.com"
        )
    assert found.value.transient


@pytest.mark.parametrize("address", [
    "::1", "::", "fe80::1%eth0", "fc00::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::",
    "2001:0:7f00:1::", "ff02::1", "255.255.255.255", "192.0.2.1",
])  # fmt: skip
def test_an_address_of_no_public_network(address: str):
    assert not is_public(address)


@pytest.mark.parametrize("address", ["140.82.121.6", "2606:4700::6810:1", "64:ff9b::8c52:7906"])
def test_an_address_of_the_internet(address: str):
    assert is_public(address)


@given(st.ip_addresses(v=4))
def test_an_address_is_as_public_as_it_is_within_ipv6(address: Any):
    assert is_public(f"64:ff9b::{int(address) >> 16:x}:{int(address) & 0xFFFF:x}") == is_public(str(address))


def certificate(folder: Path, name: str) -> Path:
    """A certificate that signs itself, and its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(key.public_key())
        .serial_number(1).not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    path = folder / f"{name}.pem"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        + made.public_bytes(serialization.Encoding.PEM)
    )
    return path


@pytest.mark.parametrize(
    ("host", "said"), [("right.example", ""), ("wrong.example", "certificate is not trusted")]
)
def test_the_certificate_must_be_the_hosts(
    host: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    path = certificate(tmp_path, "right.example")
    monkeypatch.setenv("SSL_CERT_FILE", str(path))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    with serving(context) as web:
        web.on("/x", reply(200, "1"))
        resolving(monkeypatch, ["127.0.0.1"])
        url = f"https://{host}:{web.port}"
        access = Access(AccessRules.of([url], deadline=5))
        if said:
            with pytest.raises(SourceError, match=said) as found:
                access.get(f"{url}/x")
            assert not found.value.transient
        else:
            assert access.get(f"{url}/x").json() == 1
        access.close()
