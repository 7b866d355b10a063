"""The catalogue of a use case, ``technologies.yaml``: what each technology is called in each source.

The catalogue is part of the contract: it is signed with it, and changes its hash.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, field_validator

from include.kreislauf.requirements.section import Section, inconsistent

TechnologyName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9.+#_-]{0,62}$")]
Texts = Annotated[tuple[Annotated[str, Field(min_length=1, max_length=128)], ...], Field(strict=False)]


class Term(Section):
    """A word or phrase by which advertisements name a technology."""

    text: str = Field(min_length=1, max_length=64, description="Matched as whole words.", examples=["Go"])
    exact_case: bool = Field(
        False, description="Whether capitals count, as in Go, Swift or R.", examples=[True]
    )
    not_in: Texts = Field(
        (),
        description="Phrases in which it means something else, such as 'go to market'; {year} stands for a year.",
        examples=[["go to market"]],
    )


class Technology(Section):
    """One technology, and its names in the sources."""

    name: TechnologyName = Field(
        description="Its name in features, requests and predictions.", examples=["go"]
    )
    kind: str = Field(
        min_length=1, max_length=32, description="Such as language, web, data.", examples=["language"]
    )
    languages: Texts = Field(
        (), description="Languages as GitHub writes them, such as C++.", examples=[["Go"]]
    )
    repositories: Annotated[
        tuple[Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+$")], ...], Field(strict=False)
    ] = Field((), description="owner/name; former names as well.", examples=[["golang/go"]])
    topics: Texts = Field((), description="GitHub topics.", examples=[["golang"]])
    tags: Texts = Field((), description="Stack Overflow tags.", examples=[["go"]])
    terms: Annotated[tuple[Term, ...], Field(strict=False)] = ()


class Catalogue(Section):
    """All technologies of a use case."""

    version: int = Field(1, ge=1, le=1, description="Version of this format.")
    technologies: Annotated[tuple[Technology, ...], Field(strict=False, min_length=1)]

    @field_validator("technologies")
    @classmethod
    def _names_are_unique(cls, technologies: tuple[Technology, ...]) -> tuple[Technology, ...]:
        names = [one.name for one in technologies]
        if repeated := sorted({name for name in names if names.count(name) > 1}):
            raise inconsistent(f"named twice: {', '.join(repeated)}", allowed="each name once")
        return technologies
