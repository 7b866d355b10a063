"""The reference: every field of a contract is described and has an example that holds; the pages are up to date."""

from __future__ import annotations

import json
import re
from typing import Annotated, Any

import pytest
from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from include.kreislauf.cli import parser
from include.kreislauf.handovers import Evidence, Handover, Loop
from include.kreislauf.reference.command_page import commands
from include.kreislauf.reference.contract_page import CHOOSES, contract_page, meaning, parts, slug
from include.kreislauf.reference.examples import APART, example_of, whole
from include.kreislauf.reference.pages import DOCS, PAGES
from include.kreislauf.requirements.contract import Contract
from include.kreislauf.requirements.section import Section
from include.kreislauf.requirements.strict_yaml import parse
from include.kreislauf.settings import Settings

SECTIONS = [part.model for part in parts().values()]
FIELDS = [(model, name) for model in SECTIONS for name in model.model_fields]
BLOCKS = re.findall(r"^## (.+)\n(?:[^#`\n].*\n|\n)*```yaml\n([^`]*)```", contract_page(), re.MULTILINE)


def named(value: object) -> str:
    return value.__name__ if isinstance(value, type) else str(value)


def test_every_section_is_walked() -> None:
    def below(model: type[Section]) -> set[type[Section]]:
        return {model}.union(*(below(one) for one in model.__subclasses__()))

    bases = {model for model in below(Section) if model.__subclasses__()}
    apart = {model for model in below(Section) if model.__name__ == "Catalogue"}
    own = {model for model in below(Section) if model.__module__.startswith("include.")}
    assert own - bases - apart == set(SECTIONS)


@pytest.mark.parametrize(("model", "name"), FIELDS, ids=named)
def test_every_field_says_what_it_means(model: type[Section], name: str) -> None:
    assert len(meaning(model, name)) > 8, f'{model.__name__}.{name}: give its Field a description="…"'


@pytest.mark.parametrize(("model", "name"), FIELDS, ids=named)
def test_every_field_has_an_example_that_is_accepted(model: type[Section], name: str) -> None:
    field = model.model_fields[name]
    written = json.dumps(example_of(model, name))
    accepted = TypeAdapter(Annotated[field.annotation, "of a field", *field.metadata]).validate_json(
        written, strict=True
    )
    assert accepted not in (None, "", ())


@pytest.mark.parametrize("model", SECTIONS, ids=named)
def test_every_section_has_a_whole_example_that_is_accepted(model: type[Section]) -> None:
    example = whole(model)
    assert set(example) == set(model.model_fields) - set(APART.get(model, ()))
    assert model.model_validate(example)


def test_a_field_without_an_example_is_named() -> None:
    class Bare(Section):
        size: int = Field(description="How large.")

    with pytest.raises(LookupError, match=r"Bare\.size has no example: give its Field examples="):
        whole(Bare)


@pytest.mark.parametrize(("title", "written"), BLOCKS, ids=[title for title, _ in BLOCKS])
def test_the_written_examples_say_the_same_as_the_models(title: str, written: str) -> None:
    [part] = [one for one in parts().values() if one.title == title]
    [(field, value)] = parse(written)[0].items()
    held = value[0] if isinstance(value, list) else value["name"] if part.within is dict else value
    assert field == part.field
    assert held == whole(part.model)
    chosen = [name for name in CHOOSES if name in held and len(title.split(": ")) == 2]
    assert list(held)[: len(chosen)] == chosen


def test_every_section_but_the_contract_shows_its_example() -> None:
    assert len(BLOCKS) == len(SECTIONS) - 1
    assert Contract.model_validate(whole(Contract)).gate_metric.name == "portfolio_uplift"


def test_headings_and_their_links_are_unique() -> None:
    titles = [slug(part.title) for part in parts().values()]
    assert len(titles) == len(set(titles))
    linked = set(re.findall(r"\(#([^)]+)\)", contract_page()))
    assert linked <= set(titles)


@pytest.mark.parametrize("name", PAGES)
def test_the_reference_is_up_to_date(name: str) -> None:
    assert (DOCS / name).read_text(encoding="utf-8") == PAGES[name](), "run: make reference"


def test_every_argument_of_the_command_line_says_what_it_is() -> None:
    silent = [
        f"{' '.join(path)} {action.dest}"
        for path, node in commands(parser())
        for action in node._actions
        if not action.help
    ]
    assert silent == []


@pytest.mark.parametrize("wrong", [{"min_gain": 2}, {"metric": "accuracy"}])
def test_an_example_that_is_not_allowed_would_be_refused(wrong: dict[str, Any]) -> None:
    part = parts()["Performance"].model
    with pytest.raises(ValidationError):
        part.model_validate({**whole(part), **wrong})


@pytest.mark.parametrize("model", [Handover, Loop, Evidence, Settings], ids=named)
def test_every_field_of_handovers_and_settings_says_what_it_means(model: type[BaseModel]) -> None:
    assert [name for name, field in model.model_fields.items() if not field.description] == []
