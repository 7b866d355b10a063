"""The catalogue that a run hands out: valid, complete, and silent about what is new."""

from __future__ import annotations

from include.kreislauf.requirements.catalogue import Catalogue
from include.kreislauf.simulation.catalogue import catalogue
from include.kreislauf.simulation.technologies import World


def test_it_is_a_catalogue_of_the_established_technologies(world: World) -> None:
    content = Catalogue.model_validate(catalogue(world))
    assert {one.name for one in content.technologies} == set(world.names) - world.emerging
    for one in content.technologies:
        assert bool(one.languages) == (one.kind == "language") != bool(one.repositories)
        assert one.tags == (one.name,)
        assert [term.text for term in one.terms] == [one.name]
