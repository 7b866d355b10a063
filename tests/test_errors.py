"""Errors: each says what, where, what is allowed and what to do, and keeps the parts."""

from __future__ import annotations

import pickle

import pytest

from include.kreislauf import errors
from include.kreislauf.errors import KreislaufError

KINDS = [
    kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, KreislaufError)
]
PARTS = {"where": "contract.yaml:3", "allowed": "month, year", "next_step": "correct the line"}


def test_an_error_says_all_its_parts_in_one_line():
    error = KreislaufError("unknown period 'week'", **PARTS)
    text = "contract.yaml:3: unknown period 'week'; allowed: month, year; next: correct the line"
    assert error.text == str(error) == text


@pytest.mark.parametrize(
    ("parts", "text"),
    [
        ({}, "broken"),
        ({"where": "here"}, "here: broken"),
        ({"allowed": "a"}, "broken; allowed: a"),
        ({"next_step": "repair"}, "broken; next: repair"),
        ({"where": "here", "next_step": "repair"}, "here: broken; next: repair"),
    ],
)
def test_empty_parts_are_left_out(parts: dict[str, str], text: str):
    assert KreislaufError("broken", **parts).text == text


@pytest.mark.parametrize(
    "allowed",
    [["a", "b"], ("a", "b"), {"a": 1, "b": 2}, iter("ab"), "a, b"],
    ids=["list", "tuple", "dict", "iterator", "text"],
)
def test_what_is_allowed_may_be_given_one_by_one(allowed: object):
    assert KreislaufError("broken", allowed=allowed).allowed == "a, b"


@pytest.mark.parametrize("kind", KINDS)
def test_every_error_is_one_of_the_domain_keeps_its_parts_and_can_be_sent_to_another_process(
    kind: type[KreislaufError],
):
    error = pickle.loads(pickle.dumps(kind("broken", **PARTS)))
    assert type(error) is kind
    assert (error.what, error.where, error.allowed, error.next_step) == ("broken", *PARTS.values())
    assert error.text == str(error) == kind("broken", **PARTS).text
    assert kind.__doc__
