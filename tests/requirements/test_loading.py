"""From file to contract: every fault with file, line, what is wrong and what is allowed; the others go on."""

from __future__ import annotations

import json
import math
import shutil
import time
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from include.kreislauf.errors import ContractError
from include.kreislauf.requirements.contract import Contract
from include.kreislauf.requirements.loading import MAX_BYTES, contract_path, load_all, load_contract
from include.kreislauf.requirements.strict_yaml import YamlFault, parse
from include.kreislauf.requirements.variants import with_sources
from include.kreislauf.settings import ROOT

USE_CASE = ROOT / "include" / "use_cases" / "technology_radar"
SHIPPED = with_sources((USE_CASE / "contract.yaml").read_text(), (USE_CASE / "recorded.yaml").read_text())
NAME = "lower-case letters, digits and underscores, starting with a letter, at most 63"
FIELDS = ", ".join(Contract.model_fields)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the contract of the use case ``technology_radar`` is to stand."""
    path = tmp_path / "technology_radar" / "contract.yaml"
    path.parent.mkdir()
    return path


def refusal(path: Path, content: str | bytes) -> ContractError:
    """The error that a file's content leads to."""
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ContractError) as caught:
        load_contract(path)
    return caught.value


def line_of(text: str, part: str) -> int:
    """Line of the first occurrence of a part, from 1."""
    return text[: text.index(part)].count("\n") + 1


def edited(old: str, new: str) -> str:
    """The shipped contract with one place changed."""
    assert old in SHIPPED
    return SHIPPED.replace(old, new, 1)


@dataclass(frozen=True)
class Bad:
    """A change that makes the contract invalid, and what the error says.

    Parameters
    ----------
    at: text of the line that the error must name.
    """

    old: str
    new: str
    at: str
    what: str
    allowed: str


