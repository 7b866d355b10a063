"""The catalogue of a world's established technologies, in the form of a use case's ``technologies.yaml``."""

from __future__ import annotations

from typing import Any

from include.kreislauf.simulation.observations import LANGUAGE
from include.kreislauf.simulation.technologies import World


def catalogue(world: World) -> dict[str, Any]:
    """What a use case knows before it has found anything itself: all names of technologies that are not new.

    A technology is called the same everywhere: a language by its name, all else by a repository ``name/name``.
    """
    pairs = zip(world.names, world.kinds, strict=True)
    known = [_technology(name, kind) for name, kind in pairs if name not in world.emerging]
    return {"version": 1, "technologies": known}


def _technology(name: str, kind: str) -> dict[str, Any]:
    on_github = {"languages": [name]} if kind == LANGUAGE else {"repositories": [f"{name}/{name}"]}
    return {"name": name, "kind": kind, **on_github, "tags": [name], "terms": [{"text": name}]}
