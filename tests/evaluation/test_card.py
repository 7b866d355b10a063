"""The model card: what it tells, in which order, that it is the same in both forms, and that data stay data."""

from __future__ import annotations

import re
import struct
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from sklearn.metrics import roc_auc_score

from include.kreislauf.evaluation.card import Card, model_card, write_card
from include.kreislauf.evaluation.card_blocks import Bullets, Code, Paragraph, Table, markdown
from include.kreislauf.evaluation.card_facts import period_label
from include.kreislauf.evaluation.card_html import html
from include.kreislauf.evaluation.models import Decision, Estimate, GateReason, Importance
from include.kreislauf.evaluation.plots import MAX_POINTS, Plot, plots, png
from include.kreislauf.requirements.contract import Contract
from include.kreislauf.statistics.verdicts import Verdict
from tests.evaluation.card_examples import (
    NAMES,
    SCRIPT,
    card,
    classification,
    classification_card,
    contract,
    decision,
    report,
    rows,
    scores,
    segment,
    shares,
    timeless,
)

READER = MarkdownIt("commonmark").enable("table")
FILES = ["predicted.png", "error_by_period.png", "business_by_period.png", "segments.png", "importance.png"]
ORDER = [
    "What it is for", "The model", "Versions", "Numbers", "All candidates", f"What the gates said of {NAMES[0]}",
    "Segments", "Pictures", "Limits", "How to reproduce", "Source",
]  # fmt: skip