CANDIDATES = SHIPPED[SHIPPED.index("candidates:") : SHIPPED.index("  held_out_periods")].rstrip()
BAD = {
    "an unknown field": Bad("owner:", "colour: red\nowner:", "colour", "colour: unknown field", FIELDS),
    "an unknown field inside": Bad(
        "min_rows: 200", "min_row: 200", "min_row:", "quality.min_row: unknown field",
        "min_rows, min_entities, max_age_periods",
    ),
    "a missing field": Bad("owner:", "# owner:", "version: 1", "owner: required field is missing", FIELDS),
    "a missing threshold": Bad(
        "threshold: 96.0", "level: 0.9", "- kind: reported", "threshold: required field is missing",
        "kind, name, threshold, window_periods, min_reports, level, direction, test, unit",
    ),
    "an unknown metric kind": Bad(
        "kind: reported", "kind: revenue", "revenue", "business_metrics.1.kind: unknown kind 'revenue'",
        "outcomes, own, portfolio_uplift, query, reported",
    ),
    "a metric without kind": Bad(
        "- kind: reported\n    name", "- name", "- name: development", "kind: required field is missing",
        "outcomes, own, portfolio_uplift, query, reported",
    ),
    "a metric that is text": Bad(
        "business_metrics:\n", "business_metrics:\n  - uplift\n", "- uplift", "business_metrics.0", "a mapping of fields"
    ),
    "a name that leads elsewhere": Bad("name: technology_radar", "name: ../x", "../x", "(found '../x')", NAME),
    "a name in capitals": Bad("name: panel", "name: Panel", "Panel", "sources.0.name", NAME),
    "a name that is too long": Bad("name: panel", f"name: {'p' * 64}", "pppp", "sources.0.name", NAME),
    "a name of nothing": Bad("name: panel", "name: ''", "name: ''", "(found '')", NAME),
    "a name with a line break": Bad("name: panel", 'name: "panel\\n"', "\\n", "sources.0.name", NAME),
    "text for a number": Bad("min_gain: 0.01", "min_gain: much", "much", "(found 'much')", "a number"),
    "a number in quotes": Bad("min_gain: 0.01", "min_gain: '0.01'", "'0.01'", "(found '0.01')", "a number"),
    "text for a whole number": Bad("top: 10", "top: ten", "ten\n", "(found 'ten')", "a whole number"),
    "a fraction for a whole number": Bad("top: 10", "top: 10.5", "10.5", "(found 10.5)", "a whole number"),
    "true for a number": Bad("seed: 7", "seed: true", "seed: true", "(found True)", "a whole number"),
    "a number for text": Bad("title: Future-proof", "title: 7 # ", "title: 7", "(found 7)", "text"),
    "nothing for text": Bad("title: Future-proof", "title: # ", "title:", "(found None)", "text"),
    "not a number": Bad("min_gain: 0.01", "min_gain: .nan", ".nan", "(found nan)", "a finite number"),
    "infinity": Bad("threshold: 96.0", "threshold: .inf", ".inf", "(found inf)", "a finite number"),
    "minus infinity": Bad("threshold: 96.0", "threshold: -.Inf", "-.Inf", "(found -inf)", "a finite number"),
    "a number beyond floats": Bad("threshold: 96.0", "threshold: 1e999", "1e999", "(found inf)", "a finite number"),
    "a negative count": Bad("min_rows: 200", "min_rows: -1", "-1", "quality.min_rows", "at least 1"),
    "more than a share": Bad("min_gain: 0.01", "min_gain: 2", "min_gain", "performance.min_gain", "at most 1.0"),
    "a long title": Bad("title: Future", f"title: {'x' * 201}", "xxx", "title", "a length of at most 200"),
    "an empty owner": Bad("owner:", "owner: '' #", "owner", "owner", "a length of at least 1"),
    "no candidates": Bad(CANDIDATES, "candidates: []", "candidates", "training.candidates", "a length of at least 1"),
    "an unknown period": Bad("period: quarter", "period: decade", "decade", "(found 'decade')", "'month', 'quarter' or 'year'"),
    "text for a section": Bad(
        "quality:\n", "quality: high\nx_quality:\n", "high", "quality: Input should be", "min_rows, min_entities, max_age_periods"
    ),
    "a mapping for a list": Bad(CANDIDATES, "candidates: {family: ridge}", "candidates", "training.candidates", "a list"),
    "a column of an unknown type": Bad(
        "kind: {type: text", "kind: {type: txt", "txt", "sources.0.columns.kind.type", "'text', 'number' or 'date'"
    ),
    "an unknown field of a column": Bad(
        "jobs_with_tech: {type: number, minimum", "jobs_with_tech: {type: number, min", "jobs_with_tech",
        "sources.0.columns.jobs_with_tech.min: unknown field", "type, required, minimum, maximum",
    ),
    "a column without the entity": Bad(
        "entity: tech", "entity: technology", "sources:", "source panel lack technology", "problem.entity"
    ),
    "a metric named twice": Bad(
        "name: development_productivity", "name: portfolio_uplift", "business_metrics:", "named twice: portfolio_uplift",
        "each name once",
    ),
    "another version": Bad("version: 1", "version: 2", "version", "(found 2)", "1"),
    "a key that is a number": Bad("owner:", "1: one\nowner:", "1: one", "1: Keys should be strings", ""),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_an_error_names_file_line_fault_and_what_is_allowed(path: Path, name: str):
    bad = BAD[name]
    text = edited(bad.old, bad.new)
    error = refusal(path, text)
    assert error.where == f"{path}:{line_of(text, bad.at)}"
    assert bad.what in error.what
    assert bad.allowed in error.allowed
    assert bool(bad.allowed) == bool(error.allowed)
    assert error.next_step


def test_no_metric_for_the_gate_is_an_error(path: Path):
    start, end = SHIPPED.index("  - kind: portfolio_uplift"), SHIPPED.index("  - kind: reported")
    text = SHIPPED[:start] + SHIPPED[end:]
    error = refusal(path, text)
    assert error.where == f"{path}:{line_of(text, 'business_metrics:')}"
    assert "portfolio_uplift" in error.allowed


def test_a_name_other_than_the_folders_is_an_error(path: Path):
    error = refusal(path, edited("name: technology_radar", "name: radar"))
    assert error.where == f"{path}:3"
    assert error.allowed == "technology_radar"


def test_a_fault_inside_a_list_is_the_only_one_told(path: Path):
    text = edited("kind: {type: text", "kind: {type: txt")
    error = refusal(path, text)
    assert "Tuple" not in error.text
    assert "; line" not in error.what


def test_all_faults_are_told_each_with_its_line(path: Path):
    text = (
        edited("min_rows: 200", "min_rows: many").replace("top: 10", "top: 0").replace("seed: 7", "sead: 7")
    )
    error = refusal(path, text)
    assert error.where == f"{path}:{line_of(text, 'many')}"
    assert f"; line {line_of(text, 'top: 0')}: business_metrics.0.top" in error.what
    assert f"; line {line_of(text, 'sead')}: training.sead: unknown field" in error.what


def test_a_message_stays_readable_whatever_the_file_holds(path: Path):
    many = "".join(f"field_{number}: 1\n" for number in range(100))
    assert "and 90 more" in refusal(path, SHIPPED + many).what
    for long in (f"{'x' * 100_000}: 1\n", f"sign: '{'x' * 100_000}'\n"):
        assert len(refusal(path, SHIPPED + long).text) < 1000
    assert len(refusal(path, edited("sign_off: required", f"sign_off: {'x' * 100_000}")).text) < 1000


APPENDED = {
    "a key given twice": ("owner: somebody else\n", "key 'owner' is given twice"),
    "a tab": ("\tx: 1\n", "a tab character that violates indentation"),
    "a second document": ("---\nversion: 1\n", "another document"),
    "a list as key": ("? [a, b]\n: 1\n", "a key must be plain text"),
    "a tag": ("x: !!timestamp yesterday\n", "tags"),
    "a tag of Python's": ("x: !!python/object/apply:os.system [id]\n", "tags"),
    "an anchor": ("x: &x 1\n", "anchors"),
    "an unknown alias": ("x: *x\n", "anchors"),
    "a value that holds itself": ("x: &x [*x]\n", "anchors"),
    "a control character": ("x: \x07\n", "#x0007 is not allowed"),
    "half a character": ('x: "\\ud83d"\n', "invalid Unicode character escape code"),
    "deep nesting": (f"x: {'[' * 10_000}{']' * 10_000}\n", "nested more than 32 levels"),
    "deep nesting without end": ("x: " + "{a: " * 10_000, "nested more than 32 levels"),
}


@pytest.mark.parametrize("name", APPENDED)
def test_what_is_not_yaml_as_contracts_use_it_is_refused_with_its_line(path: Path, name: str):
    appended, what = APPENDED[name]
    error = refusal(path, SHIPPED + appended)
    assert error.where == f"{path}:{line_of(SHIPPED + appended, appended)}"
    assert what in error.what
    assert error.next_step == "correct the line"


def test_a_key_given_twice_deep_inside_is_refused_with_its_line(path: Path):
    text = edited("  held_out_periods: 8", "  held_out_periods: 8\n  held_out_periods: 9")
    assert refusal(path, text).where == f"{path}:{line_of(text, 'held_out_periods: 9')}"


@pytest.mark.parametrize(
    "unfinished", ["x: [1, 2\n", "x: 'abc\n", "x: {a\n", "- x\n", "x: 1: 2\n", "x: |\n\ty"]
)
def test_broken_yaml_is_refused_near_its_line(path: Path, unfinished: str):
    lines = SHIPPED.count("\n")
    assert int(refusal(path, SHIPPED + unfinished).where.rsplit(":", 1)[1]) in range(lines, lines + 3)


def bomb(link: str) -> str:
    """Thirty levels of nine times the level before."""
    names = [f"x{level}" for level in range(30)]
    lines = [f"{names[0]}: &{names[0]} {{a: 1}}"]
    lines += [f"{name}: &{name} {link % ', '.join([f'*{before}'] * 9)}" for before, name in pairwise(names)]
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("link", ["[%s]", "{<<: [%s]}"], ids=["lists", "merged mappings"])
def test_a_bomb_of_anchors_is_refused_at_once(path: Path, link: str):
    started = time.process_time()
    assert "anchors" in refusal(path, SHIPPED + bomb(link)).what
    assert time.process_time() - started < 2


def test_the_largest_file_is_refused_in_time_and_a_larger_one_unread(path: Path):
    started = time.process_time()
    refusal(path, "x: [" + "1," * (MAX_BYTES // 2 - 10) + "]\n")
    assert time.process_time() - started < 30
    error = refusal(path, b"#" * (MAX_BYTES + 1))
    assert error.allowed == f"up to {MAX_BYTES} bytes"


def test_other_encodings_are_refused_with_the_line(path: Path):
    error = refusal(path, edited("owner: ", "owner: größer ").encode("latin-1"))
    assert error.where == f"{path}:{line_of(SHIPPED, 'owner')}"
    assert error.allowed == "UTF-8"
    assert "UTF-8" in refusal(path, SHIPPED.encode("utf-16")).what


@pytest.mark.parametrize("content", ["- version: 1\n", "", "# nothing\n", "just text", "7", "null"])
def test_what_is_no_mapping_is_refused_with_the_fields_there_are(path: Path, content: str):
    error = refusal(path, content)
    assert error.where == f"{path}:1"
    assert "a mapping of fields" in error.what
    assert "business_metrics" in error.allowed


def test_a_missing_file_or_a_folder_in_its_place_is_an_error(path: Path):
    with pytest.raises(ContractError, match="cannot be read: No such file"):
        load_contract(path)
    path.mkdir()
    with pytest.raises(ContractError, match="cannot be read: Is a directory"):
        load_contract(path)


def test_one_broken_contract_keeps_no_other_from_being_used(tmp_path: Path):
    contents = {
        "good": SHIPPED.replace("technology_radar", "good"),
        "bad": "title: 2020-99-99\nx: !!int y\n",
        "worse": b"\xff",
        "worst": bomb("{<<: [%s]}"),
    }
    for name, content in contents.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "contract.yaml").write_bytes(
            content if isinstance(content, bytes) else content.encode()
        )
    (tmp_path / "no_contract").mkdir()
    (tmp_path / "folder" / "contract.yaml").mkdir(parents=True)
    usable, broken = load_all(tmp_path)
    assert list(usable) == ["good"]
    assert [one.name for one in broken] == ["bad", "folder", "worse", "worst"]
    assert all(str(tmp_path / one.name) in one.error.where for one in broken)


def test_a_folder_without_use_cases_has_none(tmp_path: Path):
    assert load_all(tmp_path / "missing") == ({}, [])


def test_the_path_of_a_use_case_is_found_by_its_name_alone(path: Path):
    path.write_text(SHIPPED)
    use_cases = path.parents[1]
    assert contract_path(use_cases, "technology_radar") == path
    for name in ("churn", "../technology_radar", "technology_radar/", ""):
        with pytest.raises(ContractError, match="no use case is named") as caught:
            contract_path(use_cases, name)
        assert caught.value.allowed == "technology_radar"


LOOKS_LIKE = {
    "1e-3": 0.001, "-1E5": -1e5, ".5": 0.5, "5.": 5.0, "+3": 3, "0": 0, "true": True, "FALSE": False, "~": None, "null": None,
    "yes": "yes", "no": "no", "on": "on", "1:30": "1:30", "1_000": "1_000", "0x10": "0x10", "2016-01-01": "2016-01-01",
    "<<": "<<", "=": "=", "e5": "e5", ".": ".", "010": 10.0, "9" * 30: 1e30,
}  # fmt: skip


@pytest.mark.parametrize("written", LOOKS_LIKE)
def test_plain_values_are_what_they_look_like(written: str):
    found, _ = parse(f"x: {written}\n")
    assert found == {"x": LOOKS_LIKE[written]}
    assert type(found["x"]) is type(LOOKS_LIKE[written])


TEXTS = st.text(st.characters(exclude_categories=["C", "Z"]) | st.just(" "), min_size=1, max_size=20)
NUMBERS = st.integers(-(10**17), 10**17) | st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=10,
)


@given(VALUES)
def test_law_a_value_written_as_json_is_read_the_same(value: Any):
    found, _ = parse(json.dumps(value, ensure_ascii=False))
    assert found == value
    assert json.dumps(found) == json.dumps(value)


@given(st.text() | st.text("a1:-[]{},&*!|>'\"#?%@\\~<.\n\t "))
def test_law_any_text_is_read_or_refused_with_a_line_of_it(text: str):
    try:
        parse(text)
    except YamlFault as fault:
        assert 1 <= fault.line <= len(text.splitlines()) + 1


COLUMNS = st.fixed_dictionaries(
    {"type": st.sampled_from(["text", "number", "date"])},
    optional={"required": st.booleans(), "minimum": st.floats(-9, 0), "maximum": st.integers(0, 9)},
)


@given(
    title=TEXTS,
    columns=st.dictionaries(TEXTS, COLUMNS, max_size=4),
    threshold=st.floats(-1e6, 1e6),
    seed=st.integers(-99, 99),
)
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_law_a_contract_that_is_written_down_and_loaded_is_the_same(
    path: Path, title, columns, threshold, seed
):
    content, _ = parse(SHIPPED)
    content["title"] = title
    content["sources"][0]["columns"] |= columns
    content["business_metrics"][0]["threshold"] = threshold
    content["training"]["seed"] = seed
    contract = Contract.model_validate({**content})
    for text in (contract.model_dump_json(indent=2), contract.model_dump_json(exclude_defaults=True)):
        path.write_text(text)
        loaded = load_contract(path)
        assert loaded == contract
        assert loaded.hash == contract.hash
        assert math.copysign(1, loaded.gate_metric.threshold) == math.copysign(1, threshold)


# The catalogue beside a contract

TECHNOLOGY = (
    "  - {name: python, kind: language, languages: [Python], tags: [python], terms: [{text: Python}]}\n"
)


def with_catalogue(path: Path, technologies: str) -> None:
    path.write_text(SHIPPED)
    path.with_name("technologies.yaml").write_text(f"version: 1\ntechnologies:\n{technologies}")


def test_the_catalogue_is_part_of_the_contract_and_of_its_version(path: Path) -> None:
    with_catalogue(path, TECHNOLOGY)
    first = load_contract(path)
    assert [(one.name, one.tags, one.terms[0].text) for one in first.technologies] == [
        ("python", ("python",), "Python")
    ]
    with_catalogue(path, TECHNOLOGY.replace("[python]", "[python, python-3.x]"))
    assert load_contract(path).hash != first.hash


@pytest.mark.parametrize(
    ("technologies", "line", "said"),
    [
        (TECHNOLOGY.replace("tags", "tag"), 3, "technologies.0.tag: unknown field; allowed: name, kind, languages"),
        (TECHNOLOGY.replace("kind: language, ", ""), 3, "technologies.0.kind: required field is missing"),
        (TECHNOLOGY + TECHNOLOGY, 2, "named twice: python"),
        (TECHNOLOGY.replace("[python]", "python"), 3, "technologies.0.tags: Input should be a valid tuple"),
        ("", 2, "technologies: "),
    ],
)  # fmt: skip
def test_a_fault_of_the_catalogue_is_told_with_its_own_file_and_line(
    path: Path, technologies: str, line: int, said: str
) -> None:
    with_catalogue(path, technologies)
    with pytest.raises(ContractError) as caught:
        load_contract(path)
    assert caught.value.where == f"{path.with_name('technologies.yaml')}:{line}"
    assert said in caught.value.text


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("{measure: ads, by: term}", "{measure: stars, by: term}", "sources.2.columns: column jobs_share: there are no stars by term; allowed: ads by term"),
        ("{measure: ads, by: term}", "{measure: ads, by: tag}", "there are no ads by tag"),
        ("provider: hacker_news", 'url: "{dta}/raw"', "sources.2.url: {dta} is not filled in (found '{dta}/raw'); allowed: {data}"),
        ("since: 2011-01-01", "since: 2015-13-01", "sources.0.since: 2015-13-01 is not in the calendar (found '2015-13-01'); allowed: YYYY-MM-DD"),
        ("min_sources: 2", "min_sources: 4", "emerging.min_sources is 4: nothing can be seen in so many sources; allowed: 1 to 3"),
    ],
)  # fmt: skip
def test_what_a_source_cannot_give_is_refused_before_it_runs(
    path: Path, old: str, new: str, said: str
) -> None:
    text = (USE_CASE / "contract.yaml").read_text()
    assert old in text
    shutil.copy(USE_CASE / "technologies.yaml", path.parent)
    assert said in refusal(path, text.replace(old, new, 1)).text


def test_counting_sources_need_a_catalogue(path: Path) -> None:
    start, end = SHIPPED.index("sources:\n"), SHIPPED.index("quality:\n")
    counting = """sources:
  - kind: stackoverflow
    name: questions
    since: 2011-01-01
    columns: {so_share_first: {measure: questions, by: tag}}
"""
    error = refusal(path, SHIPPED[:start] + counting + SHIPPED[end:])
    assert "source questions counts technologies, but there is no catalogue" in error.text
