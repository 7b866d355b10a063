"""Ed25519 keys of releases: one private key signs, in the release step alone; public keys say which ones to believe.

Source: Josefsson and Liusvaara, Edwards-Curve Digital Signature Algorithm, RFC 8032 (2017).
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from include.kreislauf.errors import ReleaseError
from include.kreislauf.settings import Settings
from include.kreislauf.store.disk import write_once

PRIVATE, PUBLIC = "release.key", "release.pub"
PEM = "-----BEGIN"
MAX_KEY_FILE = 64 * 1024
OF_OTHERS = stat.S_IRWXG | stat.S_IRWXO


@dataclass(frozen=True)
class SigningKey:
    """The private key.

    Parameters
    ----------
    id: see :func:`key_id`; a manifest names it.
    """

    private: Ed25519PrivateKey = field(repr=False)
    id: str

    @classmethod
    def of(cls, settings: Settings) -> SigningKey:
        """The key that the settings name, or the one below home, which is made when it is needed first.

        Raises
        ------
        ReleaseError: it is missing, is no Ed25519 key, or others can read its file.
        """
        given = settings.signing_key.strip()
        if PEM in given:  # environment files have one line per variable
            return cls.from_pem(given.replace("\\n", "\n").encode(), where="KREISLAUF_SIGNING_KEY")
        if given:
            return cls.from_pem(_read_private(Path(given)), where=given)
        return _own_key(settings.keys)

    @classmethod
    def new(cls) -> SigningKey:
        """A key that nobody has had before."""
        return cls._of(Ed25519PrivateKey.generate())

    @classmethod
    def from_pem(cls, content: bytes, *, where: str) -> SigningKey:
        """The key in a PEM text, which is not encrypted.

        Raises
        ------
        ReleaseError: it is no such key.
        """
        try:
            found = serialization.load_pem_private_key(content, password=None)
        except (ValueError, TypeError, UnsupportedAlgorithm) as error:
            raise _no_key(where, "private") from error
        if not isinstance(found, Ed25519PrivateKey):
            raise _no_key(where, "private")
        return cls._of(found)

    @classmethod
    def _of(cls, private: Ed25519PrivateKey) -> SigningKey:
        return cls(private, key_id(private.public_key()))

    @property
    def pem(self) -> bytes:
        """The private key as PEM text."""
        form, none = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        return self.private.private_bytes(serialization.Encoding.PEM, form, none)

    @property
    def public_pem(self) -> bytes:
        """The public key as PEM text: what services need to believe this key's releases."""
        form = serialization.PublicFormat.SubjectPublicKeyInfo
        return self.private.public_key().public_bytes(serialization.Encoding.PEM, form)

    def sign(self, content: bytes) -> bytes:
        """The signature, 64 bytes; the same content always gets the same."""
        return self.private.sign(content)


@dataclass(frozen=True)
class TrustedKeys:
    """The public keys whose releases are believed, by key id; several while a key is being replaced."""

    keys: Mapping[str, Ed25519PublicKey] = field(default_factory=dict)

    @classmethod
    def of(cls, settings: Settings) -> TrustedKeys:
        """The keys in the file or folder that the settings name, or in the one below home.

        Raises
        ------
        ReleaseError: there are none, or a file is no Ed25519 public key.
        """
        place = Path(settings.trusted_keys) if settings.trusted_keys else settings.keys
        files = sorted(place.glob("*.pub")) if place.is_dir() else [place]
        found = [key for path in files for key in _public_keys(path)]
        if not found:
            raise ReleaseError("no trusted key: no release can be believed", where=str(place),
                               next_step="copy the public key of the release step there, or set KREISLAUF_TRUSTED_KEYS")  # fmt: skip
        return cls.from_keys(found)

    @classmethod
    def from_keys(cls, keys: Iterable[Ed25519PublicKey]) -> TrustedKeys:
        """These keys."""
        return cls({key_id(key): key for key in keys})

    def verify(self, content: bytes, signature: bytes, *, where: str) -> str:
        """The id of the key that signed.

        Raises
        ------
        ReleaseError: none of these keys did.
        """
        for name, key in self.keys.items():
            try:
                key.verify(signature, content)
            except InvalidSignature:
                continue
            return name
        raise ReleaseError("is signed by no trusted key", where=where, allowed=sorted(self.keys),
                           next_step="promote another release, or add the public key that signed it to the trusted ones")  # fmt: skip


def key_id(key: Ed25519PublicKey) -> str:
    """The first 16 hexadecimal digits of the SHA-256 of the raw public key."""
    return hashlib.sha256(key.public_bytes_raw()).hexdigest()[:16]


def _own_key(folder: Path) -> SigningKey:
    """The installation's own key. Of processes that make it at once, one wins and all use its key."""
    path = folder / PRIVATE
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        # the service, which is another user, reads the public key; the private one is 0600
        folder.chmod(0o755)
        write_once(path, SigningKey.new().pem, 0o600)
    key = SigningKey.from_pem(_read_private(path), where=str(path))
    public = folder / PUBLIC
    if not public.exists():  # also when the process that made the key was killed before it came so far
        write_once(public, key.public_pem, 0o644)
    if key.id not in {key_id(one) for one in _public_keys(public)}:
        raise ReleaseError(f"is not the public key of {PRIVATE}", where=str(public),
                           next_step="rename it, such as to old.pub: its releases stay trusted, the new key gets its own")  # fmt: skip
    return key


def _read_private(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            content = file.read(MAX_KEY_FILE)
    except OSError as error:
        raise ReleaseError(f"the signing key cannot be read: {error.strerror}", where=str(path),
                           next_step="correct KREISLAUF_SIGNING_KEY, or restore the file") from error  # fmt: skip
    if mode & OF_OTHERS:
        raise ReleaseError(f"others can read the signing key (mode {mode:04o})", where=str(path), allowed="mode 0600",
                           next_step=f"run: chmod 600 {path}; replace the key if others may have read it")  # fmt: skip
    return content


def _public_keys(path: Path) -> Iterator[Ed25519PublicKey]:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_KEY_FILE)
    except FileNotFoundError:
        return
    except OSError as error:
        raise ReleaseError(f"trusted keys cannot be read: {error.strerror}", where=str(path)) from error
    if PEM.encode() not in content:
        raise _no_key(str(path), "public")
    for part in content.split(PEM.encode())[1:]:
        try:
            found = serialization.load_pem_public_key(PEM.encode() + part)
        except (ValueError, UnsupportedAlgorithm) as error:
            raise _no_key(str(path), "public") from error
        if not isinstance(found, Ed25519PublicKey):
            raise _no_key(str(path), "public")
        yield found


def _no_key(where: str, kind: str) -> ReleaseError:
    return ReleaseError(f"is not the {kind} key of a release", where=where,
                        allowed=f"an Ed25519 {kind} key in PEM, not encrypted",
                        next_step="make one: openssl genpkey -algorithm ed25519")  # fmt: skip
