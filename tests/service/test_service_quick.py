"""The quick way and FastAPI's say the same of every request; msgspec takes nothing that the declaration refuses."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from include.kreislauf.service import quick
from include.kreislauf.service.quick import _read, use_case_of
from include.kreislauf.service.schemas import PredictionsRequest

if TYPE_CHECKING:
    from tests.service.conftest import Running, World

JSON = {"headers": [(b"content-type", b"application/json")]}
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5), st.sampled_from(["language", "python"]),
    st.lists(st.integers(), max_size=2),
)  # fmt: skip
TIMES = st.one_of(SCALARS, st.sampled_from([
    "2016-01-01T00:00:00Z", "2016-01-01", "2016-01-01T00:00:00", "0001-01-01T00:00:00+14:00", "2016-02-30",
    "2016-01-01 00:00:00+02:00", "2016-01-01T24:00:00Z", "1451606400",
]))  # fmt: skip
FEATURES = st.one_of(SCALARS, st.dictionaries(st.sampled_from(["stars", "share", "kind", "x"]), SCALARS))
ROWS = st.fixed_dictionaries({}, optional={"entity": SCALARS, "features": FEATURES, "name": SCALARS})
BODIES = st.fixed_dictionaries(
    {"rows": st.one_of(st.lists(ROWS, max_size=3), SCALARS)},
    optional={"as_of": TIMES, "period": TIMES, "key": SCALARS, "more": SCALARS},
)


@given(st.one_of(BODIES, SCALARS))
@example({"rows": [{"entity": "a\u007f"}]})
@example({"rows": [{"entity": "\u0085"}]})
@example({"rows": [{"entity": "\u00e9" * 128}]})
@example({"rows": [{"entity": "\n"}]})
@example({"rows": [{"entity": "a\n"}]})
@example({"rows": [{}] * 1001})
def test_law_what_the_quick_way_takes_the_declaration_takes_and_reads_the_same(body: Any) -> None:
    content = json.dumps(body).encode()
    found = _read(JSON, content)
    if found is None:
        return
    asked, as_of, period = found
    declared = PredictionsRequest.model_validate_json(content)
    assert (as_of, period, asked.key) == (declared.as_of, declared.period, declared.key)
    assert [(one.entity, one.features) for one in asked.rows] == [
        (one.entity, one.features) for one in declared.rows
    ]


VALID = st.fixed_dictionaries(
    {"rows": st.lists(st.one_of(
        st.fixed_dictionaries({"entity": st.sampled_from(["python", "zig"])}),
        st.fixed_dictionaries({"features": st.fixed_dictionaries({
            "stars": st.floats(-1e30, 1e30), "share": st.integers(-5, 5), "kind": st.sampled_from(["language", "new"]),
        })}),
    ), min_size=1, max_size=4)},
    optional={"key": st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=9),
              "period": st.just("2015-01-01")},
)  # fmt: skip


@given(VALID)
def test_law_what_is_valid_goes_the_quick_way(body: Any) -> None:
    assert _read(JSON, json.dumps(body).encode()) is not None


@pytest.fixture
def both(service: Running, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Ask one body both ways; gives the answers without their ids."""

    def ask(content: bytes) -> list[Any]:
        answers = []
        for slow in (False, True):
            with monkeypatch.context() as patch:
                if slow:
                    patch.setattr(quick, "_read", lambda *_: None)
                answer = service.client.post(
                    "/v1/radar/predictions", content=content, headers={"content-type": "application/json"}
                )
            said = answer.json()
            for one in said.get("predictions", []):
                one.pop("prediction_id")
            answers.append((answer.status_code, said))
        return answers

    return ask


@given(st.one_of(VALID, BODIES))
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_law_both_ways_answer_the_same(both: Any, body: Any) -> None:
    quickly, slowly = both(json.dumps(body).encode())
    assert quickly == slowly


def test_both_ways_log_the_same(both: Any, world: World) -> None:
    row = {"stars": 1.5, "share": 2.5, "kind": "language"}
    body = {"as_of": "2016-01-01T00:00:00Z", "rows": [{"features": row}, {"entity": "rust"}]}
    both(json.dumps(body, separators=(",", ":")).encode())
    columns = [tuple(row)[1:8] + tuple(row)[9:] for row in world.rows()]
    assert len(columns) == 4
    assert sorted(map(repr, columns[:2])) == sorted(map(repr, columns[2:]))


@pytest.mark.parametrize(
    ("method", "path", "use_case"),
    [
        ("POST", "/v1/radar/predictions", "radar"),
        ("POST", "/v1/ra dar/predictions", "ra dar"),
        ("GET", "/v1/radar/predictions", None),
        ("POST", "/v1//predictions", None),
        ("POST", "/v1/predictions", None),
        ("POST", "/v1/a/b/predictions", None),
        ("POST", "/v1/radar/predictions/", None),
        ("POST", "/v1/radar/outcomes", None),
    ],
)
def test_only_requests_for_predictions_go_the_quick_way(method: str, path: str, use_case: str | None) -> None:
    assert use_case_of({"method": method, "path": path}) == use_case
