"""Which use cases of a folder `make start` works on: a folder of links, which follows the one that people write in."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from include.kreislauf.requirements.loading import contract_files, contract_path
from include.kreislauf.settings import ROOT

BUNDLE = ROOT / "include" / "use_cases"
SHIPPED = ("machine_failure", "technology_radar")
"""They need gigabytes of downloads and a plant's database: nobody who starts a stack for a table has asked for that."""
ALL = "all"


@dataclass(frozen=True)
class Chosen:
    """The use cases that a stack sees.

    Parameters
    ----------
    folder: where people write them.
    links: folder that the stack is given instead; of this class alone.
    asked: names, or ``all``; none: all but those that ship with the bundle.
    besides: names taken in whatever ``asked`` says.
    """

    folder: Path
    links: Path
    asked: Collection[str] = ()
    besides: Collection[str] = ()

    def require(self) -> None:
        """Whether all that were named are there.

        Raises
        ------
        ContractError: one is not; names the ones that are.
        """
        for name in (*self.asked, *self.besides):
            if name != ALL:
                contract_path(self.folder, name)

    def names(self) -> list[str]:
        """Those that are there now, by name."""
        return [name for name in self._there() if self._takes(name)]

    def left_out(self) -> list[str]:
        """Those that are there, and that the stack does not see."""
        return [name for name in self._there() if not self._takes(name)]

    def link(self) -> list[str]:
        """Let the stack see those that are there now; returns their names."""
        self.links.mkdir(parents=True, exist_ok=True)
        wanted = {name: self.folder / name for name in self.names()}
        for link in self.links.iterdir():
            if link.is_symlink() and wanted.get(link.name) != link.readlink():
                link.unlink()
        for name, folder in wanted.items():
            if not (self.links / name).is_symlink():
                (self.links / name).symlink_to(folder, target_is_directory=True)
        return list(wanted)

    def _there(self) -> list[str]:
        return [path.parent.name for path in contract_files(self.folder)]

    def _takes(self, name: str) -> bool:
        if name in self.besides or ALL in self.asked:
            return True
        if self.asked:
            return name in self.asked
        return self.folder != BUNDLE or name not in SHIPPED