class Reader(HTMLParser):
    """What a browser finds in a document: elements with attributes, and text by element."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[tuple[str, str]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.texts.append((self.elements[-1][0] if self.elements else "", data))

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def written(folder: Path, one: Card) -> tuple[str, Reader]:
    files = write_card(folder, one)
    return files["model_card.md"].read_text(), Reader(files["model_card.html"].read_text())


def row_of(text: str, start: str) -> str:
    return next(line for line in text.splitlines() if line.startswith(f"| {start}"))


def section(text: str, heading: str) -> str:
    return text.split(f"## {heading}\n")[1].split("\n## ")[0]


# --- what it tells


def test_the_order_of_the_card() -> None:
    text = model_card(card())
    assert re.findall(r"^## (.*)$", text, re.MULTILINE) == ORDER
    first = text.split("\n\n")[1]
    assert first.startswith("**✓ pass** (ok): hist_gradient_boosting-004 undercuts persistence by 8.4 %")
    assert "Model Cards for Model Reporting, FAT\\* 2019" in text


def test_purpose_model_and_lineage() -> None:
    text = model_card(card())
    assert "A manufacturer wants to know" in section(text, "What it is for")
    assert "Owner: product owner of the development platform." in text
    model = section(text, "The model")
    assert "`learning_rate = 0.05`" in model
    assert "14 numeric features" in model
    assert "and 2 more" in model
    assert "Trained on targets until 2013-10-01." in model
    assert "| hist gradient boosting | 8 | 8 | 61 | 88.4 |" in model
    some = model_card(card(training={"search": [{"family": "ridge", "fits": 4, "best": "x"}]}))
    assert "| family | fits |\n|---|---:|\n| ridge | 4 |" in some
    versions = section(text, "Versions")
    for version in (
        "raw@41",
        "features@38",
        "c0002-2015-10-01-1",
        "ab" * 32,
        "0.1.0+3fc1d2",
        "2016-01-01 00:00 UTC",
    ):
        assert versions.count(f"`{version}`") == 1, version


def test_numbers_stand_beside_what_they_must_reach() -> None:
    text = section(model_card(card()), "Numbers")
    assert row_of(text, "gain over persistence").split(" | ")[1:4] == [
        "+8.4%", "+4.3% to +12.2% (60%)", "≥ 2.0% at 80% confidence",
    ]  # fmt: skip
    assert "0.1012" in row_of(text, "MAE of the champion")
    assert "203 in 5 periods" in row_of(text, "gain over the champion")
    assert row_of(text, "portfolio uplift (log").split(" | ")[1:4] == [
        "+0.0213", "+0.0121 to +0.0306 (80%)", "≥ +0.01",
    ]  # fmt: skip
    assert "| 78.3% | – | 80% ± 10 points |" in row_of(text, "outcomes inside")
    assert "± 0.1534" in row_of(text, "next 80% prediction interval")
    assert "RMSE 0.1285" in text
    assert "Champion compared on 5 periods after 2014-09-30." in text


def test_an_open_interval_and_an_unknown_number_say_so() -> None:
    gain = Estimate(value=0.1, low=0.02, high=None, level=0.6)
    changed = scores(NAMES[0], 0.084, gain=gain, business=Estimate(value=None))
    text = section(model_card(card(report=report(candidates=(changed,)))), "Numbers")
    assert "+2.0% to ∞ (60%)" in row_of(text, "gain over persistence")
    assert "| unknown | – |" in row_of(text, "portfolio uplift (log")


def test_all_candidates_in_one_table_with_what_became_of_them() -> None:
    text = section(model_card(card()), "All candidates")
    assert row_of(text, f"**{NAMES[0]}**").endswith("| **✓ pass**: winner |")
    assert "| **? inconclusive** at “better than the baseline”: " in row_of(text, NAMES[1])
    assert row_of(text, NAMES[2]).endswith("| not judged |")
    assert row_of(text, NAMES[3]).endswith("| **✓ pass** |")
    assert row_of(text, "persistence").endswith("| baseline of the gate |")
    assert row_of(text, "momentum").endswith("| baseline |")
    assert row_of(text, "knn-002").endswith("| **✗ fail**: timed out after 120 s |")


def test_every_gate_with_its_threshold() -> None:
    text = section(model_card(card()), f"What the gates said of {NAMES[0]}")
    found = [line.split(" | ")[2] for line in text.splitlines() if "✓" in line]
    assert found == [
        "≥ 4 periods and 100 rows", "gain ≤ 80%", "gain ≥ 2.0% at 80% confidence", "gain by kind ≥ -10%", "80% ± 10 points",
        "≤ 10.0% beside chance", "≥ +0.01 log points per period", "error at most 2.0% higher",
    ]  # fmt: skip
    assert "the worst is kind framework: +5.4%" in text


def test_segments_say_what_they_decide() -> None:
    text = section(model_card(card()), "Segments")
    assert row_of(text, "kind | language").endswith("| -10.0% | **✓ pass** |")
    assert row_of(text, "kind | tool").endswith("| – | too small to judge |")
    assert row_of(text, "entity_age | young").endswith("| – | shown only |")
    bad = scores(NAMES[0], 0.084, segments=(segment("kind", "language", 200, -0.3, -0.1),))
    text = section(model_card(card(report=report(candidates=(bad,)))), "Segments")
    assert row_of(text, "kind | language").endswith("**✗ fail** |")


def test_limits_are_about_these_numbers() -> None:
    limits = section(model_card(card()), "Limits")
    assert "324 rows in 8 quarters, 2014 Q1 to 2015 Q4" in limits
    assert "The best of 4 candidates" in limits
    assert "3.4% of held-out outcomes" in limits
    assert "`kind tool $x_{1}$ (12)`" in limits
    assert "hold 80% of outcomes on average, and held 78.3% here" in limits
    assert "Not to be released" not in limits


def test_how_to_reproduce_is_one_command() -> None:
    one = card(command="python -m include.kreislauf evaluate x --cycle c1")
    assert section(model_card(one), "How to reproduce").rstrip().endswith(f"```sh\n{one.command}\n```")


# --- less than everything


def test_a_candidate_that_fell_short() -> None:
    text = model_card(card(decision=decision(None)))
    assert text.split("\n\n")[1].startswith("**? inconclusive** (performance short): ridge-001 came closest")
    assert "**ridge-001**, family ridge" in section(text, "The model")
    assert "winner" not in section(text, "All candidates")
    assert "**Not to be released**" in section(text, "Limits")
    assert "champion" not in section(text, "Numbers").split("Champion compared")[0]


def test_a_card_where_everything_failed(tmp_path: Path) -> None:
    failed = Decision(
        verdict=Verdict.FAIL, reason=GateReason.ALL_FAILED, winner=None, closest=None, text="none is left"
    )
    empty = report(candidates=(), comparisons=(), held_out=(), unknown_entities=0.0)
    one = card(report=empty, decision=failed, rows=rows(0), importance=(), training={}, command="")
    text, page = written(tmp_path, one)
    assert text.split("\n\n")[1] == "**✗ fail** (all failed): none is left"
    assert re.findall(r"^## (.*)$", text, re.MULTILINE) == [
        "What it is for",
        "Versions",
        "All candidates",
        "Limits",
        "Source",
    ]
    assert row_of(text, "knn-002").endswith("timed out after 120 s |")
    assert page.all("img") == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model_card.html", "model_card.md"]


OF_TWO = ["reliability.png", "precision_recall.png", "roc.png", "probabilities.png", "decisions.png"]
OF_MORE = ["confusion.png", "classes.png", "reliability.png"]


@pytest.mark.parametrize(("classes", "first"), [(2, OF_TWO), (3, OF_MORE), (20, OF_MORE)])
@pytest.mark.parametrize("metric", ["log_loss", "brier"])
def test_a_classification_has_its_own_pictures_and_no_intervals(
    tmp_path: Path, classes: int, first: list[str], metric: str
) -> None:
    one = classification_card(shares(classes), metric)
    text, page = written(tmp_path, one)
    assert {"log_loss": "log loss (nats)", "brier": "brier (squared probability)"}[metric] in text
    assert "MAE" not in text
    assert "prediction interval" not in text.lower()
    assert "coverage" not in section(text, "All candidates")
    assert [plot.file for plot in plots(one)] == [*first, *FILES[1:]]
    assert len(page.all("img")) == len(first) + 4
    assert "accuracy 0.94, brier 0.11, ROC AUC 0.87" in text
    assert row_of(text, "shares against probabilities").split(" | ")[1:4] == [
        "2.1%", "up to 3.0% by chance", "≤ 10.0% beside chance",
    ]  # fmt: skip
    assert "Probabilities corrected: sigmoid." in section(text, "The model")


def test_what_pictures_of_two_classes_say() -> None:
    held = shares()
    one = classification_card(held)
    reliability, recall, roc, histogram, worth, error, *_ = plots(one)
    count, happened = len(held), int(held["target"].sum())
    assert (
        f"Probability of fails against the share that came true, {count} held-out rows in 10 bins"
        in reliability.alt
    )
    assert f"{happened} of {count} held-out rows are fails" in recall.alt
    assert f"area {roc_auc_score(held['target'], held['p1']):.3f}" in roc.alt
    assert f"{held['target'].mean():.3f} came true" in histogram.alt
    assert one.costs is not None
    assert f"{one.costs.values(held['p1'], held['target']).mean():.4g} in the mean" in worth.alt
    assert f"inspect in {(held['p1'] > 60 / 1860).mean():.1%}" in worth.alt
    assert "Error (log loss) by quarter: below prior in" in error.alt
    without = replace(one, contract=replace_metrics(one.contract))
    assert "decisions.png" not in [plot.file for plot in plots(without)]


def replace_metrics(one: Contract) -> Contract:
    """With hits as the only business metric."""
    return one.model_copy(
        update={"business_metrics": classification(classes=("a", "b", "c")).business_metrics}
    )


def test_what_is_drawn_of_decisions_are_their_values() -> None:
    held = shares()
    one = classification_card(held)
    axis = drawn(plots(one)[4])
    (curve,) = axis.of("plot")
    saved = np.where(held["target"] == 1, 1800.0, -60.0) / 8
    assert curve[0][1][0] == pytest.approx(saved.mean())
    assert curve[0][1][-1] == pytest.approx(0.0)
    assert [args[0] for args, _ in axis.of("axvline")] == [pytest.approx(60 / 1860)]


def test_rows_of_one_class_only_have_no_curves() -> None:
    names = [one.file for one in plots(classification_card(shares().assign(target=0.0)))]
    assert names[:3] == ["reliability.png", "probabilities.png", "decisions.png"]


def test_what_pictures_of_several_classes_say() -> None:
    held = shares(3)
    confusion, by_class, reliability, *_ = plots(classification_card(held, names=("rises", "stays", SCRIPT)))
    right = (held[["p0", "p1", "p2"]].to_numpy().argmax(axis=1) == held["target"]).mean()
    assert f"{right:.0%} are right" in confusion.alt
    assert "is found least" in by_class.alt
    assert "Probability of the predicted class" in reliability.alt
    many = plots(classification_card(shares(20)))
    assert "the 12 most frequent of 20 classes" in many[0].alt
    assert all(len(png(one)) > 5000 for one in many[:3])


@pytest.mark.parametrize("kind", ["numbers", "classes"])
def test_a_card_of_rows_without_time_and_entity_speaks_of_rows(tmp_path: Path, kind: str) -> None:
    one = card() if kind == "numbers" else classification_card(shares())
    plain = [
        found.model_copy(update={"business_by_period": {}, "n_periods": 1}) for found in one.report.candidates
    ]
    told = one.report.model_copy(
        update={
            "held_out": (),
            "candidates": tuple(plain),
            "comparisons": (),
            "unknown_entities": 0.0,
            "champion_note": "",
        }
    )
    made = replace(one, contract=timeless(one.contract), report=told, rows=one.rows.drop(columns="period"))
    text, _ = written(tmp_path, made)
    assert "one prediction for each row." in text
    assert "rows from elsewhere, or from later" in section(text, "Limits")
    assert "≥ 30 rows" in text
    told = section(text, "Numbers") + section(text, "Limits") + section(text, "What it is for")
    for word in ("None", "period", "quarter", "technology `"):
        assert word not in told, word
    if kind == "numbers":
        assert "≤ 0.2" in row_of(text, "off by (share)")


# --- pictures


def test_pictures_say_what_they_show() -> None:
    scatter, error, business, parts, importance = plots(card())
    held = rows().dropna()
    share = held["target"].between(held["low"], held["high"]).mean()
    assert f"320 held-out rows; {share:.0%} of outcomes lie inside" in scatter.alt
    assert "Error (MAE) by quarter: below persistence in 8 of 8." in error.alt
    assert "7 of 8 reach the threshold of 0.01" in business.alt
    assert "2 of 5 are below zero" in parts.alt
    assert "the 15 most important of 17 features; first gh_repo_new_stars_growth" in importance.alt


class Axis:
    """Takes down what is drawn on it."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = []
        self.xaxis = self.yaxis = self

    def __getattr__(self, name: str) -> Any:
        return lambda *args, **kwargs: self.calls.append((name, args, kwargs))

    def of(self, name: str) -> list[tuple[tuple[Any, ...], dict[str, Any]]]:
        return [(args, kwargs) for called, args, kwargs in self.calls if called == name]


