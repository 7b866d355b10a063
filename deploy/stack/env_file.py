"""The file `.env`: reading it, judging its secrets, filling in what is empty. No message ever shows a value."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
import re
import secrets
import string
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

from deploy.stack.errors import Fault

LETTERS = string.ascii_letters + string.digits
LENGTH = 64
"""SHA-512, which signs the tokens, wants that many bytes of a key."""
SHORTEST = 16
FERNET, JWT = "AIRFLOW_FERNET_KEY", "AIRFLOW_JWT_SECRET"
BEFORE = (
    "but where the stack has run before, put the old value back from your copy: data would not fit a new one"
)
FEWEST_KINDS = 8
"""So many different characters a secret has at least."""
WORDS = re.compile(
    "changeme|change|please|password|passwort|passwd|secret|default|example|placeholder|insecure|dummy|sample"
    "|airflow|kreislauf|postgres|grafana|mlflow|redis|admin|root|user|test|todo|your|here|qwerty|letmein"
    "|1234567890|0123456789|12345678|123456|1234|abcdef|xxx+"
)
_LINE = re.compile(r"^\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)=(.*)$")


def parse(text: str) -> dict[str, str]:
    """The assignments of a file, as Compose reads them: comments and quotes taken off."""
    found = {}
    for line in text.splitlines():
        if matched := _LINE.match(line):
            value = matched[2].strip()
            quoted = re.match(r"""(['"])(.*?)\1""", value)
            found[matched[1]] = quoted[2] if quoted else re.sub(r"(^|\s+)#.*$", "", value)
    return found


def required_in(compose: str) -> list[str]:
    """Names of what a Compose file requires (`${NAME:?…}`), in the order of the alphabet."""
    return sorted(set(re.findall(r"\$\{([A-Z_]+):\?", compose)))


def mode_faults(path: Path) -> list[Fault]:
    """Whether others can read the file, or it is not there at all."""
    if not path.is_file():
        return [Fault("is missing", where=str(path), next_step=f"make secrets; {BEFORE}")]
    if not os.access(path, os.R_OK):
        return [Fault("cannot be read", where=str(path), allowed="a file of the user that runs this, mode 0600",
                      next_step=f"sudo chown $USER {path}")]  # fmt: skip
    if (mode := path.stat().st_mode & 0o777) & 0o077:
        return [Fault(f"can be read or changed by others (mode {mode:04o})", where=str(path), allowed="mode 0600",
                      next_step=f"chmod 600 {path}, and make new secrets if others had access to this computer")]  # fmt: skip
    return []


def secret_faults(values: Mapping[str, str], required: Iterable[str], where: str) -> list[Fault]:
    """What is wrong with the secrets: missing, weak, of characters that break a URL, or used twice."""
    found: list[Fault] = []
    users: dict[str, str] = {}
    for name in required:
        value = values.get(name, "")
        if value and value in users:
            found.append(Fault(f"{name} has the same value as {users[value]}", where=where,
                               allowed="a value of its own for each secret",
                               next_step=f"empty {name} and run make secrets"))  # fmt: skip
        users.setdefault(value, name)
        if fault := _fault(name, value, where):
            found.append(fault)
    return found


def _fault(name: str, value: str, where: str) -> Fault | None:
    if not value:
        return Fault(f"{name} is missing or empty", where=where, next_step=f"make secrets; {BEFORE}")
    again = f"empty {name} and run make secrets; where it is in use already, change it there too"
    if name == FERNET:
        if all(_is_fernet(one) for one in value.split(",")):
            return None
        return Fault(f"{name} is no Fernet key", where=where, next_step=again,
                     allowed="32 bytes as URL-safe base64; several with commas between")  # fmt: skip
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", value):
        return Fault(f"{name} holds a character that breaks a URL or a command line", where=where, next_step=again,
                     allowed="letters and digits")  # fmt: skip
    if len(value) < (least := LENGTH if name == JWT else SHORTEST):
        return Fault(
            f"{name} is too short", where=where, next_step=again, allowed=f"{least} characters or more"
        )
    if is_weak(value):
        return Fault(
            f"{name} is a default or easily guessed",
            where=where,
            next_step=again,
            allowed="random characters",
        )
    return None


def is_weak(value: str) -> bool:
    """Whether little is left of a secret without the words that people put for one."""
    rest = re.sub(r"[^a-z0-9]", "", WORDS.sub("", value.lower()))
    return len(rest) < SHORTEST // 2 or len(set(value)) < FEWEST_KINDS


def _is_fernet(value: str) -> bool:
    try:
        decoded = base64.b64decode(value.strip(), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return False
    return len(decoded) == 32 and len(set(decoded)) >= FEWEST_KINDS


def fingerprints(fernet: str) -> list[str]:
    """Of each Fernet key a value by which it is known again, and from which nobody can find it."""
    keys = (one.strip() for one in fernet.split(","))
    return [hmac.new(one.encode(), b"kreislauf backup", hashlib.sha256).hexdigest() for one in keys if one]


def new_secret(name: str) -> str:
    """A fresh random value, of the form that the name asks for."""
    if name == FERNET:
        return base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()
    while is_weak(value := "".join(secrets.choice(LETTERS) for _ in range(LENGTH))):
        pass  # some 40 random letters in very many hold enough words
    return value


def fill(text: str, required: Iterable[str]) -> tuple[str, list[str]]:
    """The text with a value for each required secret that had none, and their names; nothing else changes."""
    values, made = parse(text), []
    for name in required:
        if values.get(name):
            continue
        made.append(name)
        line = f"{name}={new_secret(name)}"
        changed, count = re.subn(rf"^\s*(?:export\s+)?{name}=.*$", line, text, flags=re.MULTILINE)
        text = changed if count else f"{text}{'' if text.endswith(chr(10)) or not text else chr(10)}{line}\n"
    return text, made


def write(path: Path, text: str) -> None:
    """Write the file whole, for its owner alone."""
    target = path.resolve()
    descriptor, name = tempfile.mkstemp(prefix=".env.", dir=target.parent)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(target)
    except BaseException:
        Path(name).unlink()
        raise
