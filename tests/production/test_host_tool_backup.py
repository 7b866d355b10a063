"""Backup and restore against a real PostgreSQL and real volumes, both in a Docker that is real too."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest

from deploy.stack import archive, env_file
from deploy.stack.__main__ import write_secrets
from deploy.stack.backup import MANIFEST, VOLUMES, backup
from deploy.stack.errors import Failed, Refused
from deploy.stack.restore import restore, start_server
from deploy.stack.stack import Stack
from deploy.stack.up import down
from tests.production.engine import ROOT, docker, official_names

pytestmark = pytest.mark.deployment

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
COMPOSE = """
services:
  postgres:
    image: ${POSTGRES_IMAGE:-postgres:16}
    network_mode: none
    environment:
      POSTGRES_PASSWORD: ${POSTGRES_PASSWORD:?}
      AIRFLOW_DB_PASSWORD: ${AIRFLOW_DB_PASSWORD:?}
      KREISLAUF_DB_PASSWORD: ${KREISLAUF_DB_PASSWORD:?}
      MLFLOW_DB_PASSWORD: ${MLFLOW_DB_PASSWORD:?}
      SERVICE_DB_PASSWORD: ${SERVICE_DB_PASSWORD:?}
      NEEDED_BY_OTHERS: ${AIRFLOW_FERNET_KEY:?}
    volumes: ["postgres:/var/lib/postgresql/data", "./deploy/postgres:/docker-entrypoint-initdb.d:ro"]
    healthcheck:
      {test: [CMD, pg_isready, -q, -h, 127.0.0.1, -U, postgres, -t, "3"], interval: 2s, timeout: 5s, start_period: 60s}
volumes: {postgres: {}}
"""
ROWS = """
CREATE TABLE predictions(id int PRIMARY KEY, name text, value float8, made timestamptz, raw bytea);
INSERT INTO predictions SELECT i, 'ä' || i, i / 7.0, now(), decode(md5(i::text), 'hex') FROM generate_series(1, 5000) i;
ALTER TABLE predictions OWNER TO kreislauf;
GRANT SELECT ON predictions TO kreislauf_service;
CREATE TABLE "Odd ""|'name"(x int);
INSERT INTO "Odd ""|'name" VALUES (1), (NULL);
"""
FILES = """
import os
os.makedirs("/v/kreislauf/artefacts/a b ä")
open("/v/kreislauf/artefacts/a b ä/model", "wb").write(bytes(range(256)) * 9000)
open("/v/kreislauf/signing.pem", "w").write("key")
os.chmod("/v/kreislauf/signing.pem", 0o600)
os.symlink("signing.pem", "/v/kreislauf/link")
os.link("/v/kreislauf/artefacts/a b ä/model", "/v/kreislauf/artefacts/twice")
open("/v/spool/1.spool", "w").write("kept")
os.chown("/v/spool/1.spool", 10001, 10001)
for place, folders, files in os.walk("/v/kreislauf"):
    for name in folders + files + ["."]:
        os.lchown(os.path.join(place, name), 50000, 0)
"""


@pytest.fixture(scope="module")
def stack(engine: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack of PostgreSQL and four volumes, with something in all of them."""
    root = tmp_path_factory.mktemp("root")
    for name in ("deploy", "include", "requirements.txt", ".env.example"):
        (root / name).symlink_to(ROOT / name)
    (root / "docker-compose.yaml").write_text(COMPOSE)
    tag = f"tried-{uuid4().hex[:8]}"
    made = Stack.here(root, {**os.environ, "KREISLAUF_TAG": tag}, project=tag)
    write_secrets(made)
    found = Stack.here(root, made.environ, project=tag)
    # Python and tar are all that the tool uses of the image
    docker("tag", official_names()["PYTHON_IMAGE"], found.airflow_image)
    try:
        server = start_server(found)
        docker(
            "exec", server, "psql", "-v", "ON_ERROR_STOP=1", "-U", "postgres", "-d", "kreislauf", "-c", ROWS
        )
        run_python(found, FILES)
        yield found
    finally:
        remove(found)
        docker("image", "rm", found.airflow_image, check=False)


def run_python(stack: Stack, text: str) -> str:
    mounts = [word for name in VOLUMES for word in ("-v", f"{stack.volume(name)}:/v/{name}")]
    command = [
        "run",
        "--rm",
        "--network",
        "none",
        *mounts,
        "--entrypoint",
        "python3",
        stack.airflow_image,
        "-c",
        text,
    ]
    return docker(*command).stdout


def remove(stack: Stack) -> None:
    down(stack, volumes=True, confirm=stack.project)
    docker("volume", "rm", *(stack.volume(name) for name in (*VOLUMES, "postgres")), check=False)


