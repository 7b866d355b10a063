"""What `make start` takes in, and what it says; the stack itself is started by tests/ring/test_start.py."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any, cast

import pytest

from include.kreislauf.cli import main, parser
from include.kreislauf.cli_start import connection, port, started_settings
from include.kreislauf.embedded import desk as desks
from include.kreislauf.embedded.airflow_api import AirflowApi
from include.kreislauf.embedded.choosing import BUNDLE, SHIPPED, Chosen
from include.kreislauf.embedded.desk import Desk
from include.kreislauf.embedded.making import SIMULATED
from include.kreislauf.embedded.session import installation
from include.kreislauf.embedded.stack import EmbeddedStack
from include.kreislauf.embedded.standing import Addresses, is_begun, standing
from include.kreislauf.errors import ContractError
from include.kreislauf.store import contracts, cycles, live
from include.kreislauf.store.cycles import State
from include.kreislauf.store.database import Store
from tests.support.examples import NOW, USE_CASE, open_cycle, release
from tests.support.use_cases import write_use_case

AT = Addresses("http://airflow", "http://service", "*/10 * * * *")
TRIGGER = 'trigger the DAG requirements with {"use_case": "radar"}'


def chosen(folder: Path, *asked: str, besides: tuple[str, ...] = ()) -> Chosen:
    return Chosen(folder / "use_cases", folder / "links", asked, besides)


def own(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / "use_cases" / name / "contract.yaml"
        path.parent.mkdir(parents=True)
        path.write_text(f"name: {name}\n")


def seen(folder: Path) -> list[str]:
    """The use cases that a stack finds."""
    return [path.parent.name for path in sorted((folder / "links").glob("*/contract.yaml"))]


# --- which use cases


def test_those_that_ship_are_left_out_unless_they_are_asked_for(tmp_path: Path) -> None:
    assert tuple(sorted(SIMULATED)) == SHIPPED
    mine = Chosen(BUNDLE, tmp_path)
    assert set(mine.left_out()) == set(SHIPPED)
    assert not set(mine.names()) & set(SHIPPED)
    assert Chosen(BUNDLE, tmp_path, ["machine_failure"]).names() == ["machine_failure"]
    assert set(SHIPPED) <= set(Chosen(BUNDLE, tmp_path, ["all"]).names())
    assert "technology_radar" in Chosen(BUNDLE, tmp_path, besides=["technology_radar"]).names()


def test_in_a_folder_of_ones_own_nothing_ships(tmp_path: Path) -> None:
    own(tmp_path, "technology_radar", "wine")
    assert chosen(tmp_path).link() == seen(tmp_path) == ["technology_radar", "wine"]


def test_the_links_follow_the_folder(tmp_path: Path) -> None:
    own(tmp_path, "a", "b")
    mine = chosen(tmp_path)
    assert mine.link() == seen(tmp_path) == ["a", "b"]
    own(tmp_path, "c")
    (tmp_path / "use_cases" / "a" / "contract.yaml").rename(tmp_path / "kept.yaml")
    assert mine.link() == seen(tmp_path) == ["b", "c"]
    assert chosen(tmp_path, "b").link() == seen(tmp_path) == ["b"]
    assert [one.name for one in (tmp_path / "links").iterdir()] == ["b"]
    # the same name in another folder, at a later start
    (tmp_path / "use_cases").rename(tmp_path / "elsewhere")
    moved = Chosen(tmp_path / "elsewhere", tmp_path / "links")
    moved.link()
    assert (tmp_path / "links" / "b").resolve() == tmp_path / "elsewhere" / "b"


def test_a_name_that_is_not_there_is_refused_with_those_that_are(tmp_path: Path) -> None:
    own(tmp_path, "wine")
    chosen(tmp_path, "all", besides=("wine",)).require()
    for mistaken in (chosen(tmp_path, "vine"), chosen(tmp_path, besides=("vine",))):
        with pytest.raises(ContractError, match=r"no use case is named 'vine'; allowed: wine"):
            mistaken.require()


# --- what is said of each


@pytest.fixture
def use_cases(tmp_path: Path) -> Path:
    """A folder with one use case."""
    write_use_case(tmp_path / "use_cases", USE_CASE)
    return tmp_path / "use_cases"


def line(store: Store, use_cases: Path, at: Addresses = AT) -> str:
    with store.read() as db:
        return standing(db, use_cases, USE_CASE, at)


def record(store: Store, use_cases: Path) -> None:
    with store.write() as db:
        contracts.record_contract(db, write_use_case(use_cases, USE_CASE), NOW)


def move(store: Store, state: State, note: str) -> None:
    cycle = open_cycle(store, "first")
    with store.write() as db:
        cycles.set_state(db, cycle, state, NOW, note)


def test_a_new_contract_says_how_it_begins(store: Store, use_cases: Path) -> None:
    assert line(store, use_cases) == (
        f"not begun: {TRIGGER}, or wait: requirements looks for new contracts (*/10 * * * *, UTC)"
    )
    assert line(store, use_cases, Addresses("", "", "")) == f"not begun: {TRIGGER}"


@pytest.mark.parametrize(
    ("state", "said"),
    [
        (State.ACTIVE, "c0001-2016-01-01 is at work"),
        (State.WAITING, "c0001-2016-01-01 waits for a person (a note): http://airflow/required_actions"),
        (State.FAILED, f"c0001-2016-01-01 failed (a note): see its failed task in Airflow, {TRIGGER}"),
        (State.CLOSED, "c0001-2016-01-01 ended without a release (a note)"),
        (State.REFUSED, ""),
    ],
)
def test_where_the_newest_cycle_stands(store: Store, use_cases: Path, state: State, said: str) -> None:
    record(store, use_cases)
    move(store, state, "a\nnote")
    assert line(store, use_cases) == said
    with store.read() as db:
        assert is_begun(db, USE_CASE) is (state in (State.ACTIVE, State.WAITING))


def test_a_live_release_is_told_beside_a_contract_that_is_broken_or_changed(
    store: Store, use_cases: Path
) -> None:
    record(store, use_cases)
    move(store, State.LIVE, "")
    with store.write() as db:
        live.save_release(db, release(3))
        assert live.promote(
            db, USE_CASE, 3, expected=None, cycle_id="c0001-2016-01-01", reason="", as_of=NOW, now=NOW
        )
        assert is_begun(db, USE_CASE)
    is_live = "release 3 is live: http://service/v1/radar/predictions"
    assert line(store, use_cases) == is_live
    path = use_cases / USE_CASE / "contract.yaml"
    text = path.read_text()
    path.write_text(f"{text}colour: red\n")
    assert line(store, use_cases).startswith(f"broken: {path}:")
    assert line(store, use_cases).endswith(is_live)
    write_use_case(use_cases, USE_CASE, title="Another")
    assert line(store, use_cases).startswith(f"{is_live}; its contract has changed: {TRIGGER}")


# --- when the first cycle is begun


class Airflow:
    """What the desk asks of Airflow's API."""

    def __init__(self) -> None:
        self.at_work: list[str] = []
        self.asking: list[str] = []
        self.triggered: list[dict[str, Any]] = []
        self.ended = False

    def runs(self, *_: object, **__: object) -> list[dict[str, str]]:
        return [{"dag_run_id": one} for one in (*self.at_work, *self.asking)]

    def hitl_details(self, *_: object) -> list[dict[str, Any]]:
        return [{"task_instance": {"dag_run_id": one}} for one in self.asking]

    def trigger(self, dag_id: str, *, conf: dict[str, str], note: str) -> dict[str, str]:
        self.triggered.append({"dag": dag_id, "note": note, **conf})
        return {"dag_run_id": "by hand"}

    def run(self, *_: object) -> dict[str, str]:
        return {"state": "failed" if self.ended else "running"}


