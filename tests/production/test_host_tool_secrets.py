"""`make secrets`: fresh values where there are none, and nothing that is there is touched."""

from __future__ import annotations

import ast
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.stack import env_file, mark, versions
from deploy.stack.__main__ import write_secrets
from deploy.stack.errors import Failed, Refused
from deploy.stack.stack import Stack
from tests.production.engine import ROOT

NAMES = ("AIRFLOW_DB_PASSWORD", "AIRFLOW_FERNET_KEY", "POSTGRES_PASSWORD", "REDIS_PASSWORD")
VALUES = st.text("abcXYZ0189-_", max_size=30)
FILES = st.dictionaries(st.sampled_from((*NAMES, "OTHER", "PORT")), VALUES)


def written(values: dict[str, str]) -> str:
    return "# a comment\n" + "".join(f"{name}={value}\n" for name, value in values.items())


@given(FILES)
def test_what_has_a_value_keeps_it_and_what_has_none_gets_one(values: dict[str, str]) -> None:
    text, made = env_file.fill(written(values), NAMES)
    found = env_file.parse(text)
    assert set(made) == {name for name in NAMES if not values.get(name)}
    assert {name: found[name] for name in values if name not in made} == {
        n: v for n, v in values.items() if n not in made
    }
    fresh = {name: found[name] for name in made}
    assert env_file.secret_faults(fresh, made, "here") == []
    assert text.startswith("# a comment\n")


@given(FILES)
def test_a_second_time_changes_nothing(values: dict[str, str]) -> None:
    text, _ = env_file.fill(written(values), NAMES)
    assert env_file.fill(text, NAMES) == (text, [])


def test_no_value_comes_twice() -> None:
    made = {env_file.new_secret(name) for _ in range(200) for name in NAMES}
    assert len(made) == 200 * len(NAMES)


@given(st.binary(min_size=32, max_size=32), st.binary(min_size=32, max_size=32))
def test_a_fingerprint_tells_keys_apart_and_does_not_show_them(one: bytes, other: bytes) -> None:
    left, right = one.hex(), other.hex()
    assert (env_file.fingerprints(left) == env_file.fingerprints(right)) == (left == right)
    assert left not in env_file.fingerprints(left)[0]
    assert env_file.fingerprints(f"{left},{right}") == [
        *env_file.fingerprints(left),
        *env_file.fingerprints(right),
    ]


@pytest.mark.parametrize(
    ("line", "value"),
    [("A=b", "b"), ("A='b c'", "b c"), ('A="b"  # x', "b"), ("A=b # x", "b"), ("A=b#x", "b#x"), ("export A=b", "b"), ("A=", ""), ("A= # x", "")],
)  # fmt: skip
def test_lines_are_read_as_compose_reads_them(line: str, value: str) -> None:
    assert env_file.parse(f"# A=comment\n{line}\n") == {"A": value}


@pytest.fixture
def stack(tmp_path: Path) -> Stack:
    for name in ("docker-compose.yaml", ".env.example"):
        (tmp_path / name).symlink_to(ROOT / name)
    return Stack.here(tmp_path, {})


def test_the_example_becomes_a_file_that_passes(stack: Stack, capsys: pytest.CaptureFixture[str]) -> None:
    write_secrets(stack)
    again = Stack.here(stack.root, {})
    assert stat.S_IMODE(again.env_file.stat().st_mode) == 0o600
    assert env_file.secret_faults(again.values, again.required, "here") == []
    assert "AIRFLOW_FERNET_KEY" in again.required
    told = capsys.readouterr().out
    assert all(name in told for name in again.required)
    assert not any(again.values[name] in told for name in again.required)


def test_a_file_that_others_can_read_is_not_touched(stack: Stack) -> None:
    stack.env_file.write_text("AIRFLOW_PORT=1\n")
    stack.env_file.chmod(0o644)
    with pytest.raises(Refused, match="mode 0644"):
        write_secrets(stack)
    assert stack.env_file.read_text() == "AIRFLOW_PORT=1\n"


def test_a_link_stays_a_link(stack: Stack, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.touch(mode=0o600)
    stack.env_file.symlink_to(elsewhere)
    write_secrets(stack)
    assert stack.env_file.is_symlink()
    assert "POSTGRES_PASSWORD=" in elsewhere.read_text()


def test_texts_for_people_hold_no_secret(stack: Stack) -> None:
    write_secrets(stack)
    again = Stack.here(stack.root, {})
    secret = again.values["POSTGRES_PASSWORD"]
    assert (
        again.redact(f"postgresql://postgres:{secret}@postgres")
        == "postgresql://postgres:<POSTGRES_PASSWORD>@postgres"
    )


def test_runs_on_the_oldest_python_that_hosts_have() -> None:
    shared = [ROOT / "include/kreislauf/errors.py", ROOT / "include/kreislauf/__init__.py"]
    for path in (*(ROOT / "deploy/stack").glob("*.py"), *shared):
        tree = ast.parse(path.read_text(), feature_version=(3, 9))
        imported = {name.name for one in ast.walk(tree) if isinstance(one, ast.Import) for name in one.names}
        assert not any(one.partition(".")[0] not in STANDARD for one in imported), path


STANDARD = frozenset(__import__("sys").stdlib_module_names)


def test_versions_are_those_of_the_lock_and_the_migrations() -> None:
    from include.kreislauf import __version__
    from include.kreislauf.store.schema import HEAD

    found = versions.of_code(ROOT)
    assert (found["bundle"], found["schema"]) == (__version__, HEAD)
    assert f"apache-airflow=={found['airflow']}" in (ROOT / "requirements.txt").read_text()


NUMBERS = st.tuples(*[st.integers(0, 12)] * 3).map(lambda parts: ".".join(map(str, parts)))
VERSIONS = st.fixed_dictionaries(dict.fromkeys(versions.PARTS, NUMBERS))


@given(VERSIONS, VERSIONS)
def test_older_and_newer_are_never_taken_for_same(one: dict[str, str], other: dict[str, str]) -> None:
    found = versions.compare(one, other)
    assert (found == "same") == (one == other)
    if found == "older":
        assert versions.compare(other, one) == "newer"


CODE = {"bundle": "0.2.0", "airflow": "3.3.2", "schema": "0006"}


class TestMark:
    def test_an_empty_volume_is_marked_before_anything_is_written_to_it(self, tmp_path: Path) -> None:
        assert mark.mark(tmp_path, CODE, check=True)
        assert versions.parse_mark((tmp_path / versions.MARK).read_text()) == CODE

    def test_older_data_keep_their_mark_until_they_are_migrated(self, tmp_path: Path) -> None:
        old = {**CODE, "schema": "0005"}
        mark.mark(tmp_path, old)
        assert not mark.mark(tmp_path, CODE, check=True)
        assert versions.parse_mark((tmp_path / versions.MARK).read_text()) == old
        assert mark.mark(tmp_path, CODE)
        assert versions.parse_mark((tmp_path / versions.MARK).read_text()) == CODE

    @pytest.mark.parametrize("check", [True, False])
    def test_newer_data_are_refused(self, check: bool, tmp_path: Path) -> None:
        mark.mark(tmp_path, {**CODE, "airflow": "3.4.0"})
        with pytest.raises(Failed, match="this code is older"):
            mark.mark(tmp_path, CODE, check=check)

    def test_the_command_marks_with_the_versions_of_this_code(self, tmp_path: Path) -> None:
        assert mark.main([str(tmp_path)]) == 0
        assert versions.parse_mark((tmp_path / versions.MARK).read_text()) == versions.of_code(ROOT)
