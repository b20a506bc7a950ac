"""Finds the file or module that a Python card names, inside the folders of agents. Used by ``python_agent``."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


class TargetMissing(Exception):
    """The card names a file that is not there, or one outside the folders of agents."""


@dataclass(frozen=True, slots=True)
class Target:
    """What a child loads and where it works. ``changed_ns`` makes an edited file another target."""

    text: str
    folder: Path
    changed_ns: int = 0
    file: str = ""

    @property
    def current(self) -> bool:
        """Whether the file is still the one that was found."""
        try:
            return not self.file or os.stat(self.file).st_mtime_ns == self.changed_ns
        except FileNotFoundError:
            return False


def locate(target: str, folders: Sequence[Path], packages: Sequence[str] = ()) -> Target:
    """The target of a card. ``folders`` are absolute; of modules, only those of ``packages`` may be named.

    A card can come in over HTTP: what it names must be something that the operator has put there for agents. Raises
    TargetMissing.
    """
    place, _, name = target.rpartition(":")
    if not place.endswith(".py"):
        if place.partition(".")[0] not in packages:
            problem = f"the module {place} is in no package that the setting agents.python_packages lists"
            raise TargetMissing(f"{problem} ({', '.join(packages) or 'it is empty'})")
        return Target(target, folders[0] if folders else Path.cwd())
    for folder in folders:
        path = Path(folder, place).resolve()  # an absolute place stays as it is
        if path.is_relative_to(folder) and path.is_file():
            return Target(f"{path}:{name}", path.parent, path.stat().st_mtime_ns, str(path))
    searched = ", ".join(map(str, folders)) or "no folder"
    raise TargetMissing(f"there is no {place} in {searched}")
