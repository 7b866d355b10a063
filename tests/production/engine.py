"""A Docker engine for the tests, and stand-ins for the base images where no image registry can be reached.

``python -m tests.production.engine`` starts the engine if there is none, sees to Compose v2, and makes every image that
Compose's file names and this computer does not have: from Debian's packages, under the official name, labelled as a
stand-in.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
STANDINS = Path(__file__).parent / "standins"
BASE, DEBIAN = "kreislauf-standin:base", "debian:bookworm-slim"
LABEL = "kreislauf.standin"
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
AUTHORITIES = Path("/usr/local/share/ca-certificates")
# variable of .env.example -> folder of the stand-in; Grafana has none
STAND_INS = {
    "AIRFLOW_IMAGE": "airflow",
    "PYTHON_IMAGE": "python",
    "POSTGRES_IMAGE": "postgres",
    "REDIS_IMAGE": "redis",
    "PROMETHEUS_IMAGE": "prometheus",
    "STATSD_EXPORTER_IMAGE": "statsd-exporter",
}


def docker(*words: str, check: bool = True, timeout: float = 900) -> subprocess.CompletedProcess[str]:
    """Run a command of Docker's; its output as text."""
    done = subprocess.run(["docker", *words], capture_output=True, text=True, timeout=timeout)
    if check and done.returncode:
        raise AssertionError(f"docker {' '.join(words)} failed:\n{done.stdout[-2000:]}{done.stderr[-4000:]}")
    return done


def answers() -> bool:
    """Whether an engine answers."""
    return docker("info", check=False).returncode == 0


def ensure_engine(log: Path) -> None:
    """Start Docker's engine if none answers and one is installed; it stays, for the next tests.

    Raises
    ------
    RuntimeError: there is none, or it does not answer within 60 s.
    """
    if answers():
        return
    if shutil.which("dockerd") is None or os.geteuid() != 0:
        raise RuntimeError("no Docker engine answers, and none can be started: dockerd and root are needed")
    with log.open("ab") as stream:
        subprocess.Popen(["dockerd"], stdout=stream, stderr=stream, start_new_session=True)
    for _ in range(60):
        if answers():
            return
        time.sleep(1)
    raise RuntimeError(f"Docker's engine does not answer; its log: {log.read_text()[-2000:]}")


def ensure_compose_v2() -> None:
    """Compose v2 as Docker's plugin, from Debian 13's package, where Debian 12 has 1.29 only; it stays."""
    if (
        subprocess.run(["docker", "compose", "version"], capture_output=True).returncode == 0
        or os.geteuid() != 0
    ):
        return
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        for name in ("lists/partial", "cache/archives/partial"):
            (place / name).mkdir(parents=True)
        (place / "sources.list").write_text(f"deb [signed-by={KEYRING}] {_mirror()} trixie main\n")
        apt = [
            "apt-get", "-qq", "-o", f"Dir::Etc::sourcelist={place}/sources.list", "-o", "Dir::Etc::sourceparts=-",
            "-o", f"Dir::State::lists={place}/lists", "-o", f"Dir::Cache={place}/cache",
            "-o", "APT::Sandbox::User=root",
        ]  # fmt: skip
        for words in (["update"], ["download", "docker-compose"]):
            subprocess.run([*apt, *words], cwd=place, check=True, capture_output=True, timeout=300)
        (package,) = place.glob("*.deb")
        subprocess.run(["dpkg-deb", "-x", str(package), str(place / "tree")], check=True, timeout=60)
        plugins = Path.home() / ".docker" / "cli-plugins"
        plugins.mkdir(parents=True, exist_ok=True)
        shutil.copy(place / "tree/usr/libexec/docker/cli-plugins/docker-compose", plugins)


def _mirror() -> str:
    """Where this computer has its Debian packages from."""
    said = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(REPO_URI) $(RELEASE)", "Created-By: Packages"],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    return next(line.split()[0] for line in said.splitlines() if line.endswith(" bookworm"))


def official_names() -> dict[str, str]:
    """Variable -> name of the image, as `.env.example` has them."""
    return dict(re.findall(r"^([A-Z_]+_IMAGE)=(.+)$", (ROOT / ".env.example").read_text(), re.MULTILINE))


def ensure_images() -> list[str]:
    """Make the stand-ins of those images that neither this computer nor a registry has; their names."""
    names = official_names()
    absent = {
        names[variable]: folder for variable, folder in STAND_INS.items() if not _there(names[variable])
    }
    if not absent:
        return []
    _base()
    for name, folder in absent.items():
        docker("build", "-q", "--label", f"{LABEL}=true", "-t", name, str(STANDINS / folder))
    return list(absent)


def _there(name: str) -> bool:
    if docker("image", "inspect", name, check=False).returncode == 0:
        return True
    try:
        return docker("pull", "-q", name, check=False, timeout=600).returncode == 0
    except subprocess.TimeoutExpired:
        return False


def _base() -> None:
    if not _there(DEBIAN):
        _debian()
    with tempfile.TemporaryDirectory() as folder:
        context = Path(folder)
        shutil.copy(STANDINS / "base" / "Dockerfile", context)
        (context / "authorities").mkdir()
        (context / "authorities" / ".keep").touch()
        for authority in AUTHORITIES.glob("*.crt") if AUTHORITIES.is_dir() else ():
            shutil.copy(authority, context / "authorities")
        docker("build", "-q", "--label", f"{LABEL}=true", "-t", BASE, folder)


def _debian() -> None:
    """Debian's own minimal system, from its packages."""
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder) / "tree"
        packages = "--include=ca-certificates,curl,procps"
        subprocess.run(
            ["debootstrap", "--variant=minbase", packages, "bookworm", str(tree)],
            check=True, stdout=subprocess.DEVNULL, timeout=900,
        )  # fmt: skip
        shutil.rmtree(tree / "var/cache/apt/archives")
        (tree / "var/cache/apt/archives/partial").mkdir(parents=True)
        with subprocess.Popen(["tar", "-C", str(tree), "-c", "."], stdout=subprocess.PIPE) as packed:
            subprocess.run(
                ["docker", "import", "--change", 'CMD ["bash"]', "--change", f"LABEL {LABEL}=true", "-", DEBIAN],
                check=True, stdin=packed.stdout, stdout=subprocess.DEVNULL, timeout=600,
            )  # fmt: skip


if __name__ == "__main__":
    ensure_engine(Path(tempfile.gettempdir()) / "kreislauf-dockerd.log")
    ensure_compose_v2()
    print("\n".join(f"made {name}" for name in ensure_images()) or "every image is there")
