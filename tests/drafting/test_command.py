"""``new-use-case``, as a person at a shell meets it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from sqlalchemy import create_engine

from include.kreislauf import cli_new
from include.kreislauf.cli import main
from include.kreislauf.drafting import contents
from include.kreislauf.drafting.wishes import Wishes
from include.kreislauf.requirements.loading import load_contract
from tests.drafting.tables import machines, table_of, written


@pytest.fixture(autouse=True)
def installation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """One of its own, with one model family; returns the folder of its use cases."""
    monkeypatch.setattr(contents, "FAMILIES", ("ridge",))
    monkeypatch.setenv("KREISLAUF_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("KREISLAUF_USE_CASES", str(tmp_path / "use_cases"))
    monkeypatch.setenv("KREISLAUF_DATA", str(tmp_path))
    return tmp_path / "use_cases"


def new(folder: Path, *options: str) -> int:
    return main(
        ["new-use-case", "machines", "--data", str(folder / "table.csv"), "--target", "state", *options]
    )


def test_from_a_table_to_a_contract_that_is_checked(
    installation: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    written(machines(), tmp_path)
    assert (
        new(tmp_path, "--purpose", "repair in time", "--owner", "maintenance", "--sign-off", "automatic") == 0
    )
    path, said = installation / "machines" / "contract.yaml", capsys.readouterr()
    assert said.out == f"{path}\n"
    assert "240 rows collected, 240 prepared" in said.err
    assert 'requirements with {"use_case": "machines"}' in said.err
    contract = load_contract(path)
    assert (contract.purpose, contract.owner, contract.sign_off) == (
        "repair in time",
        "maintenance",
        "automatic",
    )
    assert 'url: "{data}/table.csv"' in path.read_text()
    assert [one.name for one in installation.iterdir()] == ["machines"]
    assert not (tmp_path / "home").exists()
    assert main(["contract", "check"]) == 0


def test_rows_of_a_database(installation: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url = f"sqlite:///{tmp_path}/plant.db"
    machines().to_sql("machines", create_engine(url), index=False)
    monkeypatch.setenv("KREISLAUF_CONNECTION_PLANT", url)
    query = 'SELECT "load", heat, kind, state FROM machines'
    assert main(["new-use-case", "machines", "--sql", "plant", "--query", query, "--target", "state"]) == 0
    (source,) = load_contract(installation / "machines" / "contract.yaml").sources
    assert (source.kind, set(source.columns)) == ("sql", {"load", "heat", "kind", "state"})


def test_a_use_case_that_is_there_already(
    installation: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    written(machines(), tmp_path)
    path = installation / "machines" / "contract.yaml"
    path.parent.mkdir(parents=True)
    path.write_text("mine")
    assert new(tmp_path) == 1
    assert "--force" in capsys.readouterr().err
    assert path.read_text() == "mine"
    assert new(tmp_path, "--force") == 0
    assert load_contract(path).name == "machines"


def test_what_cannot_be_is_told_and_nothing_is_written(
    installation: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    written(machines(state=["ok"] * 240), tmp_path)
    assert new(tmp_path) == 1
    assert "always 'ok': there is nothing to predict; allowed: " in capsys.readouterr().err
    assert not installation.exists()


@pytest.mark.parametrize(
    ("costs", "said"),
    [
        ("{", "cannot be read"),
        ("[1]", "cannot be read"),
        ("no-file.json", "cannot be read"),
        ('{"wait": {"ok": "much"}, "repair": {"ok": 1}}', "cannot be read"),
        ('{"wait": {"ok": 1, "broken": 2}}', "holds 1 actions"),
    ],
)
def test_costs_that_cannot_be_read(
    costs: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    written(machines(), tmp_path)
    assert new(tmp_path, "--costs", costs) == 1
    assert said in capsys.readouterr().err


def test_costs_from_a_file(installation: Path, tmp_path: Path) -> None:
    written(machines(), tmp_path)
    costs = {"wait": {"ok": 0, "broken": 900}, "repair": {"ok": 50, "broken": 80}}
    (tmp_path / "costs.json").write_text(json.dumps(costs))
    assert new(tmp_path, "--costs", str(tmp_path / "costs.json")) == 0
    assert load_contract(installation / "machines" / "contract.yaml").gate_metric.kind == "decision_value"


def test_what_is_open_is_asked_once_and_an_empty_answer_takes_the_proposal(tmp_path: Path) -> None:
    table = table_of(machines(grade=[1, 2, 10] * 80), tmp_path)
    asked: list[str] = []

    def answer(question: str) -> str:
        asked.append(question)
        return {"Which column is to be predicted?": "grade"}.get(question.split("\n")[0], "")

    wishes = cli_new._answered(table, Wishes("machines"), answer)
    assert wishes == Wishes("machines", target="grade", kind="multiclass")
    assert [one.split("?")[0] for one in asked] == [
        "Which column is to be predicted", "grade has 3 different whole numbers: are they classes, or a number to be estimated",
        "What for: who does what with the predictions",
    ]  # fmt: skip


def test_without_a_target_the_likely_ones_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    written(machines(), tmp_path)
    assert main(["new-use-case", "machines", "--data", str(tmp_path / "table.csv"), "--yes"]) == 1
    assert "no target is named; allowed: state, wear, kind, heat, load" in capsys.readouterr().err
