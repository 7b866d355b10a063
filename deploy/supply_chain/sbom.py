"""A bill of materials in CycloneDX 1.6: every package of an environment, with version, licence, files' hashes and needs.

Run inside an image's own environment, it lists what that image really holds: no tool of another environment could,
as some pins differ from one Python to the next.

Source: OWASP CycloneDX, ECMA-424.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib.metadata import Distribution
from pathlib import Path
from typing import Any

from deploy.supply_chain.licences import field, licence_of
from deploy.supply_chain.pins import Pin, installed_pins, normal

_NEED = re.compile(r"^[A-Za-z0-9._-]+")
_NO_SPDX = frozenset({"BSD"})


def bill(requirements: Path, name: str, version: str) -> dict[str, Any]:
    """The bill of materials of what a requirements file has installed here.

    Parameters
    ----------
    requirements: a hash-pinned requirements file, of which everything for this system is installed.
    name: of the image.
    version: of the code.

    The bill holds no time and no random number: the same environment has the same bill.
    """
    found = installed_pins(requirements)
    purls = {pin.name: _purl(pin) for pin in found}
    root = f"pkg:oci/{name}"
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "component": {
                "type": "container", "bom-ref": root, "name": name, "version": version,
                "licenses": [{"license": {"id": "Apache-2.0"}}],
            },
            "tools": {"components": [{"type": "application", "name": "deploy.supply_chain"}]},
        },
        "components": [_component(pin, package) for pin, package in sorted(found.items(), key=lambda one: one[0].name)],
        "dependencies": [
            {"ref": root, "dependsOn": sorted(purls.values())},
            *({"ref": purls[pin.name], "dependsOn": _needs(package, purls)} for pin, package in found.items()),
        ],
    }  # fmt: skip


def _purl(pin: Pin) -> str:
    return f"pkg:pypi/{pin.name}@{pin.version}"


def _component(pin: Pin, package: Distribution) -> dict[str, Any]:
    return {
        "type": "library",
        "bom-ref": _purl(pin),
        "name": pin.name,
        "version": pin.version,
        "purl": _purl(pin),
        "description": field(package, "Summary"),
        "licenses": [_licence(licence_of(pin.name, package))],
        # one of these files was installed: which one depends on the system
        "externalReferences": [
            {
                "type": "distribution",
                "url": _purl(pin),
                "hashes": [{"alg": "SHA-256", "content": digest} for digest in pin.hashes],
            }
        ],
    }


def _licence(text: str) -> dict[str, Any]:
    if text in _NO_SPDX or not text:
        return {"license": {"name": text or "not stated"}}
    return {"expression": text} if " " in text else {"license": {"id": text}}


def _needs(package: Distribution, purls: Mapping[str, str]) -> list[str]:
    """What a package asks for and the environment has, extras too: more than strictly needed, never less."""
    asked = (_NEED.match(need) for need in package.requires or [])
    names = {normal(found.group()) for found in asked if found}
    return sorted(purls[name] for name in names if name in purls and name != normal(package.metadata["Name"]))
