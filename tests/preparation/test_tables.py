"""Tables without code, from a file to a feature version: every kind of problem, and what bad tables are told."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_breast_cancer, load_diabetes, load_wine
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.pipeline import make_pipeline

from include.kreislauf.collection.step import collect_alone
from include.kreislauf.handovers import Edge, Handover, Loop, Reason, StepResult
from include.kreislauf.inference.compiling import compile_model
from include.kreislauf.inference.parity import require_parity
from include.kreislauf.preparation.encoder import FeatureEncoder
from include.kreislauf.preparation.step import prepare_alone
from include.kreislauf.requirements.contract import Contract
from include.kreislauf.settings import Settings
from include.kreislauf.store.tables import Tables
from tests.preparation.tables import table_contract
from tests.support.strange import STRANGE

AS_OF = datetime(2024, 1, 15, tzinfo=UTC)
"""A Monday."""
WINE = {"kind": "multiclass", "target": "target", "classes": ["0", "1", "2"]}
RNG = np.random.default_rng(5)


def measured(rows: int = 60) -> pd.DataFrame:
    """Two measurements, a category, and a class and a number that depend on them."""
    frame = pd.DataFrame(
        {"x": RNG.normal(size=rows), "z": RNG.normal(size=rows), "kind": RNG.choice(["a", "b"], rows)}
    )
    noise = frame["x"] + RNG.normal(size=rows)
    return frame.assign(y=noise, label=np.where(noise > 0, "yes", "no"))


COLUMNS = {"x": "number", "z": "number", "kind": "text"}
NUMBER = {"target": "y"}
BINARY = {"kind": "binary", "target": "label", "classes": ["no", "yes"]}


def prepared(
    folder: Path, frame: pd.DataFrame, columns: dict[str, Any], problem: dict[str, Any], **more: Any
) -> StepResult:
    """What preparation, alone, makes of a file that was collected alone."""
    frame.to_csv(folder / "table.csv", index=False)
    return again(folder, table_contract(columns, problem, **more))


def again(folder: Path, contract: Contract) -> StepResult:
    settings = Settings(home=folder / "home", data=str(folder), use_cases=folder)
    collected = collect_alone(contract, settings, as_of=AS_OF, now=AS_OF)
    assert isinstance(collected.message, Handover), collected.document
    return prepare_alone(contract, settings, as_of=AS_OF, now=AS_OF, raw_version=collected.message.output)


def features(folder: Path, result: StepResult) -> pd.DataFrame:
    assert isinstance(result.message, Handover), result.document
    return Tables(str(folder / "home" / "tables"), "table").read(result.message.output)


def sent_back(result: StepResult, edge: Edge, reason: Reason) -> str:
    assert isinstance(result.message, Loop), result.document
    assert (result.message.edge, result.message.reason) == (edge, reason)
    return result.message.text


def to_requirements(result: StepResult) -> str:
    return sent_back(result, Edge.DATA_SCIENCE_TO_REQUIREMENTS, Reason.FEATURES_AT_FAULT)


# Every kind of problem


@pytest.mark.parametrize(
    ("load", "problem", "least"),
    [
        (load_diabetes, {"target": "target"}, 442),
        (load_breast_cancer, {"kind": "binary", "target": "target", "classes": ["0", "1"]}, 569),
        (load_wine, WINE, 178),
    ],
)  # fmt: skip
def test_tables_of_every_kind_are_prepared_as_they_are(
    tmp_path: Path, load: Any, problem: dict[str, Any], least: int
) -> None:
    frame = load(as_frame=True).frame
    columns = {str(name): "number" for name in frame.columns}
    result = prepared(tmp_path, frame, columns, problem)
    made = features(tmp_path, result)
    assert len(made) == least
    assert list(made.columns) == ["entity", *(name for name in columns if name != "target"), "target"]
    np.testing.assert_allclose(made["target"], frame["target"])
    assert isinstance(result.message, Handover)
    assert result.message.summary["excluded"] == {}
    assert "period" not in result.document
    assert "Rows have no time" in result.document


def test_the_shares_of_classes_are_told(tmp_path: Path) -> None:
    result = prepared(tmp_path, load_wine(as_frame=True).frame, {"ash": "number", "target": "text"}, WINE)
    assert isinstance(result.message, Handover)
    assert result.message.summary["classes"] == {"0": 59, "1": 71, "2": 48}
    assert "| `1` | 71 | 39.89% |" in result.document
    assert "| `target` |" not in result.document


def test_shifts_of_machines_keep_their_time_and_their_group_of_weeks(tmp_path: Path) -> None:
    starts = pd.date_range("2023-09-04", AS_OF.date(), freq="8h", inclusive="left")
    frame = pd.concat([measured(len(starts)).assign(start=starts, machine=name) for name in ("m1", "m2")])
    problem = {**BINARY, "entity": "machine", "time": "start", "period": "week", "row_hours": 8.0}
    columns = {**COLUMNS, "machine": "text", "start": "date", "label": "text"}
    result = prepared(tmp_path, frame, columns, problem)
    made = features(tmp_path, result)
    assert len(made) == len(frame)
    assert set(made["target"].dropna()) == {0.0, 1.0}
    unknown = made[made["target"].isna()]["period"]
    assert unknown.min() == pd.Timestamp("2024-01-08")
    assert unknown.max() == pd.Timestamp("2024-01-14T16:00")
    assert "Built anew without the future at 20" in result.document


def test_rows_with_time_but_without_entity_are_prepared(tmp_path: Path) -> None:
    days = [f"{date(2023, 11, 15) + timedelta(days=number // 2)}" for number in range(120)]
    frame = measured(120).assign(day=days)
    problem = {**NUMBER, "time": "day", "period": "day"}
    result = prepared(tmp_path, frame, {**COLUMNS, "y": "number", "day": "date"}, problem)
    made = features(tmp_path, result)
    assert made["entity"].tolist() == [f"{number:09d}" for number in range(120)]
    assert made["period"].nunique() == 60


def test_a_group_is_carried_through(tmp_path: Path) -> None:
    frame = measured().assign(site=[f"s{number % 7}" for number in range(60)])
    result = prepared(
        tmp_path, frame, {**COLUMNS, "site": "text", "y": "number"}, {**NUMBER, "group": "site"}
    )
    made = features(tmp_path, result)
    assert made["group"].tolist() == frame["site"].tolist()
    assert isinstance(result.message, Handover)
    assert result.message.summary["categorical"] == ["kind"]


def test_entities_without_time_have_their_names(tmp_path: Path) -> None:
    frame = measured().assign(who=[f"{number:03d}" for number in range(60)])
    result = prepared(tmp_path, frame, {**COLUMNS, "who": "text", "y": "number"}, {**NUMBER, "entity": "who"})
    assert features(tmp_path, result)["entity"].tolist() == frame["who"].tolist()
    assert "60 rows of 60 entities; the target is known in 60." in result.document


def test_code_of_a_classification_gives_names(tmp_path: Path) -> None:
    (tmp_path / "table").mkdir()
    (tmp_path / "table" / "features.py").write_text(
        "import pandas as pd\nNUMERIC, CATEGORICAL = ('double',), ()\n"
        "def build(raw, as_of): return pd.DataFrame({'double': 2 * raw['x'], 'target': raw['label']})\n"
        "def outcomes(raw, as_of): return pd.DataFrame({'outcome': raw['label']})\n"
    )
    frame = measured()
    made = features(tmp_path, prepared(tmp_path, frame, {**COLUMNS, "label": "text"}, BINARY))
    assert set(made.columns) == {"entity", "double", "target"}
    assert made["target"].tolist() == frame["label"].eq("yes").astype(float).tolist()
    assert made["entity"].iloc[-1] == "000000059"


# Bad tables


@pytest.mark.parametrize(
    ("value", "columns", "problem", "said"),
    [
        ({"y": 3.5}, {"y": "number"}, NUMBER, "the target is 3.5 in all 60 rows that have one"),
        ({"label": "no"}, {"label": "text"}, BINARY, "the target is no in all 60 rows that have one"),
        ({"y": np.nan}, {"y": "number"}, NUMBER, "the target is not known in any row"),
    ],
)
def test_a_target_that_is_always_the_same_is_told(
    tmp_path: Path, value: dict[str, Any], columns: dict[str, Any], problem: dict[str, Any], said: str
) -> None:
    result = prepared(tmp_path, measured().assign(**value), {**COLUMNS, **columns}, problem)
    text = sent_back(result, Edge.DATA_SCIENCE_TO_DATA_ENGINEERING, Reason.QUALITY_TOO_LOW)
    assert said in text
    assert "next: collect rows" in text


def test_a_class_that_the_contract_does_not_name_goes_to_requirements(tmp_path: Path) -> None:
    frame = measured()
    frame.loc[[3, 4], "label"] = "maybe"
    text = to_requirements(prepared(tmp_path, frame, {**COLUMNS, "label": "text"}, BINARY))
    assert "'maybe' in 2 rows; allowed: no, yes; next: correct problem.classes in the contract" in text


def test_an_identifier_that_would_be_the_best_feature_is_left_out_and_told(tmp_path: Path) -> None:
    """The file is sorted by the target, so that its running number tells the target."""
    frame = measured().sort_values("y").assign(id=range(60), name=[f"row {number}" for number in range(60)])
    columns = {**COLUMNS, "id": "number", "name": "text", "y": "number"}
    result = prepared(tmp_path, frame, columns, NUMBER)
    assert isinstance(result.message, Handover)
    assert set(result.message.summary["excluded"]) == {"id", "name"}  # type: ignore[arg-type]
    assert set(features(tmp_path, result).columns) == {"entity", "x", "z", "kind", "target"}
    assert "- `id`: an identifier: a running number; to say so, set feature: false" in result.document
    silent = {
        **columns,
        "id": {"type": "number", "feature": False},
        "name": {"type": "text", "feature": False},
    }
    quiet = again(tmp_path, table_contract(silent, NUMBER))
    assert isinstance(quiet.message, Handover)
    assert quiet.message.summary["excluded"] == {}


def test_a_table_of_identifiers_alone_goes_to_requirements(tmp_path: Path) -> None:
    frame = measured().assign(id=range(60))
    text = to_requirements(prepared(tmp_path, frame, {"id": "number", "y": "number"}, NUMBER))
    assert "nothing is left to learn from (id: an identifier" in text


def test_a_column_that_is_the_target_in_disguise_is_a_leak(tmp_path: Path) -> None:
    frame = measured().assign(decided=lambda one: one["label"].map({"no": "rejected", "yes": "accepted"}))
    result = prepared(tmp_path, frame, {**COLUMNS, "decided": "text", "label": "text"}, BINARY)
    text = sent_back(result, Edge.DATA_SCIENCE_TO_DATA_SCIENCE, Reason.FEATURES_AT_FAULT)
    assert text == "leaks: decided goes with the target (Cramér's V 1.000)"


def test_a_column_that_the_table_of_features_needs_itself_goes_to_requirements(tmp_path: Path) -> None:
    frame = measured().assign(entity=1.5)
    text = to_requirements(prepared(tmp_path, frame, {**COLUMNS, "entity": "number", "y": "number"}, NUMBER))
    assert "entity cannot be the name of a feature" in text


def test_missing_values_are_kept_and_empty_columns_left_out(tmp_path: Path) -> None:
    frame = measured().assign(nothing=np.nan, blank=None)
    frame.loc[frame.index >= 6, "x"] = np.nan
    frame.loc[3:50, "kind"] = None
    columns = {**COLUMNS, "nothing": "number", "blank": "text", "y": "number"}
    result = prepared(tmp_path, frame, columns, NUMBER)
    made = features(tmp_path, result)
    assert made["x"].isna().mean() == 0.9
    assert (made["kind"] == "missing").sum() == 48
    assert "nothing" not in made
    assert "| 90.0% |" in result.document
    assert "| `kind` | 3 values | | | 80.0% |" in result.document
    assert "- `nothing`: missing in every row; to say so, set feature: false" in result.document
    assert "- `blank`: missing in every row" in result.document


def test_two_thousand_columns_are_prepared(tmp_path: Path) -> None:
    names = [f"c{number}" for number in range(1990)]
    frame = pd.DataFrame(RNG.normal(size=(178, len(names))), columns=names)
    frame = frame.assign(
        **{f"k{number}": RNG.choice(["a", "b"], 178) for number in range(9)}, y=frame["c0"] + frame["c1"]
    )
    columns = {
        **dict.fromkeys(names, "number"),
        **{f"k{number}": "text" for number in range(9)},
        "y": "number",
    }
    made = features(tmp_path, prepared(tmp_path, frame, columns, NUMBER))
    assert made.shape == (178, 1990 + 9 + 2)


def test_strange_names_work_up_to_the_compiled_model(tmp_path: Path) -> None:
    frame = measured(90)
    for number, name in enumerate(STRANGE):
        frame[name] = RNG.normal(size=90) if number % 2 else RNG.choice(["it's", "🚀", 'a "b"', "x|y"], 90)
    columns = {name: "number" if number % 2 else "text" for number, name in enumerate(STRANGE)}
    result = prepared(tmp_path, frame, {**COLUMNS, **columns, "label": "text"}, BINARY)
    made = features(tmp_path, result)
    assert isinstance(result.message, Handover)
    numeric, categorical = (result.message.summary[kind] for kind in ("numeric", "categorical"))
    assert {*numeric, *categorical} == {*COLUMNS, *STRANGE}  # type: ignore[misc]
    model = make_pipeline(FeatureEncoder(numeric, categorical), HistGradientBoostingClassifier(max_iter=5))  # type: ignore[arg-type]
    model.fit(made[[*numeric, *categorical]], made["target"].astype(int))  # type: ignore[misc]
    predictor = compile_model(model, numeric, categorical).predictor()  # type: ignore[arg-type]
    assert require_parity(predictor, model, made) <= 1e-9
    for line in (one for one in result.document.splitlines() if one.startswith("| `")):
        assert line.replace(r"\|", "").count("|") in (6, 4)
