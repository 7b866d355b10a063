"""Ids of the prediction log, many at once."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from include.kreislauf.store.log_records import new_id, new_ids

UUID_7 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


@given(st.integers(0, 1000))
def test_law_many_ids_are_uuids_of_version_7_in_order_and_each_another(number: int) -> None:
    before = new_id()
    found = new_ids(number)
    assert len(set(found)) == number
    assert found == sorted(found)
    assert all(UUID_7.fullmatch(one) for one in found)
    assert not found or before[:18] <= found[0][:18] <= new_id()[:18]
