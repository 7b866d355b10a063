"""The documentation holds together: links, anchors, images, commands, targets of make, and variables exist."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from include.kreislauf.cli import parser
from include.kreislauf.reference.command_page import commands
from include.kreislauf.settings import ROOT, Settings
from tests.docs.pages import PAGES, anchors, blocks, links, name_of

EVERY = pytest.mark.parametrize("page", PAGES, ids=name_of)
NOW = [page for page in PAGES if page.name != "CHANGELOG.md"]
"""Pages about what is, not about what was."""
COMMAND = re.compile(r"-m include\.kreislauf +(.+)")
KNOWN = [path for path, _ in commands(parser())]


@EVERY
def test_links_and_images_lead_somewhere(page: Path) -> None:
    text = page.read_text("utf-8")
    lost = []
    for target in links(text):
        if re.match(r"(https?|mailto):", target):
            continue
        path, _, anchor = target.partition("#")
        found = (page.parent / path).resolve() if path else page
        there = found.exists() and ROOT in (found, *found.parents)
        if not there or (
            anchor and found.suffix == ".md" and anchor not in anchors(found.read_text("utf-8"))
        ):
            lost.append(target)
    assert lost == []


def test_every_page_can_be_reached_from_the_index() -> None:
    seen, open_ = set(), [ROOT / "README.md"]
    while open_:
        page = open_.pop()
        if page in seen:
            continue
        seen.add(page)
        targets = (
            page.parent / one.partition("#")[0] for one in links(page.read_text("utf-8")) if ":" not in one
        )
        open_ += [one.resolve() for one in targets if one.suffix == ".md" and one.exists()]
    assert [name_of(page) for page in PAGES if page not in seen] == []


def shell_lines(text: str) -> Iterator[str]:
    """Lines of the blocks of a page that a shell could run, continued ones as one, without prompt."""
    for block in blocks(text):
        if block.language in ("", "bash", "sh", "console"):
            for line in block.text.replace("\\\n", " ").splitlines():
                yield line.removeprefix("$ ")


def arguments(line: str) -> list[str]:
    """The arguments of a command of ours in a shell line; placeholders stand for one word."""
    words = shlex.split(re.sub(r"<[^>]*>|\{[^}]*\}", "x", line), comments=True)
    own = words[words.index("include.kreislauf") + 1 :]
    ends = [place for place, word in enumerate(own) if word in ("|", "&&", ";", ">", "2>", "&", ">>")]
    return own[: min(ends, default=len(own))]


@pytest.mark.parametrize("page", NOW, ids=name_of)
def test_commands_in_blocks_are_taken_by_the_command_line(
    page: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for line in shell_lines(page.read_text("utf-8")):
        if COMMAND.search(line) and "--help" not in line:
            try:
                parser().parse_args(arguments(line))
            except SystemExit:
                pytest.fail(f"{line}\n{capsys.readouterr().err}")


@pytest.mark.parametrize("page", NOW, ids=name_of)
def test_commands_in_the_text_exist(page: Path) -> None:
    firsts = {path[0] for path in KNOWN} | {"--help"}
    found = re.findall(r"-m include\.kreislauf +([a-z-]+)(?: +([a-z]+))?", page.read_text("utf-8"))
    unknown = [first for first, _ in found if first not in firsts]
    groups = {path[0]: {one[1] for one in KNOWN if one[0] == path[0]} for path in KNOWN if len(path) == 2}
    unknown += [f"{first} {then}" for first, then in found if then and then not in groups.get(first, {then})]
    assert unknown == []


@pytest.mark.parametrize("page", NOW, ids=name_of)
def test_modules_and_targets_of_make_exist(page: Path) -> None:
    text = page.read_text("utf-8")
    modules = set(re.findall(r"python -m ((?:include|benchmarks|tests)\.[a-z_.]*[a-z_])", text))
    assert [one for one in sorted(modules) if find_spec(one) is None] == []
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    code = "\n".join([*re.findall(r"`([^`\n]+)`", text), *shell_lines(text)])
    named = set(re.findall(r"(?:^|&& |; |\s{2})make ([a-z][a-z-]*)", code, re.MULTILINE))
    assert named - targets == set()


def test_variables_exist() -> None:
    code = [ROOT / name for name in (".ci/run", "Makefile", "docker-compose.yaml", "Dockerfile")]
    code += [
        path
        for part in ("include", "dags", "plugins", "tests", "docker")
        for path in (ROOT / part).rglob("*")
    ]
    named = re.compile(r"KREISLAUF_[A-Z][A-Z_]*[A-Z]")
    texts = (
        path.read_text("utf-8") for path in code if path.suffix in (".py", ".yaml", "") and path.is_file()
    )
    known = {f"KREISLAUF_{name}".upper() for name in Settings.model_fields}
    known |= {name for text in texts for name in named.findall(text)}
    # a name that the reader chooses follows
    open_ended = ("KREISLAUF_SECRET_", "KREISLAUF_CONNECTION_")
    lost = {
        f"{name_of(page)}: {name}"
        for page in NOW
        for name in named.findall(page.read_text("utf-8"))
        if name not in known and not f"{name}_".startswith(open_ended)
    }
    assert lost == set()
