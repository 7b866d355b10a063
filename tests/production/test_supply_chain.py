"""What the images are made of, and the audit: complete, allowed, and able to find a fault."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from importlib import metadata
from pathlib import Path

import pytest

from deploy.supply_chain.__main__ import main
from deploy.supply_chain.bandit_findings import open_findings
from deploy.supply_chain.licence_page import page
from deploy.supply_chain.licences import ALLOWED, EXCEPTIONS, is_allowed, licence_of
from deploy.supply_chain.pins import installed_pins, normal, read_pins
from deploy.supply_chain.sbom import bill
from include.kreislauf import __version__
from include.kreislauf.settings import ROOT

AIRFLOW, SERVICE = ROOT / "requirements.txt", ROOT / "requirements-service.txt"
LOCKED = sorted(ROOT.glob("requirements*.txt"))
HASH = "--hash=sha256:" + "a" * 64


@pytest.mark.parametrize("path", LOCKED, ids=lambda path: path.name)
def test_every_requirement_has_one_version_and_hashes(path: Path) -> None:
    assert read_pins(path)
    assert "://" not in re.sub(r"#.*", "", path.read_text())  # from wherever pip is told to ask


@pytest.mark.parametrize(
    "line", ["numpy>=2", "numpy==2.4.6", f"git+https://host/numpy {HASH}", f"numpy {HASH}"]
)
def test_a_requirement_without_version_or_hash_is_refused(tmp_path: Path, line: str) -> None:
    (tmp_path / "requirements.txt").write_text(f"# made by uv\n{line}\n")
    with pytest.raises(ValueError, match=r"requirements\.txt: .* is not allowed; allowed: NAME==VERSION"):
        read_pins(tmp_path / "requirements.txt")


def test_a_pin_is_read_whole(tmp_path: Path) -> None:
    text = f"Foo_Bar[extra]==1.0 ; python_version < '3.12' \\\n    {HASH} \\\n    {HASH.replace('a' * 64, 'b' * 64)}\n    # via us\n"
    (tmp_path / "requirements.txt").write_text(text)
    (pin,) = read_pins(tmp_path / "requirements.txt")
    assert (pin.name, pin.version, pin.marker) == ("foo-bar", "1.0", "python_version < '3.12'")
    assert pin.hashes == ("a" * 64, "b" * 64)


def test_another_version_than_the_pinned_one_is_refused(tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_text(f"numpy==0.0.1 {HASH}\n")
    with pytest.raises(ValueError, match="numpy: installed in another version than pinned"):
        installed_pins(tmp_path / "requirements.txt")


def test_every_package_of_the_images_has_a_licence_that_is_allowed() -> None:
    for pin, package in installed_pins(AIRFLOW).items():
        assert is_allowed(pin.name, licence_of(pin.name, package)), pin.name


def test_exceptions_are_still_needed_and_have_reasons() -> None:
    here = {pin.name for pin in installed_pins(AIRFLOW)}
    assert EXCEPTIONS.keys() <= here
    assert all(len(reason) > 20 for _, reason in EXCEPTIONS.values())


@pytest.mark.parametrize(
    ("licence", "allowed"),
    [
        ("MIT", True), ("Apache-2.0 OR BSD-3-Clause", True), ("(MIT AND PSF-2.0)", True), ("", False),
        ("GPL-3.0-only", False), ("MIT AND GPL-3.0-only", False), ("MIT OR GPL-3.0-only", False),
        ("LGPL-3.0-only", False), ("Proprietary", False),
    ],
)  # fmt: skip
def test_a_licence_is_allowed_when_all_of_it_is(licence: str, allowed: bool) -> None:
    assert is_allowed("some-package", licence) is allowed


def test_an_exception_holds_for_the_licence_it_was_made_for() -> None:
    name, (licence, _) = next(iter(EXCEPTIONS.items()))
    assert is_allowed(name, licence) and not is_allowed(name, "GPL-3.0-only")
    assert licence not in ALLOWED


def test_the_page_of_licences_is_as_the_packages_say() -> None:
    written, now = (ROOT / "docs/reference/licences.md").read_text(), page(AIRFLOW, SERVICE)
    rows = [line for line in now.splitlines() if line.startswith("|")]
    assert [row for row in rows if row not in written] == []  # next: make licences
    assert all(f"`{pin.name}`" in written for pin in read_pins(AIRFLOW))


def test_a_package_whose_licence_is_not_allowed_stops_the_page(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("deploy.supply_chain.licence_page.licence_of", lambda name, _: "SSPL-1.0")
    assert main(["licences", "--output", str(tmp_path / "page.md")]) == 1
    told = capsys.readouterr().err
    assert "fastapi (SSPL-1.0)" in told and "deploy/supply_chain/licences.py" in told
    assert not (tmp_path / "page.md").exists()


def test_a_bill_lists_what_is_installed_with_its_files_hashes() -> None:
    found = {one["name"]: one for one in bill(AIRFLOW, "kreislauf-airflow", "1")["components"]}
    pins = installed_pins(AIRFLOW)
    assert found.keys() == {pin.name for pin in pins}
    for pin in pins:
        assert found[pin.name]["version"] == metadata.version(pin.name) == pin.version
        (files,) = found[pin.name]["externalReferences"]
        assert {one["content"] for one in files["hashes"]} == set(pin.hashes)
        assert found[pin.name]["licenses"]


def test_a_bill_tells_who_needs_whom() -> None:
    made = bill(SERVICE, "kreislauf-service", "1")
    needs = {one["ref"]: one["dependsOn"] for one in made["dependencies"]}
    refs = {one["bom-ref"] for one in made["components"]}
    assert set(needs) == refs | {made["metadata"]["component"]["bom-ref"]}
    assert all(set(below) <= refs for below in needs.values())
    names = {ref: {below.split("/")[1].split("@")[0] for below in ones} for ref, ones in needs.items()}
    (fastapi,) = (ref for ref in refs if ref.startswith("pkg:pypi/fastapi@"))
    assert {"starlette", "pydantic"} <= names[fastapi]


def test_the_service_has_its_own_smaller_bill_and_no_airflow() -> None:
    service, airflow = (
        {one["name"] for one in bill(path, "image", "1")["components"]} for path in (SERVICE, AIRFLOW)
    )
    assert service < airflow
    assert not any(name.startswith(("apache-airflow", "mlflow")) for name in service)


def test_the_same_environment_has_the_same_bill(tmp_path: Path) -> None:
    for name in ("one.json", "two.json"):
        assert (
            main(["sbom", str(SERVICE), "--name", "kreislauf-service", "--output", str(tmp_path / name)]) == 0
        )
    assert (tmp_path / "one.json").read_bytes() == (tmp_path / "two.json").read_bytes()
    image = json.loads((tmp_path / "one.json").read_text())["metadata"]["component"]
    assert (image["name"], image["version"]) == ("kreislauf-service", __version__)


def test_project_names_are_one() -> None:
    assert {normal(one) for one in ("Foo.Bar", "foo-bar", "FOO__bar")} == {"foo-bar"}


def _report(path: Path, rule: str, line: int) -> dict[str, object]:
    finding = {
        "filename": str(path),
        "test_id": rule,
        "line_number": line,
        "line_range": [line],
        "issue_text": "bad",
    }
    return {"errors": [], "results": [finding]}


def test_what_ruff_was_answered_needs_no_second_answer(tmp_path: Path) -> None:
    code = tmp_path / "code.py"
    code.write_text(
        "run(f'{x}')  # noqa: E501, S608 - a name of our own\nrun(f'{x}')  # noqa: S101\nrun(f'{x}')\n"
    )
    assert open_findings(_report(code, "B608", 1)) == []
    assert open_findings(_report(code, "B608", 2)) == [f"{code}:2: B608 bad"]
    assert open_findings(_report(code, "B608", 3)) == [f"{code}:3: B608 bad"]


def test_code_that_could_not_be_read_is_a_finding() -> None:
    assert open_findings({"errors": [{"filename": "a.py", "reason": "syntax error"}], "results": []}) == [
        "a.py: syntax error"
    ]


def test_base_images_are_arguments_whose_defaults_name_a_version() -> None:
    text = (ROOT / "Dockerfile").read_text()
    bases = dict(re.findall(r"^ARG (\w+_IMAGE)=(\S+)$", text, re.MULTILINE))
    stages = re.findall(r"^FROM (\S+) AS (\S+)$", text, re.MULTILINE)
    assert len(stages) == len(re.findall(r"^FROM ", text, re.MULTILINE))
    assert {base for base, _ in stages} - {name for _, name in stages} == {f"${{{name}}}" for name in bases}
    assert all(re.search(r":\d", image) for image in bases.values())


@pytest.mark.parametrize(("name", "item"), [(".checkov.yaml", "CK"), (".hadolint.yaml", "DL")])
def test_every_check_that_is_left_out_has_its_reason(name: str, item: str) -> None:
    lines = (ROOT / name).read_text().splitlines()
    left_out = [number for number, line in enumerate(lines) if line.lstrip().startswith(f"- {item}")]
    assert left_out
    for number in left_out:
        above = next(line for line in reversed(lines[:number]) if not line.lstrip().startswith(f"- {item}"))
        assert above.lstrip().startswith("#"), lines[number]


@pytest.fixture
def faulty(tmp_path: Path) -> Path:
    """A repository with one fault of each kind, and the real audit."""
    if not (ROOT / ".venv-audit" / ".ready").exists():
        if os.environ.get("KREISLAUF_REQUIRE_AUDIT") == "1":
            pytest.fail("there is no .venv-audit: make audit (KREISLAUF_REQUIRE_AUDIT is set)")
        pytest.skip("there is no .venv-audit: make audit")
    shutil.copytree(ROOT / "deploy" / "supply_chain", tmp_path / "deploy" / "supply_chain")
    for name in (
        ".checkov.yaml",
        ".hadolint.yaml",
        ".yamllint",
        "pyproject.toml",
        *(one.name for one in LOCKED),
    ):
        shutil.copy(ROOT / name, tmp_path)
    for name in (".venv", ".venv-audit"):
        (tmp_path / name).symlink_to(ROOT / name)
    faults = {
        "Dockerfile": "FROM debian\nRUN cd /tmp\n",
        "include/code.py": 'def look(db, name):\n    return db.execute(f"SELECT * FROM t WHERE name = {name}")\n',
        "dags/empty.py": "", "plugins/empty.py": "", ".ci/run": "#!/bin/sh\n",
        "deploy/start.sh": "#!/bin/bash\nrm $1/*\n",
        "deploy/kubernetes/pod.yaml": "apiVersion: v1\nkind: Pod\nmetadata:  {name: one}\nspec: {container: []}\n",
    }  # fmt: skip
    for name, text in faults.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    subprocess.run(["git", "init", "--quiet"], cwd=tmp_path, check=True)
    subprocess.run(["git", "add", "deploy", ".ci", "Dockerfile"], cwd=tmp_path, check=True)
    return tmp_path


def test_the_audit_finds_every_fault_and_tells_them_all(faulty: Path) -> None:
    done = subprocess.run(
        ["bash", "deploy/supply_chain/audit.sh"], cwd=faulty, capture_output=True, text=True, timeout=240
    )
    assert done.returncode == 1
    told = done.stderr.splitlines()[-1]
    for name in ("hadolint", "bandit", "shellcheck", "yamllint", "Kubernetes' schemas", "checkov"):
        assert name in told, done.stdout
    assert "licences" not in told
    assert "include/code.py:2: B608" in done.stdout
    assert "deploy/kubernetes/pod.yaml: Pod one (1.30)" in done.stdout
