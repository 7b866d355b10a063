"""The declared catalogue of counted sources: one line per kind. ``make add-source`` adds one here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from include.kreislauf.collection.source import CountedSource
from include.kreislauf.requirements.catalogue import Technology
from include.kreislauf.requirements.contract import Contract
from include.kreislauf.requirements.sources import Counted


@dataclass(frozen=True)
class Declared:
    """One kind of counted source.

    Parameters
    ----------
    module, name: where its class is; imported only when a contract asks for it.
    gives: what is counted, for people.
    """

    kind: str
    module: str
    name: str
    gives: str

    def load(self) -> type[CountedSource[Any]]:
        """The class of this kind."""
        found: type[CountedSource[Any]] = getattr(import_module(f"{_PACKAGE}.{self.module}"), self.name)
        return found


_PACKAGE = "include.kreislauf.collection.sources"
DECLARED: tuple[Declared, ...] = (
    Declared("github_events", "github_events", "GithubEvents", "pull requests, pushes, stars, issues, forks"),
    Declared("stackoverflow", "stackoverflow", "StackOverflow", "questions per tag"),
    Declared("job_ads", "job_ads", "JobAds", "advertisements that name a technology"),
    # make add-source: kinds above this line
)


def counted_sources(
    contract: Contract,
    technologies: Sequence[Technology],
    access: Any,
    *,
    adopted: frozenset[str] = frozenset(),
    memory_url: str = "",
) -> dict[str, CountedSource[Any]]:
    """The counted sources of a contract, by name.

    Parameters
    ----------
    technologies: the catalogue and what was adopted since; ``adopted`` names the latter.
    memory_url: database in which sources may remember what they have looked up.
    """
    kinds = {one.kind: one for one in DECLARED}
    made = {}
    for config in contract.sources:
        if isinstance(config, Counted):
            source = kinds[config.kind].load()(
                config, technologies, period=contract.problem.calendar, access=access,
                max_bad_lines=contract.quality.max_bad_lines,
            )  # fmt: skip
            source.adopted, source.memory_url = adopted, memory_url
            made[config.name] = source
    return made
