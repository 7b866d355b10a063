"""Messages: what is sent is what arrives; what is not a message is refused with the field at fault."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from include.kreislauf.errors import HandoverError
from include.kreislauf.handovers import (
    CYCLE_PATTERN,
    GIVES,
    NAME_PATTERN,
    TAKES,
    Edge,
    Evidence,
    Handover,
    Loop,
    Reason,
    Role,
    Stage,
    WorkOrder,
    cycle_id_for,
    parse_message,
    partition_key,
    split_key,
    to_extra,
)
from tests.support.examples import MESSAGE, handover, loop

NAMES = st.from_regex(NAME_PATTERN.replace("$", r"\Z"))
CYCLES = st.from_regex(CYCLE_PATTERN.replace("$", r"\Z"))
NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
TEXTS = st.text(max_size=20)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)
EVIDENCE = st.builds(Evidence, name=TEXTS, value=st.none() | NUMBERS, unit=TEXTS, note=TEXTS)
SHARED: dict[str, Any] = {
    "use_case": NAMES, "cycle_id": CYCLES, "attempt": st.integers(1, 99), "hop": st.integers(0, 99), "run_id": TEXTS,
    "contract_hash": st.text("0123456789abcdef", min_size=64, max_size=64),
    "as_of": st.datetimes(timezones=st.sampled_from([UTC, timezone(timedelta(hours=-3, minutes=-30))])),
}  # fmt: skip
HANDOVERS = st.builds(
    Handover, **SHARED, stage=st.sampled_from(Stage), code_version=TEXTS, output=TEXTS,
    inputs=st.dictionaries(TEXTS, TEXTS, max_size=3), summary=st.dictionaries(TEXTS, JSON, max_size=3),
)  # fmt: skip
LOOPS = st.builds(
    Loop, **SHARED, edge=st.sampled_from(Edge), reason=st.sampled_from(Reason), text=TEXTS,
    evidence=st.lists(EVIDENCE, max_size=2).map(tuple), step=st.none() | st.sampled_from(Stage),
    parent_cycle_id=st.none() | CYCLES, metric=TEXTS, metric_before=st.none() | EVIDENCE, by=TEXTS, override=st.booleans(),
)  # fmt: skip


@given(HANDOVERS | LOOPS)
def test_law_a_message_arrives_as_it_was_sent(message: Handover | Loop):
    arrived = parse_message(json.loads(json.dumps(to_extra(message))))
    assert arrived == message
    assert (arrived.id, arrived.key) == (message.id, message.key)


@given(HANDOVERS | LOOPS)
def test_law_the_key_of_a_message_names_its_cycle(message: Handover | Loop):
    assert split_key(message.key) == (message.use_case, message.cycle_id)


def test_what_airflow_adds_to_an_event_is_not_part_of_the_message():
    assert parse_message({**to_extra(handover()), "from_rest_api": True}) == handover()


@pytest.mark.parametrize("message", [handover(), loop()], ids=["handover", "loop"])
def test_an_unknown_field_is_refused_by_its_name(message: Handover | Loop):
    with pytest.raises(HandoverError, match=f"not a valid {message.kind}: colour: Extra inputs"):
        parse_message({**to_extra(message), "colour": "red"})


@pytest.mark.parametrize("message", [handover(), loop()], ids=["handover", "loop"])
def test_every_missing_required_field_is_named(message: Handover | Loop):
    required = [name for name, field in type(message).model_fields.items() if field.is_required()]
    for name in required:
        extra = to_extra(message)
        del extra[name]
        with pytest.raises(HandoverError, match=f"{name}: Field required"):
            parse_message(extra)
    with pytest.raises(HandoverError) as caught:
        parse_message({"kind": message.kind})
    assert all(f"{name}: Field required" in caught.value.what for name in required)
    assert caught.value.next_step


WRONG = {
    "use_case": ["../x", "Radar", "", "a|b", "a\n", "x" * 64, 7],
    "cycle_id": ["c1|x", "../c1", "", "C1", "c" * 128],
    "attempt": [0, -1, 1.5, "many", None],
    "hop": [-1],
    "contract_hash": ["0" * 63, "G" * 64, ""],
    "as_of": ["2016-01-01T00:00:00", "yesterday", None],
    "stage": ["cooking", None],
    "summary": [{"mae": float("nan")}, {"deep": [float("inf")]}, []],
    "output": [None, 1],
    "kind": ["other", None, ["loop"]],
}


@pytest.mark.parametrize(
    ("field", "value"), [(field, value) for field, values in WRONG.items() for value in values]
)
def test_a_wrong_value_is_refused_with_its_field(field: str, value: object):
    with pytest.raises(HandoverError, match=rf"not a valid handover: {field}[.:]"):
        parse_message({**to_extra(handover()), field: value})


@pytest.mark.parametrize(
    ("field", "value"),
    [("edge", "monitoring→nobody"), ("reason", "bad_mood"), ("step", "cooking"), ("parent_cycle_id", "a|b"),
     ("metric_before", {"name": "m", "value": float("nan")}), ("evidence", [{"name": "m"}])],
)  # fmt: skip
def test_a_wrong_value_of_a_loop_is_refused_with_its_field(field: str, value: object):
    with pytest.raises(HandoverError, match=rf"not a valid loop: {field}[.:]"):
        parse_message({**to_extra(loop()), field: value})


def test_an_empty_event_is_no_message():
    with pytest.raises(HandoverError, match="not a valid handover"):
        parse_message({})


def test_a_message_cannot_be_changed():
    with pytest.raises(ValidationError, match="frozen"):
        handover().attempt = 2


@given(NAMES, CYCLES)
def test_law_a_key_is_split_into_what_it_was_made_of(use_case: str, cycle_id: str):
    assert split_key(partition_key(use_case, cycle_id)) == (use_case, cycle_id)


@pytest.mark.parametrize(
    "key",
    [
        "",
        "|",
        "radar",
        "radar|",
        "|c1",
        "radar|c1|2",
        "Radar|c1",
        "../x|c1",
        "radar|../c1",
        "radar|c1\n",
        "radar| c1",
    ],
)
def test_what_is_no_key_is_refused_with_the_form_of_one(key: str):
    with pytest.raises(HandoverError, match="not a cycle's key") as caught:
        split_key(key)
    assert repr(key) in caught.value.what
    assert caught.value.allowed.startswith("use_case|cycle_id")


@given(st.integers(1, 9999), st.datetimes(datetime.min.replace(year=1000), timezones=st.just(UTC)))  # noqa: DTZ901
def test_law_a_cycles_id_is_valid_and_sorts_by_number(number: int, as_of: datetime):
    assert split_key(partition_key("radar", cycle_id_for(number, as_of)))[1] == cycle_id_for(number, as_of)
    assert cycle_id_for(number, as_of) < cycle_id_for(number + 1, as_of) or number == 9999


def test_ids_tell_stages_edges_and_attempts_apart():
    assert handover().id == "radar|c0001-2016-01-01|training|1"
    assert loop(attempt=2).id == "radar|c0001-2016-01-01|data_science→data_science|2"


@pytest.mark.parametrize("edge", Edge)
def test_an_edge_tells_who_raises_it_and_who_receives_it(edge: Edge):
    assert f"{edge.raised_by}→{edge.received_by}" == edge
    assert edge.opens_cycle == edge.startswith("monitoring")


def test_each_role_takes_what_the_role_before_it_gives():
    ring = list(Role)
    for giver, taker in pairwise(ring):
        assert TAKES[taker] is GIVES[giver]
    assert set(GIVES) == set(Role)


ORDER = WorkOrder(
    **MESSAGE, attempt=3, hop=1, run_id="run-1", started_by="handover/collection", inputs={"raw": "raw@1"}
)


def test_a_handover_of_an_order_belongs_to_its_thread():
    made = ORDER.handover(Stage.TRAINING, code_version="1", output="x@1", summary={"mae": 0.1})
    assert (made.key, made.attempt, made.hop, made.run_id) == (ORDER.key, 3, 1, "run-1")
    assert (made.inputs, made.contract_hash, made.as_of) == (ORDER.inputs, ORDER.contract_hash, ORDER.as_of)


def test_a_loop_of_an_order_asks_for_the_next_attempt():
    made = ORDER.loop(
        Edge.DATA_SCIENCE_TO_DATA_SCIENCE, Reason.PERFORMANCE_SHORT, "short", step=Stage.TRAINING
    )
    assert (made.key, made.attempt, made.hop, made.step) == (ORDER.key, 4, 2, Stage.TRAINING)
    child = ORDER.loop(
        Edge.MONITORING_TO_DATA_ENGINEERING, Reason.BUSINESS_METRIC_FELL, "fell", attempt=1, cycle_id="c2"
    )
    assert (child.cycle_id, child.attempt) == ("c2", 1)
