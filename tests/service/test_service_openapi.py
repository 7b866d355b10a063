"""The OpenAPI document, taken at its word: whatever it allows or forbids, no answer is a server error or unknown to it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from include.kreislauf.service.app import create_app
from include.kreislauf.service.gate import OPEN
from include.kreislauf.settings import Settings
from include.kreislauf.store.api_keys import Scope
from tests.service import kinds
from tests.service.conftest import Running, World, serving
from tests.service.keys import make_key

DOCUMENT = create_app(Settings(store_url="sqlite://")).openapi()
OPERATIONS = [one.ok() for one in schemathesis.openapi.from_dict(DOCUMENT).get_all_operations()]
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]


@pytest.fixture(scope="module")
def running(
    empty_store: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Running, dict[str, str]]]:
    """A service with live releases of every kind and keys, and the header of one."""
    world = World.live(tmp_path_factory.mktemp("openapi"), empty_store)
    for use_case in (kinds.BINARY, kinds.SEVERAL):
        kinds.go_live(world, use_case)
    _, key = make_key(world.store, Scope.ADMIN)
    with serving(world, key=key) as service:
        yield service, {"Authorization": f"Bearer {key}"}
        assert service.client.get("/ready").json()["ready"] is True


@pytest.mark.parametrize(
    ("operation", "mode"),
    # what takes nothing can be asked nothing wrong
    [
        (one, mode)
        for one in OPERATIONS
        for mode in GenerationMode
        if one.path not in OPEN or mode.is_positive
    ],
    ids=lambda one: getattr(one, "label", one),
)
def test_no_server_error_and_no_answer_the_document_does_not_know(
    operation: Any, mode: GenerationMode, running: tuple[Running, dict[str, str]]
) -> None:
    service, headers = running

    @given(
        operation.as_strategy(generation_mode=mode),
        st.sampled_from(["", "radar", kinds.BINARY, kinds.SEVERAL]),
    )
    @settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
    def ask(case: Any, live: str) -> None:
        if live and "use_case" in case.path_parameters:  # else whatever was made up
            case.path_parameters["use_case"] = live
        case.call_and_validate(base_url=service.url, headers=headers, checks=CHECKS)

    ask()


def test_the_operations_are_all_of_them() -> None:
    assert len(OPERATIONS) == sum(len(found) for found in DOCUMENT["paths"].values()) > 9