def drawn(plot: Plot) -> Axis:
    axis = Axis()
    plot.draw(axis)
    return axis


def test_what_is_drawn_are_the_numbers() -> None:
    one = card()
    scatter, error, business, parts, importance = map(drawn, plots(one))
    groups = {kwargs["label"]: (args, kwargs) for args, kwargs in scatter.of("errorbar")}
    held = rows()
    outside = held[held["low"].notna() & ~held["target"].between(held["low"], held["high"])]
    (x, y), told = groups["outcome outside"]
    assert (x.tolist(), y.tolist()) == (outside["target"].tolist(), outside["prediction"].tolist())
    np.testing.assert_allclose(told["yerr"][0], 0.083)
    assert len(groups["no interval"][0][0]) == 40
    lines = {kwargs["label"]: args[1] for args, kwargs in error.of("plot")}
    by_hand = (held["target"] - held["prediction"]).abs().groupby(held["period"]).mean()
    np.testing.assert_allclose(lines[NAMES[0]], by_hand)
    assert lines["persistence"].iloc[0] > lines[NAMES[0]].iloc[0]
    assert one.subject is not None
    assert business.of("bar")[0][0][1] == list(one.subject.business_by_period.values())
    assert 0.01 in [args[0] for args, _ in business.of("axhline")]
    assert [args[0] for args, kwargs in parts.of("plot") if "markersize" in kwargs] == [[-0.1], [-0.1]]
    assert importance.of("barh")[0][1]["xerr"] == [0.0011] * 15


