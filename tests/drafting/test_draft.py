"""The whole way from a table to a contract, with tables as people have them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from include.kreislauf.drafting import contents, installing
from include.kreislauf.drafting.draft import Draft, draft
from include.kreislauf.drafting.installing import try_out_whole, write_contract
from include.kreislauf.drafting.placing import place_of, refuse_existing
from include.kreislauf.drafting.table import DraftError
from include.kreislauf.drafting.wishes import Wishes
from include.kreislauf.requirements.loading import load_contract
from include.kreislauf.requirements.monitoring import Outcomes
from include.kreislauf.requirements.sources import TableSource
from include.kreislauf.settings import Settings
from tests.drafting.tables import NOW, ROWS, machines, seen, table_of, written

ORDER = np.arange(ROWS)
COSTS = {"wait": {"ok": 0.0, "broken": 900.0}, "repair": {"ok": 50.0, "broken": 80.0}}


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """One family: what is tested is the way, not how good its end is."""
    monkeypatch.setattr(contents, "FAMILIES", ("ridge",))


def drafted(frame: pd.DataFrame, folder: Path, **wished: Any) -> Draft:
    return draft(table_of(frame, folder), Wishes(name="machines", **{"target": "state", **wished}), now=NOW)


@pytest.mark.parametrize(
    ("wished", "kind", "metric", "measure"),
    [
        ({"target": "wear"}, "regression", "mae", "absolute_error"),
        ({"target": "state"}, "binary", "log_loss", "hit"),
        ({"target": "state", "measure": "squared_error"}, "binary", "log_loss", "squared_error"),
        ({"target": "kind"}, "multiclass", "log_loss", "hit"),
    ],
)
def test_a_contract_for_each_kind(
    wished: dict[str, str], kind: str, metric: str, measure: str, tmp_path: Path
) -> None:
    made = drafted(machines(), tmp_path, **wished)
    contract = load_contract(write_contract(made, tmp_path))
    assert contract == made.contract
    assert (contract.problem.kind, contract.problem.requests) == (kind, "features")
    assert contract.performance.metric == metric
    business = contract.gate_metric
    assert isinstance(business, Outcomes)
    assert business.measure == measure
    assert (contract.sign_off, contract.monitoring.starved_days) == ("required", 30)


def test_every_proposed_number_has_a_reason(tmp_path: Path) -> None:
    lines = drafted(machines(), tmp_path).text.splitlines()
    for name in (
        "min_gain",
        "too_good_to_be_true",
        "gate_threshold",
        "threshold",
        "bounds",
        "min_rows",
        "folds",
        "baseline",
        "starved_days",
    ):
        (place,) = [number for number, line in enumerate(lines) if line.strip().startswith(f"{name}:")]
        assert lines[place - 1].strip().startswith("#"), name


def test_what_people_must_add_is_told(tmp_path: Path) -> None:
    made = drafted(machines(), tmp_path)
    told = " ".join(made.missing)
    assert all(one in told for one in ("purpose", "owner", "sign-off", "/v1/machines/outcomes", "table.csv"))
    named = drafted(machines(), tmp_path, purpose="p", owner="o", sign_off="automatic")
    assert not any(one in " ".join(named.missing) for one in ("purpose", "owner", "sign-off"))
    assert named.contract.sign_off == "automatic"


def test_costs_make_a_decision_value(tmp_path: Path) -> None:
    made = drafted(machines(), tmp_path, costs=COSTS, unit="euros per shift")
    metric = made.contract.gate_metric
    assert metric.kind == "decision_value"
    assert (metric.without, metric.test.bounds, metric.unit) == ("wait", (-50.0, 820.0), "euros per shift")
    assert 0 < metric.gate_threshold < 820


@pytest.mark.parametrize(
    ("wished", "what"),
    [
        ({"costs": {"wait": {"ok": 0.0}, "repair": {"ok": 1.0}}}, "costs for ok"),
        ({"costs": COSTS, "without": "pray"}, "no action 'pray'"),
        ({"costs": {"a": {"ok": 1.0, "broken": 1.0}, "b": {"ok": 1.0, "broken": 1.0}}}, "all actions cost the same"),
        ({"measure": "decision_value"}, "no value without costs"),
        ({"measure": "absolute_error"}, "measure absolute_error with kind binary"),
        ({"name": "Two Words"}, "'Two Words' cannot be the name"),
    ],
)  # fmt: skip
def test_wishes_that_do_not_fit_are_told(wished: dict[str, Any], what: str, tmp_path: Path) -> None:
    with pytest.raises(DraftError) as caught:
        draft(
            table_of(machines(), tmp_path),
            Wishes(**{"name": "machines", "target": "state", **wished}),
            now=NOW,
        )
    assert what in caught.value.text


@pytest.mark.parametrize("name", ["number", "text"])
def test_an_identifier_that_tells_the_target_is_a_leak(name: str, tmp_path: Path) -> None:
    """Rows that are numbered in the order of the target: the best feature there is, and worth nothing."""
    frame = machines().sort_values("state", ignore_index=True)
    frame["nr"] = ORDER if name == "number" else [f"M{number:05}" for number in ORDER]
    made = drafted(frame, tmp_path)
    (leak,) = [line for line in made.warnings if line.startswith("leak:")]
    assert "nr goes with state" in leak
    assert "more than any feature" in leak
    (source,) = made.contract.sources
    assert isinstance(source, TableSource)
    assert not source.columns["nr"].feature


def test_a_feature_that_is_the_target_in_disguise_is_told(tmp_path: Path) -> None:
    frame = machines()
    frame["repaired"] = (frame["wear"] * 3).round(6)
    assert any("leak? repaired" in line for line in drafted(frame, tmp_path, target="wear").warnings)


def test_dates_in_three_forms_are_left_as_text_and_told(tmp_path: Path) -> None:
    forms = ["03/04/2024", "4. April 2024", "2024.05.06"] * 80
    made = drafted(machines(bought=forms), tmp_path)
    assert any("never guessed" in line and "bought" in line for line in made.warnings)
    assert "bought: {type: text, feature: false}" in made.text
    assert made.contract.problem.time is None


def test_columns_that_are_mostly_missing_are_told(tmp_path: Path) -> None:
    made = drafted(machines(rare=[1.0, *[None] * 11] * 20, half=[1.0, None, None] * 80), tmp_path)
    assert "92% of the values are missing" in made.text
    assert any("mostly missing: half (67%)" in line for line in made.warnings)


def test_names_with_anything_in_them(tmp_path: Path) -> None:
    names = {"load": "a b", "heat": 'it\'s "q"', "kind": "😀: #1", "wear": "x; DROP TABLE y --"}
    frame = machines(**{"{data}": ORDER % 7, "- no": ORDER % 5, " null": ORDER % 3}).rename(columns=names)
    made = drafted(frame, tmp_path)
    (source,) = load_contract(write_contract(made, tmp_path)).sources
    assert isinstance(source, TableSource)
    assert list(source.columns) == list(frame.columns)
    assert "240 rows collected, 240 prepared" in tried_whole(made, tmp_path)


def test_two_thousand_columns(tmp_path: Path) -> None:
    wide = {f"x{number}": np.random.default_rng(number).normal(size=ROWS).round(3) for number in range(2_000)}
    made = drafted(pd.concat([machines(), pd.DataFrame(wide)], axis=1), tmp_path, target="wear")
    (source,) = made.contract.sources
    assert isinstance(source, TableSource)
    assert len(source.columns) == 2_005


def test_a_contract_that_would_be_too_long_is_refused(tmp_path: Path) -> None:
    wide = pd.DataFrame({f"{number:0120}": ORDER % 9 / 7 for number in range(2_000)})
    with pytest.raises(DraftError, match="a contract with 2005 columns would have "):
        drafted(pd.concat([machines(), wide], axis=1), tmp_path)


def test_rows_with_time_are_split_by_it(tmp_path: Path) -> None:
    months = pd.date_range("2024-01-01", periods=24, freq="MS").strftime("%Y-%m-%d")
    made = drafted(
        machines(month=np.repeat(months, 10), machine=[*range(10)] * 24),
        tmp_path,
        target="wear",
        entity="machine",
    )
    problem, training = made.contract.problem, made.contract.training
    assert (problem.time, problem.period, problem.entity, problem.row_hours) == (
        "month",
        "month",
        "machine",
        None,
    )
    assert (training.held_out_periods, training.search_periods) == (6, 6)
    assert "240 rows collected" in tried_whole(made, tmp_path)


def test_rows_that_nothing_can_be_learnt_from_are_told(tmp_path: Path) -> None:
    """A person still gets the contract: the gate will say no, and why is known before."""
    random = np.random.default_rng(3)
    frame = pd.DataFrame({"noise": random.normal(size=ROWS), "state": random.choice(["ok", "broken"], ROWS)})
    made = drafted(frame, tmp_path)
    assert made.contract.performance.min_gain == 0.01
    assert any("the gates would say no" in line for line in made.warnings)


def test_what_preparation_would_send_back_is_told_before_anything_is_written(tmp_path: Path) -> None:
    made = drafted(machines(), tmp_path)
    written(machines(load=["broken sensor", *ORDER[1:]]), tmp_path)
    with pytest.raises(DraftError, match=r"collection would send the work back.*'broken sensor'"):
        tried_whole(made, tmp_path)


def test_two_use_cases_of_the_same_name(tmp_path: Path) -> None:
    write_contract(drafted(machines(), tmp_path), tmp_path)
    with pytest.raises(DraftError, match="there is a use case of this name already"):
        refuse_existing(tmp_path, "machines", force=False)
    refuse_existing(tmp_path, "machines", force=True)
    refuse_existing(tmp_path, "others", force=False)


def test_files_below_the_data_folder_are_named_by_it(tmp_path: Path) -> None:
    assert place_of(str(tmp_path / "in" / "t.csv"), "", "", str(tmp_path)).url == "{data}/in/t.csv"
    assert place_of(str(tmp_path / "delta") + "/", "", "", str(tmp_path)).url == "{data}/delta/"
    assert place_of(str(tmp_path / "t.csv"), "", "", str(tmp_path / "in")).url == str(tmp_path / "t.csv")
    assert place_of("s3://bucket/t.csv", "", "", str(tmp_path)).url == "s3://bucket/t.csv"
    assert place_of("", "plant", "SELECT 1", "").text == "connection plant"


@pytest.mark.parametrize(
    "given", [("", "", ""), ("t.csv", "plant", "SELECT 1"), ("", "plant", ""), ("", "", "SELECT 1")]
)
def test_rows_are_named_once(given: tuple[str, str, str]) -> None:
    with pytest.raises(DraftError, match="must be named once"):
        place_of(*given, "")


def test_a_path_with_braces_is_told(tmp_path: Path) -> None:
    with pytest.raises(DraftError, match="braces"):
        place_of(str(tmp_path / "{x}.csv"), "", "", "")


def test_a_large_table_is_tried_by_its_sample(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = drafted(machines(), tmp_path)
    monkeypatch.setattr(installing, "MOST_CELLS", 1_000)
    assert tried_whole(made, tmp_path) == (
        "240 rows collected, 240 prepared (of the sample: 240 rows are not read whole here)"
    )


def tried_whole(made: Draft, folder: Path) -> str:
    return try_out_whole(made, seen(folder / "table.csv"), settings(folder), NOW)


def settings(home: Path) -> Settings:
    return Settings(home=home / "home", use_cases=home, data="", clock="given")
