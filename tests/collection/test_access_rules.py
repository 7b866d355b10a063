"""Rules of access: permitted servers and mirrors, as an installation writes them."""

from __future__ import annotations

import httpx
import pytest

from include.kreislauf.collection.access_rules import AccessRules
from include.kreislauf.errors import SettingsError, SourceError
from include.kreislauf.settings import Settings

RULES = AccessRules.of(
    ["api.github.com", " Odd.Example:8443 ", "http://127.0.0.1:8123", "https://inside.example", ""],
    {"https://data.gharchive.org/files/": "http://127.0.0.1:9000/gharchive"},
)


@pytest.mark.parametrize("url", [
    "https://api.github.com/x", "https://api.github.com:443/x", "https://API.GITHUB.COM/x",
    "https://odd.example:8443/", "http://127.0.0.1:8123/x?y", "https://inside.example/",
])  # fmt: skip
def test_a_permitted_server_is_asked(url: str):
    assert RULES.route(httpx.URL(url), url) == httpx.URL(url)


@pytest.mark.parametrize("url", [
    "http://api.github.com/x", "https://api.github.com:8443/x", "https://github.com", "https://api.github.com.evil.example",
    "https://evil-api.github.com", "https://api.github.com./", "https://127.0.0.1:8123", "http://127.0.0.1", "http://127.0.0.1:8124",
    "http://2130706433:8123/", "http://[::1]:8123", "http://inside.example", "ftp://api.github.com", "https:///x", "x",
    "https://data.gharchive.org/file", "https://data.gharchive.org/filesystem", "http://data.gharchive.org/files/x",
])  # fmt: skip
def test_any_other_server_is_not(url: str):
    with pytest.raises(SourceError, match="not a permitted server") as found:
        RULES.route(httpx.URL(url), url)
    assert "api.github.com" in found.value.allowed
    assert "KREISLAUF_ALLOWED_HOSTS" in found.value.next_step


@pytest.mark.parametrize(("url", "asked"), [
    ("https://data.gharchive.org/files/2015-01-01-1.json.gz", "http://127.0.0.1:9000/gharchive/2015-01-01-1.json.gz"),
    ("https://data.gharchive.org:443/files?a=%2F&b=c%23", "http://127.0.0.1:9000/gharchive?a=%2F&b=c%23"),
    ("https://data.gharchive.org/files", "http://127.0.0.1:9000/gharchive"),
    ("https://data.gharchive.org/files/a%20b", "http://127.0.0.1:9000/gharchive/a%20b"),
])  # fmt: skip
def test_a_mirror_is_asked_instead(url: str, asked: str):
    assert str(RULES.route(httpx.URL(url), url)) == asked


def test_only_what_is_listed_with_its_scheme_may_be_private():
    assert RULES.permits_private("127.0.0.1", 8123)
    assert RULES.permits_private("127.0.0.1", 9000)
    assert not RULES.permits_private("127.0.0.1", 443)
    assert not RULES.permits_private("api.github.com", 443)


def test_nothing_is_permitted_where_nothing_is_listed():
    with pytest.raises(SourceError, match="allowed: none"):
        AccessRules().route(httpx.URL("https://api.github.com"), "")


@pytest.mark.parametrize(("variable", "value"), [
    ("KREISLAUF_ALLOWED_HOSTS", "ftp://host"), ("KREISLAUF_ALLOWED_HOSTS", "host/path"), ("KREISLAUF_ALLOWED_HOSTS", "host:port"),
    ("KREISLAUF_ALLOWED_HOSTS", "http://"), ("KREISLAUF_ALLOWED_HOSTS", "me:you@host"), ("KREISLAUF_ALLOWED_HOSTS", "host?x"),
    ("KREISLAUF_MIRRORS", "{"), ("KREISLAUF_MIRRORS", "[]"), ("KREISLAUF_MIRRORS", '{"https://a": 1}'),
    ("KREISLAUF_MIRRORS", '{"https://a": "b"}'), ("KREISLAUF_MIRRORS", '{"a": "https://b"}'),
])  # fmt: skip
def test_a_faulty_entry_names_its_variable(monkeypatch: pytest.MonkeyPatch, variable: str, value: str):
    monkeypatch.setenv(variable, value)
    with pytest.raises(SettingsError, match="such as") as found:
        AccessRules.from_settings(Settings())
    assert found.value.where == variable
