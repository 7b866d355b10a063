"""Access: where a source may go, what it may not say, and files."""

from __future__ import annotations

import gzip
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.kreislauf.collection.access import Access, AccessRules, NotThere
from include.kreislauf.collection.access_secrets import shown
from include.kreislauf.errors import SourceError
from include.kreislauf.settings import ROOT, Settings
from tests.collection.web import Web, reply


@pytest.fixture
def access(web: Web) -> Iterator[Access]:
    access = Access(AccessRules.of([web.url], deadline=5))
    yield access
    access.close()


def test_a_file_is_opened_by_path_by_url_and_below_the_data(tmp_path: Path):
    path = tmp_path / "with space.txt"
    path.write_bytes(b"content")
    access = Access(AccessRules(data=f"{tmp_path}/"))
    for url in (str(path), path.as_uri(), "{data}/with space.txt"):
        with access.open(url) as file:
            assert file.read() == b"content"


@pytest.mark.parametrize("url", ["{data}/missing", "file:///missing/file", "/missing/file"])
def test_a_missing_file_is_not_there(tmp_path: Path, url: str):
    with pytest.raises(NotThere, match="file not found"), Access(AccessRules(data=str(tmp_path))).open(url):
        pass


@pytest.mark.parametrize(("url", "said"), [
    ("{data}/x", "KREISLAUF_DATA is not set"),
    ("ftp://example.org/x", "ftp:// cannot be opened"),
    ("/", "cannot be read"),
    ("/\0", "cannot be read"),
])  # fmt: skip
def test_what_cannot_be_opened_says_why(url: str, said: str):
    with pytest.raises(SourceError, match=said) as found, Access(AccessRules()).open(url):
        pass
    assert not isinstance(found.value, NotThere)
    assert not found.value.transient


def test_an_object_store_is_asked_through_arrow(access: Access):
    with pytest.raises(SourceError, match="does not deliver"), access.open("abfss://no-account/file"):
        pass


def test_a_download_is_whole_before_it_is_read(access: Access, web: Web):
    content = bytes(range(256)) * 1000
    url = web.on("/file", reply(200, content[:1000], Content_Length=str(len(content))), reply(200, content))
    access = Access(access.rules, sleep=lambda seconds: None)
    with access.open(url) as file:
        assert file.read() == content
    assert len(web.requests) == 2


def test_a_packed_file_stays_packed_though_its_server_calls_that_transport(access: Access, web: Web):
    content = gzip.compress(b"lines")
    for name in ("/hour.json.gz", "/hour.json"):
        web.on(name, reply(200, content, Content_Encoding="x-gzip"))
    with access.open(f"{web.url}/hour.json.gz") as file:
        assert file.read() == content
    with access.open(f"{web.url}/hour.json") as file:
        assert file.read() == b"lines"
    assert web.requests[0][1]["accept-encoding"] == "identity"


def test_a_file_that_the_server_does_not_have_is_not_there(access: Access, web: Web):
    with pytest.raises(NotThere), access.open(f"{web.url}/file"):
        pass


def test_an_error_of_the_reader_comes_out_as_it_is(access: Access, web: Web, tmp_path: Path):
    (tmp_path / "file").touch()
    for url in (web.on("/file", reply()), str(tmp_path / "file")):
        with pytest.raises(FileNotFoundError, match="another"), access.open(url):
            raise FileNotFoundError("another")


def test_a_secret_stands_in_the_environment_or_in_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    access = Access(AccessRules())
    assert access.secret("github_token") == ""
    (tmp_path / "token").write_text("from-file\n")
    monkeypatch.setenv("KREISLAUF_SECRET_GITHUB_TOKEN_FILE", str(tmp_path / "token"))
    assert access.secret("github_token") == "from-file"
    monkeypatch.setenv("KREISLAUF_SECRET_GITHUB_TOKEN", "from-environment")
    assert access.secret("github_token") == "from-environment"
    monkeypatch.setenv("KREISLAUF_SECRET_OTHER_FILE", str(tmp_path / "missing"))
    with pytest.raises(SourceError, match="FileNotFoundError") as found:
        access.secret("other")
    assert found.value.where == "KREISLAUF_SECRET_OTHER_FILE"