@pytest.fixture
def airflow() -> Airflow:
    return Airflow()


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def desk(
    store: Store, use_cases: Path, airflow: Airflow, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> Desk:
    """A desk that is told of every use case; the clock has had its time."""
    monkeypatch.setattr(desks, "CLOCK_SECONDS", 0)
    mine = Chosen(use_cases, use_cases.parent / "links")
    stack = EmbeddedStack(use_cases.parent / "home", BUNDLE)
    return Desk(stack, cast(AirflowApi, airflow), store, mine, "", said.append)


def test_the_first_cycle_is_begun_once_the_clock_has_looked(
    desk: Desk, airflow: Airflow, said: list[str]
) -> None:
    airflow.at_work, airflow.asking = ["scheduled"], ["of another"]
    desk.begin(USE_CASE)
    desk.look()
    assert airflow.triggered == []
    airflow.at_work = []
    desk.look()
    desk.look()
    (made,) = airflow.triggered
    assert (made["dag"], made["use_case"], made["note"]) == ("requirements", USE_CASE, "the first model")
    assert made["by"]
    assert said == ["radar            its first cycle begins"]
    airflow.ended = True
    desk.look()
    assert said[-1] == f"radar            not begun: {TRIGGER}"


def test_what_the_clock_has_found_or_is_there_already_is_not_begun_again(
    desk: Desk, airflow: Airflow, store: Store, use_cases: Path, said: list[str]
) -> None:
    desk.begin(USE_CASE)
    record(store, use_cases)
    move(store, State.WAITING, "sign-off")
    desk.look()
    desk.begin(USE_CASE)
    desk.look()
    assert airflow.triggered == []
    assert said[-1] == "radar            --begin: it has begun already"


def test_news_are_told_once_and_those_of_earlier_starts_not_at_all(
    desk: Desk, store: Store, use_cases: Path, said: list[str]
) -> None:
    record(store, use_cases)
    move(store, State.FAILED, "long ago")
    desk.look()
    assert len(said) == 1
    second = open_cycle(store, "second")
    with store.write() as db:
        cycles.set_state(db, second, State.WAITING, NOW, "sign-off")
    desk.look()
    desk.look()
    assert said[1:] == [
        f"radar              {second.cycle_id}  waiting: sign-off",
        f"radar            {second.cycle_id} waits for a person (sign-off): /required_actions",
    ]


def test_a_folder_that_becomes_empty_says_how_to_draft(desk: Desk, use_cases: Path, said: list[str]) -> None:
    desk.look()
    (use_cases / USE_CASE / "contract.yaml").unlink()
    desk.look()
    assert "new-use-case NAME" in said[-2]
    assert said[-1] == "radar            is no longer there"


# --- options


def test_a_connection_gets_the_variable_that_sources_look_for(tmp_path: Path) -> None:
    found = dict([connection("my-plant=sqlite:////plant.db?a=b")])
    env = installation(tmp_path, tmp_path, data="", clock="wall", connections=found)
    assert env["KREISLAUF_CONNECTION_MY_PLANT"] == "sqlite:////plant.db?a=b"
    for wrong in ("plant", "=sqlite:///a", "plant=a.db"):
        with pytest.raises(argparse.ArgumentTypeError, match="allowed: NAME=URL"):
            connection(wrong)


@pytest.mark.parametrize("wrong", ["0", "65536", "-1", "http", "٣", ""])
def test_a_port_is_one_that_can_be(wrong: str) -> None:
    assert port("65535") == 65_535
    with pytest.raises(argparse.ArgumentTypeError, match="allowed: 1 to 65535"):
        port(wrong)


def test_options_win_over_variables_and_paths_become_absolute(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "own").mkdir()
    monkeypatch.chdir(tmp_path)
    for name, value in {"HOME": "h", "USE_CASES": "own", "DATA": "d"}.items():
        monkeypatch.setenv(f"KREISLAUF_{name}", value)

    def paths(*options: str) -> tuple[str, str, str]:
        found = started_settings(parser().parse_args(["start", *options]))
        return str(found.home), str(found.use_cases), found.data

    assert paths() == (f"{tmp_path}/h", f"{tmp_path}/own", f"{tmp_path}/d")
    assert paths("--home", "/x", "--use-cases", "/", "--data", "s3://b") == ("/x", "/", "s3://b")


def test_a_start_without_its_folder_or_use_case_starts_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home = ["--home", str(tmp_path / "home")]
    assert main(["start", *home, "--use-cases", str(tmp_path / "none")]) == 1
    assert "no such folder" in capsys.readouterr().err
    assert main(["start", *home, "--use-cases", str(tmp_path), "--begin", "wine"]) == 1
    assert "no use case is named 'wine'" in capsys.readouterr().err
    assert not (tmp_path / "home").exists()