def test_rmse_by_period_is_a_root() -> None:
    held = rows()
    told = card(contract=contract(metric="rmse"), report=report(metric="rmse"))
    lines = {kwargs["label"]: args[1] for args, kwargs in drawn(plots(told)[1]).of("plot")}
    squares = held["loss"].groupby(held["fold"]).mean()
    np.testing.assert_allclose(lines[NAMES[0]], np.sqrt(squares))


def test_many_rows_and_segments_are_drawn_in_part_and_said_so() -> None:
    parts = tuple(segment("kind", f"k{n}", 40 + n, 0.05, None) for n in range(50))
    many = card(rows=rows(200), report=report(candidates=(scores(NAMES[0], 0.08, segments=parts),)))
    scatter, *_, segments, _ = plots(many)
    assert "400 of 1600 held-out rows" in scatter.alt
    assert sum(len(args[0]) for args, _ in drawn(scatter).of("errorbar")) == MAX_POINTS
    assert "the 30 largest of 50 segments" in segments.alt


def test_infinite_and_missing_numbers_are_drawn_as_far_as_they_go() -> None:
    held = rows()
    held.loc[:50, "high"] = np.inf
    held.loc[60:80, "target"] = np.nan
    held.loc[90:99, "prediction"] = np.nan
    only = tuple(segment("kind", f"{n}", 40, 0.0, None) for n in range(2))
    open_gain = only[0].model_copy(update={"gain": Estimate(value=0.1)})
    nothing = only[1].model_copy(update={"gain": Estimate(value=None)})
    told = card(rows=held, report=report(candidates=(scores(NAMES[0], 0.08, segments=(open_gain, nothing)),)))
    pictures = plots(told)
    assert "289 held-out rows" in pictures[0].alt
    assert all(len(png(one)) > 5000 for one in pictures)


