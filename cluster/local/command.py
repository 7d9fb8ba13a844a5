"""A tool's command in terms of this machine's paths."""

from dataclasses import dataclass
from pathlib import Path

from model.command import Command, Where

OWN_PACKAGES = Path(__file__).resolve().parents[2]
"""Where this installation of Assay has its packages."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFolders:
    """The folders of one attempt.

    `entry` is the first file or folder inside `work` that `content.path` names. `python` is the interpreter of the
    test's own virtual environment, None if it has none. `packages` holds the packages of Assay.
    """

    work: Path
    results: Path
    home: Path
    entry: Path
    python: Path | None = None
    packages: Path = OWN_PACKAGES


def arguments(command: Command, folders: RunFolders) -> tuple[str, ...]:
    """Return the program and its arguments. Raises: ValueError for a path that the attempt does not have."""
    return tuple(word if isinstance(word, str) else str(_path(word, command, folders)) for word in command.argv)


def working_folder(command: Command, folders: RunFolders) -> Path:
    """Return the folder in which the command starts; the content is in place."""
    path = _path(command.folder, command, folders)
    return path if path.is_dir() else path.parent


def _path(where: Where, command: Command, folders: RunFolders) -> Path:
    paths = {
        Where.WORK: folders.work,
        Where.ENTRY: folders.entry,
        Where.PYTHON: folders.python,
        Where.SUPPORT: command.support,
        Where.RESULTS: folders.results,
        Where.PACKAGES: folders.packages,
    }
    path = paths[where]
    if path is None:
        raise ValueError(f"the command needs {where.value}, and this attempt has none")
    return path
