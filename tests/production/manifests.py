"""The Kubernetes manifests and the Helm values, as the tests read them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

import yaml

from include.kreislauf.settings import ROOT

FOLDER = ROOT / "deploy" / "kubernetes"
WORKLOADS = ("Deployment", "StatefulSet", "CronJob")
VALUES = ("values.yaml", "values-celery.yaml")
Tree = Mapping[str, Any]


@lru_cache
def kustomization(folder: str = "") -> Tree:
    """What ``kubectl apply -k`` takes."""
    found: Tree = yaml.safe_load((FOLDER / folder / "kustomization.yaml").read_text())
    return found


@lru_cache
def documents(name: str) -> tuple[Tree, ...]:
    """The manifests of one file."""
    return tuple(filter(None, yaml.safe_load_all((FOLDER / name).read_text())))


def manifests(*kinds: str) -> list[Tree]:
    """What the kustomization applies; of some kinds, or all."""
    found = [one for name in kustomization()["resources"] for one in documents(name)]
    return [one for one in found if not kinds or one["kind"] in kinds]


@lru_cache
def values(name: str) -> Tree:
    """One file of Helm values."""
    found: Tree = yaml.safe_load((FOLDER / name).read_text())
    return found


def name_of(manifest: Tree) -> str:
    """Kind and name."""
    return f"{manifest['kind']} {manifest['metadata']['name']}"


def template_of(workload: Tree) -> Tree:
    """The pod that a workload makes."""
    spec = workload["spec"]
    found: Tree = (spec["jobTemplate"]["spec"] if workload["kind"] == "CronJob" else spec)["template"]
    return found


def containers() -> Iterator[tuple[str, Tree]]:
    """Every container of the manifests, with the workload's name."""
    for workload in manifests(*WORKLOADS):
        for container in template_of(workload)["spec"]["containers"]:
            yield name_of(workload), container


def inside(tree: Any, key: str) -> Iterator[Any]:
    """What stands at a key, wherever it is."""
    if isinstance(tree, Mapping):
        for name, below in tree.items():
            if name == key:
                yield below
            yield from inside(below, key)
    elif isinstance(tree, list | tuple):
        for below in tree:
            yield from inside(below, key)


def sources() -> list[Any]:
    """Everything that names variables, Secrets and claims."""
    return [*manifests(), *(values(name) for name in VALUES)]