def test_a_secret_is_in_no_error(access: Access, web: Web, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("KREISLAUF_SECRET_KEY", "s3cr+t/value")
    key = access.secret("key")
    web.on("/echo", lambda request: reply(403, f"no: {request.path} {request.headers['X-Mine']}")(request))
    for url in (f"{web.url}/echo", "https://elsewhere.example/x", f"{web.url}/missing"):
        with pytest.raises(SourceError) as found:
            access.get(url, params={"q": key, "apikey": "unknown-to-us"}, headers={"X-Mine": key})
        assert "s3cr" not in str(found.value)
        assert "unknown-to-us" not in str(found.value)
    with pytest.raises(SourceError, match="cannot be asked") as found:
        access.get(f"{web.url}/echo", headers={"X-Mine": f"{key}\n"})
    assert "s3cr" not in str(found.value)


def test_an_answer_does_not_show_its_key(access: Access, web: Web):
    url = web.on("/items", reply(200, "[]"))
    answer = access.get(url, params={"key": "s3cret", "page": 2})
    assert answer.url == f"{url}?key=***&page=2"
    assert web.paths == ["/items?key=s3cret&page=2"]


def test_passwords_and_keys_are_taken_out_of_texts():
    text = "at postgresql://me:pass@host/db and https://h/x?app_id=1&app_key=2&page=3;sig=4#end"
    assert shown(text) == (
        "at postgresql://***@host/db and https://h/x?app_id=***&app_key=***&page=3;sig=***#end"
    )


@given(st.text(st.characters(codec="ascii", exclude_characters="&;#? "), min_size=5).filter(str.isalnum))
def test_no_key_survives(key: str):
    assert f"={key}" not in shown(f"https://h/x?a=1&access_token={key}&b=2")


def test_a_connection_is_airflows_then_the_environments(monkeypatch: pytest.MonkeyPatch):
    access = Access(AccessRules(), connections={"warehouse": "sqlite:///airflow"}.get)
    assert access.connection("warehouse") == "sqlite:///airflow"
    monkeypatch.setenv("KREISLAUF_CONNECTION_MY_DB_2", "sqlite:///environment")
    assert access.connection("my-db.2") == "sqlite:///environment"
    with pytest.raises(SourceError, match="KREISLAUF_CONNECTION_OTHER") as found:
        access.connection("other")
    assert "Airflow" in found.value.next_step


def test_a_wait_is_bounded():
    slept: list[float] = []
    access = Access(AccessRules(deadline=60), sleep=slept.append)
    access.wait(10)
    assert slept == [10]
    with pytest.raises(SourceError, match="wait 61 s") as found:
        access.wait(61)
    assert found.value.transient


def test_the_settings_make_the_rules(web: Web, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("KREISLAUF_MIRRORS", f'{{"https://data.gharchive.org": "{web.url}/gharchive"}}')
    monkeypatch.setenv("KREISLAUF_REQUEST_DEADLINE", "7")
    monkeypatch.setenv("KREISLAUF_DATA", "/data")
    access = Access.from_settings(Settings(), {"x": "y"}.get)
    web.on("/gharchive/hour.gz", reply(200, "hour"))
    with access.open("https://data.gharchive.org/hour.gz") as file:
        assert file.read() == b"hour"
    assert (access.rules.deadline, access.resolve("{data}/x"), access.connection("x")) == (7, "/data/x", "y")
    assert "api.stackexchange.com" in map(str, access.rules.places)
    access.close()


def test_reading_local_files_takes_no_http_client(tmp_path: Path):
    code = (
        "import sys; from include.kreislauf.collection.access import Access, AccessRules\n"
        f"with Access(AccessRules()).open({str(ROOT / 'pyproject.toml')!r}) as file: file.read()\n"
        "assert not {'httpx', 'httpcore', 'pandas', 'numpy', 'pyarrow'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)
