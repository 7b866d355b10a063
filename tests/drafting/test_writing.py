"""What is written is read back as it was, whatever stands in it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from include.kreislauf.drafting.writing import Noted, as_yaml, plain
from include.kreislauf.requirements.strict_yaml import parse

# as column names may be: no control characters, no half surrogate pairs
texts = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=40)
scalars = st.one_of(
    texts,
    st.booleans(),
    st.none(),
    st.integers(-(10**15), 10**15),
    st.floats(allow_nan=False, allow_infinity=False),
)
contents: st.SearchStrategy[Any] = st.recursive(
    scalars,
    lambda below: st.one_of(
        st.lists(below, max_size=4),
        st.dictionaries(texts, below, min_size=1, max_size=5),
        st.builds(Noted, below.filter(lambda one: not isinstance(one, Noted)), texts),
    ),
    max_leaves=12,
)


def _items_are_fields(content: Any) -> bool:
    """A contract's lists hold values or groups of fields, never lists."""
    bare = plain(content)
    if isinstance(bare, dict):
        return all(map(_items_are_fields, bare.values()))
    if isinstance(bare, list):
        return not any(isinstance(one, list) or one == {} for one in bare) and all(
            map(_items_are_fields, bare)
        )
    return True


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(texts, contents.filter(_items_are_fields), min_size=1, max_size=5))
def test_what_is_written_is_read_back(content: dict[str, Any]) -> None:
    assert parse(as_yaml(content))[0] == plain(content)


@pytest.mark.parametrize(
    "text",
    [
        "no",
        "1:30",
        "1e-3",
        "null",
        "~",
        "- a",
        "a: b",
        "#x",
        "'",
        '"',
        "😀 %s; DROP TABLE x",
        "1_000",
        " a ",
        "=",
        "\u2028",
    ],
)
def test_texts_that_look_like_something_else_stay_texts(text: str) -> None:
    assert parse(as_yaml({text: [text, {"name": text}]}))[0] == {text: [text, {"name": text}]}


def test_reasons_stand_above_what_they_are_about() -> None:
    written = as_yaml(
        {
            "a": {"b": Noted(1, "because")},
            "c": [{"kind": Noted("x", "first"), "d": {"e": Noted(2, "second")}}],
        }
    )
    assert written.splitlines() == [
        "a:", "  # because", "  b: 1", "", "c:", "  # first", "  - kind: x", "    d:", "      # second", "      e: 2",
    ]  # fmt: skip