def test_an_interval_without_end_is_none() -> None:
    held = rows()
    first = held["low"].isna()
    held.loc[first, "low"], held.loc[first, "high"] = -np.inf, np.inf
    assert plots(card(rows=held))[0].alt == plots(card())[0].alt
    labels = [kwargs["label"] for _, kwargs in drawn(plots(card(rows=held))[0]).of("errorbar")]
    assert labels == ["outcome inside", "outcome outside", "no interval"]


def test_rows_without_time_have_no_picture_by_period(tmp_path: Path) -> None:
    without = report(
        held_out=(), candidates=(scores(NAMES[0], 0.084, business_by_period={"held out": 0.02}),)
    )
    files = write_card(tmp_path, card(rows=rows().drop(columns="period"), report=without))
    assert "error_by_period.png" not in files
    assert "predicted.png" in files
    assert "Judged on 324 rows. Nothing" in files["model_card.md"].read_text()


@pytest.mark.parametrize(
    ("start", "period", "expected"),
    [
        ("2016-04-01", "quarter", "2016 Q2"), ("2016-12-01", "quarter", "2016 Q4"), ("2016-04-01", "month", "2016-04"),
        (pd.Timestamp("2016-01-01"), "year", "2016"), (pd.Timestamp("2016-01-01").date(), "quarter", "2016 Q1"),
        ("held out", "quarter", "held out"), ("2016-04-04", "week", "2016-04-04"), ("2016-04-04T08:00", "hour", "2016-04-04 08:00"),
        ("2016-04-04", None, "2016-04-04"),
    ],
)  # fmt: skip
def test_periods_by_name(start: object, period: str, expected: str) -> None:
    assert period_label(start, period) == expected


# --- the files


def test_files_are_the_same_every_time_and_complete(tmp_path: Path) -> None:
    first, second = write_card(tmp_path / "a", card()), write_card(tmp_path / "b", card())
    assert sorted(first) == sorted(["model_card.md", "model_card.html", *FILES])
    for name, path in first.items():
        assert path.name == name
        assert path.read_bytes() == second[name].read_bytes()
    for name in FILES:
        content = first[name].read_bytes()
        assert content[:8] == b"\x89PNG\r\n\x1a\n"
        assert struct.unpack(">I", content[16:20]) == (1080,)
        assert b"tEXt" not in content
    changed = write_card(tmp_path / "c", card(rows=rows(39)))
    assert changed["predicted.png"].read_bytes() != first["predicted.png"].read_bytes()
    assert model_card(card()) == first["model_card.md"].read_text()


def test_the_page_is_one_file_that_loads_nothing(tmp_path: Path) -> None:
    _, page = written(tmp_path, card())
    sources = [image["src"] or "" for image in page.all("img")]
    assert [source.startswith("data:image/png;base64,") for source in sources] == [True] * 5
    for tag in ("script", "link", "iframe", "a"):
        assert page.all(tag) == []
    style = next(text for tag, text in page.texts if tag == "style")
    assert "prefers-color-scheme: dark" in style
    assert not re.search(r"url\(|@import|https?:", style)
    assert all(len(image["alt"] or "") > 30 for image in page.all("img"))


