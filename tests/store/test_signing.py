"""Keys: made once, kept from others, replaced without losing old releases; and none but trusted ones are believed."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from hypothesis import given
from hypothesis import strategies as st

from include.kreislauf.errors import ReleaseError
from include.kreislauf.settings import ROOT, Settings
from include.kreislauf.store.signing import SigningKey, TrustedKeys, key_id

KEY = SigningKey.new()
TRUSTED = TrustedKeys.from_keys([KEY.private.public_key()])


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "home", signing_key="", trusted_keys="")


def own(path: Path) -> str:
    return f"{stat.S_IMODE(path.stat().st_mode):04o}"


def other_kind() -> bytes:
    """A private key that is not of Ed25519."""
    form, none = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    return generate_private_key(SECP256R1()).private_bytes(serialization.Encoding.PEM, form, none)


# Signatures


@given(st.binary(max_size=200))
def test_what_a_trusted_key_signed_is_believed(content: bytes):
    assert TRUSTED.verify(content, KEY.sign(content), where="manifest") == KEY.id


@given(st.binary(min_size=1, max_size=200), st.integers(0), st.integers(1, 255))
def test_any_changed_byte_of_the_content_is_seen(content: bytes, place: int, by: int):
    changed = bytearray(content)
    changed[place % len(content)] ^= by
    with pytest.raises(ReleaseError, match="no trusted key"):
        TRUSTED.verify(bytes(changed), KEY.sign(content), where="manifest")


@given(st.integers(0, 63), st.integers(1, 255))
def test_any_changed_byte_of_the_signature_is_seen(place: int, by: int):
    changed = bytearray(KEY.sign(b"manifest"))
    changed[place] ^= by
    with pytest.raises(ReleaseError, match="no trusted key"):
        TRUSTED.verify(b"manifest", bytes(changed), where="manifest")


@pytest.mark.parametrize(
    "signature",
    [b"", b"x", KEY.sign(b"manifest") + b"\n", KEY.sign(b"manifest")[:-1]],
    ids=["none", "short", "a line feed more", "a byte less"],
)
def test_a_signature_of_another_length_is_refused(signature: bytes):
    with pytest.raises(ReleaseError, match="no trusted key"):
        TRUSTED.verify(b"manifest", signature, where="manifest")


def test_a_signature_by_another_key_is_refused_with_the_trusted_ones():
    with pytest.raises(ReleaseError, match="no trusted key") as caught:
        TRUSTED.verify(b"manifest", SigningKey.new().sign(b"manifest"), where="manifest.json")
    assert (caught.value.allowed, caught.value.where) == (KEY.id, "manifest.json")


# The installation's own key


def test_the_own_key_is_made_once_and_trusted(settings: Settings):
    first, again = SigningKey.of(settings), SigningKey.of(settings)
    assert first.pem == again.pem
    assert TrustedKeys.of(settings).verify(b"1", first.sign(b"1"), where="") == first.id
    assert {path.name for path in settings.keys.iterdir()} == {"release.key", "release.pub"}


def test_the_own_key_is_kept_from_others_who_may_read_its_public_part(settings: Settings):
    before = os.umask(0o077)
    try:
        SigningKey.of(settings)
    finally:
        os.umask(before)
    modes = {path.name: own(path) for path in (settings.keys, *settings.keys.iterdir())}
    assert modes == {"keys": "0755", "release.key": "0600", "release.pub": "0644"}


def test_two_installations_have_two_keys(tmp_path: Path):
    ids = {SigningKey.of(Settings(home=tmp_path / name, signing_key="")).id for name in ("one", "two")}
    assert len(ids) == 2


def test_processes_that_need_the_first_key_at_once_get_one(settings: Settings):
    script = (
        "import sys, pathlib; from include.kreislauf.settings import Settings;"
        "from include.kreislauf.store.signing import SigningKey; sys.stdin.read(1);"
        "print(SigningKey.of(Settings(home=pathlib.Path(sys.argv[1]), signing_key='')).id)"
    )
    command = [sys.executable, "-c", script, str(settings.home)]
    made = [
        subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(6)
    ]
    for one in made:
        assert one.stdin
        one.stdin.write("x")
        one.stdin.flush()
    ids = {one.communicate(timeout=60)[0].strip() for one in made}
    assert ids == {SigningKey.of(settings).id}
    assert {path.name for path in settings.keys.iterdir()} == {"release.key", "release.pub"}


def test_a_public_key_that_was_never_written_is_written_later(settings: Settings):
    """The process that made the key was killed between the two files."""
    key = SigningKey.of(settings)
    (settings.keys / "release.pub").unlink()
    assert SigningKey.of(settings).id == key.id
    assert list(TrustedKeys.of(settings).keys) == [key.id]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o602])
def test_a_key_that_others_can_read_is_refused_and_says_what_to_do(settings: Settings, mode: int):
    SigningKey.of(settings)
    path = settings.keys / "release.key"
    path.chmod(mode)
    with pytest.raises(ReleaseError, match="others can read") as caught:
        SigningKey.of(settings)
    assert f"chmod 600 {path}" in caught.value.next_step


# Keys from elsewhere, and their replacement


def test_the_key_can_come_as_text_from_a_secrets_backend(settings: Settings):
    for text in (KEY.pem.decode(), KEY.pem.decode().replace("\n", "\\n")):
        given_key = settings.model_copy(update={"signing_key": text})
        assert SigningKey.of(given_key).id == KEY.id
    assert not settings.keys.exists()


def test_a_key_from_elsewhere_is_in_nothing_that_is_printed(settings: Settings):
    given_key = settings.model_copy(update={"signing_key": KEY.pem.decode()})
    assert "PRIVATE" not in repr(given_key) + str(given_key) + repr(SigningKey.of(given_key))


def test_the_key_can_be_a_file(settings: Settings, tmp_path: Path):
    path = tmp_path / "elsewhere.pem"
    path.write_bytes(KEY.pem)
    given_key = settings.model_copy(update={"signing_key": str(path)})
    path.chmod(0o600)
    assert SigningKey.of(given_key).id == KEY.id
    path.chmod(0o644)
    with pytest.raises(ReleaseError, match="others can read"):
        SigningKey.of(given_key)


def test_a_named_key_that_is_missing_is_never_made(settings: Settings, tmp_path: Path):
    given_key = settings.model_copy(update={"signing_key": str(tmp_path / "gone.pem")})
    with pytest.raises(ReleaseError, match="cannot be read"):
        SigningKey.of(given_key)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", [b"", b"nonsense", KEY.public_pem, other_kind()])
def test_what_is_no_private_key_is_refused(content: bytes):
    with pytest.raises(ReleaseError, match="is not the private key"):
        SigningKey.from_pem(content, where="here")


def test_a_replaced_key_leaves_old_releases_trusted(settings: Settings):
    old = SigningKey.of(settings)
    (settings.keys / "release.key").unlink()
    with pytest.raises(ReleaseError, match="is not the public key") as caught:
        SigningKey.of(settings)
    assert "rename it" in caught.value.next_step
    (settings.keys / "release.pub").rename(settings.keys / "old.pub")
    new = SigningKey.of(settings)
    trusted = TrustedKeys.of(settings)
    assert set(trusted.keys) == {old.id, new.id}
    assert trusted.verify(b"1", old.sign(b"1"), where="") == old.id


def test_trusted_keys_can_be_several_in_one_file_or_folder(settings: Settings, tmp_path: Path):
    keys = [SigningKey.new() for _ in range(3)]
    file, folder = tmp_path / "trusted.pem", tmp_path / "trusted"
    file.write_bytes(b"".join(b"# a comment\n" + one.public_pem for one in keys))
    folder.mkdir()
    for one in keys:
        (folder / f"{one.id}.pub").write_bytes(one.public_pem)
    for place in (file, folder):
        found = TrustedKeys.of(settings.model_copy(update={"trusted_keys": str(place)}))
        assert set(found.keys) == {key_id(one.private.public_key()) for one in keys}


def test_without_a_trusted_key_nothing_is_believed(settings: Settings, tmp_path: Path):
    for place in ("", tmp_path / "gone", tmp_path):
        with pytest.raises(ReleaseError, match="no trusted key") as caught:
            TrustedKeys.of(settings.model_copy(update={"trusted_keys": str(place)}))
        assert "KREISLAUF_TRUSTED_KEYS" in caught.value.next_step


@pytest.mark.parametrize("content", [b"", b"nonsense", KEY.pem, b"-----BEGIN PUBLIC KEY-----\nAAAA\n"])
def test_a_trusted_file_that_is_no_key_is_an_error(settings: Settings, tmp_path: Path, content: bytes):
    (tmp_path / "one.pub").write_bytes(content)
    with pytest.raises(ReleaseError, match="is not the public key") as caught:
        TrustedKeys.of(settings.model_copy(update={"trusted_keys": str(tmp_path)}))
    assert caught.value.where == str(tmp_path / "one.pub")
