"""Installations with a story in their store."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from include.kreislauf.evaluation.card import write_card
from include.kreislauf.requirements.contract import Contract
from include.kreislauf.requirements.loading import contract_path, load_contract
from include.kreislauf.settings import ROOT, Settings
from include.kreislauf.store.database import Store
from tests.evaluation.card_examples import card, order
from tests.plugins.story import NAME, Story, tell

WITH_DOCUMENTS = "c0002-2015-10-01"
"""The cycle whose release is live; its evaluation was the first attempt's."""


@pytest.fixture(scope="session")
def contract() -> Contract:
    return load_contract(contract_path(ROOT / "include" / "use_cases", NAME))


@pytest.fixture(scope="session")
def installation(
    tmp_path_factory: pytest.TempPathFactory, contract: Contract
) -> Callable[[Callable[[Story], None]], Settings]:
    """Makes an installation: a use case, a broken one, and a store with a story."""

    def make(told: Callable[[Story], None] = tell) -> Settings:
        home = tmp_path_factory.mktemp("installation")
        source = contract_path(ROOT / "include" / "use_cases", NAME)
        catalogue = source.with_name("technologies.yaml")
        for name in (NAME, "wrong_name"):
            (home / "use_cases" / name).mkdir(parents=True)
            for file in (source, catalogue):
                shutil.copy(file, home / "use_cases" / name)
        settings = Settings(home=home, use_cases=home / "use_cases", store_url="")
        store = Store(settings.store)
        store.upgrade()
        with store.write() as db:
            told(Story(db, contract))
        leave_documents(settings)
        return settings

    return make


def leave_documents(settings: Settings) -> None:
    """What evaluation and collection of one cycle leave beside its artefacts."""
    one = card(order=order().model_copy(update={"cycle_id": WITH_DOCUMENTS, "attempt": 1}))
    write_card(settings.artefacts / NAME / "model_cards" / f"{WITH_DOCUMENTS}-1", one)
    sheets = settings.artefacts / NAME / "data_sheets" / f"{WITH_DOCUMENTS}-1"
    sheets.mkdir(parents=True)
    (sheets / "data_sheet.md").write_text("# Data sheet: → <b>text</b>\n", encoding="utf-8")
    (sheets / "data_sheet.png").write_bytes(b"\x89PNG\r\n\x1a\n")


@pytest.fixture(scope="session")
def told(installation: Callable[[], Settings]) -> Settings:
    """The installation of the whole story; nobody changes it."""
    return installation()


def environment(settings: Settings) -> dict[str, str]:
    """The variables that make other processes use an installation."""
    return {
        "KREISLAUF_HOME": str(settings.home),
        "KREISLAUF_STORE_URL": settings.store,
        "KREISLAUF_USE_CASES": str(settings.use_cases),
    }


@pytest.fixture(scope="session")
def as_environment() -> Callable[[Settings], dict[str, str]]:
    return environment


@pytest.fixture(scope="session")
def bundle_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle root with the real plugins and domain, and without DAGs."""
    root = tmp_path_factory.mktemp("bundle")
    (root / "dags").mkdir()
    for name in ("include", "plugins", ".airflowignore", "dags/__init__.py", "dags/common"):
        (root / name).symlink_to(ROOT / name)
    return root
