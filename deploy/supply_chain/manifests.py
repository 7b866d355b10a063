"""Check manifests against Kubernetes' own schemas, strictly; runs in the environment of `make audit`, without a cluster."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import yaml

OLDEST = "1.30"
"""What chart 1.22.0 of Airflow asks for; the newest is the newest that the package has schemas of."""
FOREIGN = frozenset({"kustomize.config.k8s.io/v1beta1", "monitoring.coreos.com/v1"})
"""Not Kubernetes' own: the package has no schema of them."""


def faults(path: Path, versions: tuple[str, ...]) -> Iterator[str]:
    """Place and text of what a version of Kubernetes would refuse in a file."""
    for resource in filter(None, yaml.safe_load_all(path.read_text())):
        if resource.get("apiVersion") in FOREIGN:
            continue
        for version in versions:
            if fault := _fault(resource, version):
                yield f"{path}: {resource.get('kind')} {resource['metadata']['name']} ({version}): {fault}"


def _fault(resource: dict[str, Any], version: str) -> str:
    try:
        kubernetes_validate.validate(resource, version, strict=True)
    except kubernetes_validate.ValidationError as error:
        return f"{'.'.join(map(str, error.path))}: {error.message}"
    except kubernetes_validate.SchemaNotFoundError:
        return "there is no such kind"
    return ""


def main(paths: list[str]) -> int:
    """1 if anything would be refused."""
    versions = (OLDEST, kubernetes_validate.latest_version())
    found = [fault for path in paths for fault in faults(Path(path), versions)]
    print("\n".join(found) or f"{len(paths)} files, Kubernetes {' and '.join(versions)}")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