@pytest.fixture(scope="module")
def saved(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A backup that no test changes."""
    return backup(stack, tmp_path_factory.mktemp("backups"), NOW)


@pytest.fixture
def copy(saved: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(saved, tmp_path / "copy"))


def test_a_backup_is_for_its_owner_alone_and_holds_no_secret(stack: Stack, saved: Path) -> None:
    assert saved.stat().st_mode & 0o777 == 0o700
    assert {one.stat().st_mode & 0o777 for one in saved.iterdir()} == {0o600}
    manifest = (saved / MANIFEST).read_text()
    assert not any(stack.values[name] in manifest for name in stack.required)
    assert list(saved.parent.iterdir()) == [saved]


def test_the_manifest_has_hashes_of_all_files_and_counts_of_all_tables(saved: Path) -> None:
    manifest = json.loads((saved / MANIFEST).read_text())
    tables = manifest["databases"]["kreislauf"]["tables"]
    assert {name: about["rows"] for name, about in tables.items()} == {
        "public.predictions": "5000", 'public."Odd ""|\'name"': "2",
    }  # fmt: skip
    members = manifest["volumes"]["kreislauf"]["members"]
    assert members["./signing.pem"]["mode"] == "0600"
    assert members["./link"]["to"] == "signing.pem"
    assert members["./artefacts/twice"]["sha256"] == members["./artefacts/a b ä/model"]["sha256"]
    for one in (*manifest["databases"].values(), *manifest["volumes"].values()):
        assert archive.hash_of(saved / one["file"]) == one["sha256"]


def test_older_backups_go_only_after_a_new_one_is_good(
    stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = [backup(stack, tmp_path, NOW + timedelta(days=day)) for day in range(2)]
    with monkeypatch.context() as broken:
        broken.setattr(archive, "members_of", lambda _stream: {})
        with pytest.raises(Failed):
            backup(stack, tmp_path, NOW + timedelta(days=2), keep=1)
    assert sorted(tmp_path.iterdir()) == made
    last = backup(stack, tmp_path, NOW + timedelta(days=3), keep=2)
    assert sorted(tmp_path.iterdir()) == [made[1], last]


def test_nothing_is_restored_onto_what_runs(stack: Stack, saved: Path) -> None:
    with pytest.raises(Refused, match="is running: postgres"):
        restore(stack, saved)


def test_a_folder_without_room_or_rights_is_refused(stack: Stack, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(Refused, match="cannot be written to"):
        backup(stack, tmp_path / "file" / "folder", NOW)


def test_restored_is_what_was_saved(stack: Stack, saved: Path, copy: Path) -> None:
    """Also what is wrong with a backup, or with where it goes, is told while the volumes are as they were."""
    down(stack)
    with pytest.raises(Refused, match="is not empty"):
        restore(stack, saved)
    remove(stack)
    _damage(stack, copy)
    other = Stack.here(
        stack.root,
        {**stack.environ, env_file.FERNET: env_file.new_secret(env_file.FERNET)},
        project=stack.project,
    )
    with pytest.raises(Refused, match="AIRFLOW_FERNET_KEY is not the one of the backup"):
        restore(other, saved)
    assert stack.existing([*VOLUMES, "postgres"]) == []

    restore(stack, saved)
    again = backup(stack, copy.parent / "again", NOW + timedelta(days=9))
    before, after = (json.loads((one / MANIFEST).read_text()) for one in (saved, again))
    for name in VOLUMES:
        assert after["volumes"][name]["members"] == before["volumes"][name]["members"]
    for name, one in before["databases"].items():
        assert after["databases"][name]["tables"] == one["tables"]
    owner = "SELECT tableowner FROM pg_tables WHERE tablename = 'predictions'"
    right = "SELECT has_table_privilege('kreislauf_service', 'predictions', 'SELECT')"
    for query, answer in ((owner, "kreislauf"), (right, "t")):
        server = start_server(stack)
        assert (
            docker("exec", server, "psql", "-AtU", "postgres", "-d", "kreislauf", "-c", query).stdout.strip()
            == answer
        )


def _damage(stack: Stack, copy: Path) -> None:
    """Every damage of a backup is found before anything is made."""
    path, manifest = copy / "kreislauf.tar.gz", (copy / MANIFEST).read_text()
    content = path.read_bytes()
    path.write_bytes(content[:-9] + bytes([content[-9] ^ 1]) + content[-8:])
    with pytest.raises(Refused, match="SHA-256 differs"):
        restore(stack, copy)
    path.unlink()
    with pytest.raises(Refused, match="is missing or was changed"):
        restore(stack, copy)
    path.write_bytes(content)
    newer = json.loads(manifest)
    newer["versions"]["airflow"] = "9.0"
    for text, told in (
        (manifest[:-20], "is damaged"),
        (json.dumps({**json.loads(manifest), "format": 99}), "another version of this tool"),
        (json.dumps(newer), "airflow 9.0"),
        (manifest.replace('"mode": "0600"', '"mode": "0644"'), "does not hold what the manifest says"),
    ):
        (copy / MANIFEST).write_text(text)
        with pytest.raises(Refused, match=told):
            restore(stack, copy)
    with pytest.raises(Refused, match="no backup is there"):
        restore(stack, copy.parent)


def test_an_encrypted_backup_needs_its_key(stack: Stack, tmp_path: Path) -> None:
    """The filter stands for one like age: any command that reads its input and writes its output."""
    key = tmp_path / "key"
    key.write_text("0123456789")
    cipher = f"openssl enc -aes-256-ctr -pbkdf2 -pass file:{key}"
    start_server(stack)
    made = backup(stack, tmp_path / "backups", NOW, encrypt=cipher)
    assert subprocess.run(["gzip", "-t", made / "kreislauf.tar.gz"], capture_output=True).returncode != 0
    with pytest.raises(Failed, match="false: ended"):
        backup(stack, tmp_path / "none", NOW, encrypt="false")
    assert list((tmp_path / "none").iterdir()) == []
    remove(stack)
    with pytest.raises(Refused, match="is encrypted"):
        restore(stack, made)
    restore(stack, made, decrypt=f"{cipher} -d")