def test_both_forms_tell_the_same(tmp_path: Path) -> None:
    text, page = written(tmp_path, card())
    read = Reader(READER.render(text))
    assert words_of(read) == words_of(page)
    assert [image["alt"] for image in read.all("img")] == [image["alt"] for image in page.all("img")]
    assert len(read.all("table")) == len(page.all("table")) == 6


def words_of(page: Reader) -> list[str]:
    """The words between the tags; marks of code and hidden captions do not count."""
    skipped = ("style", "title", "caption")
    return " ".join(text for tag, text in page.texts if tag not in skipped).split()


@pytest.mark.parametrize("field", ["title", "purpose", "owner"])
def test_markup_in_the_contract_stays_text(tmp_path: Path, field: str) -> None:
    wild = f"{SCRIPT} [a](javascript:x) | **b** `c` <img src=x onerror=y>"
    one = card(contract=contract().model_copy(update={field: wild}))
    text, page = written(tmp_path, one)
    for read in (Reader(READER.render(text)), page):
        assert read.all("script") == read.all("a") == read.all("b") == []
        assert len(read.all("img")) == 5
        assert any(SCRIPT in found or "alert(1)" in found for _, found in read.texts)


def test_markup_in_the_data_stays_text(tmp_path: Path) -> None:
    wild = f'">{SCRIPT}|$\\frac{{1}}$'
    parts = (segment("kind", wild, 12, -0.2, None), segment("kind", "plain", 50, 0.1, -0.1))
    changed = scores(wild, 0.08, segments=parts, params={wild: wild})
    told = report(candidates=(changed,), failed={wild: wild}, champion_note=wild, baseline=wild)
    held = rows().assign(entity=wild)
    decided = Decision(verdict=Verdict.PASS, reason=GateReason.OK, winner=wild, closest=wild, text=wild)
    importance = (Importance(feature=wild, mean=0.1, deviation=0.0),)
    training = {"numeric": [wild], "features": wild, "trained_until": wild, "search": [{"family": wild}]}
    one = card(
        report=told,
        rows=held,
        decision=decided,
        importance=importance,
        training=training,
        command=f"`{wild}`",
    )
    text, page = written(tmp_path, one)
    for read in (Reader(READER.render(text)), page):
        assert read.all("script") == []
        assert len(read.all("img")) == 5
        assert sum(found.count("alert(1)") for _, found in read.texts) > 12
    assert words_of(Reader(READER.render(text))) == words_of(page)


PLAIN = st.text(st.characters(codec="utf-8", exclude_categories=("C",)), max_size=30)
MARKUP = st.text("#-+=1.) \n`*_<>[]|~&!\\$\"'ab:/;x", max_size=12)
ANY = st.one_of(PLAIN, MARKUP)


@settings(max_examples=300)
@given(ANY, ANY, ANY)
def test_any_text_is_the_same_text_in_both_forms(first: str, second: str, third: str) -> None:
    blocks = [
        Paragraph(first),
        Paragraph((second, Code(third))),
        Bullets((third, (second, Code(first)))),
        Table("", ("a", "b", "c"), "llr", ((first, Code(second), third), (third, first, Code(third)))),
    ]
    shown = [Cells(READER.render(markdown(blocks))), Cells(html(blocks, "t", {}))]
    assert len(shown[0].all("td")) + len(shown[0].all("th")) == 9
    # Markdown has no empty paragraphs
    assert [text for text in shown[0].found if text] == [text for text in shown[1].found if text]
    assert [tag for tag, _ in shown[0].elements if tag in FORMATS] == []


FORMATS = ("em", "strong", "a", "img", "h1", "h2", "hr", "ol", "blockquote", "s")


class Cells(Reader):
    """The text of each paragraph, point and cell, without white space."""

    def __init__(self, text: str) -> None:
        self.found: list[str] = []
        super().__init__(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        super().handle_starttag(tag, attrs)
        if tag in ("p", "li", "th", "td"):
            self.found.append("")

    def handle_data(self, data: str) -> None:
        super().handle_data(data)
        if self.found:
            self.found[-1] += "".join(data.split())
