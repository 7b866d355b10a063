"""Check bills of materials against CycloneDX's own schema; runs in the environment of `make audit`."""

from __future__ import annotations

import sys
from pathlib import Path

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator


def main(paths: list[str]) -> int:
    """The number of bills that are not valid; each fault is told."""
    validator, wrong = JsonStrictValidator(SchemaVersion.V1_6), 0
    for path in paths:
        fault = validator.validate_str(Path(path).read_text())
        wrong += fault is not None
        print(f"{path}: {fault or 'valid CycloneDX 1.6'}")
    return wrong


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
