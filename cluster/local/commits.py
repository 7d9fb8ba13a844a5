"""Keeps the commit that an attempt runs in its run folder: the test may change its clone, and may be adopted later."""

from contextlib import suppress
from pathlib import Path

FILE = "commit"


def keep(folder: Path, commit: str | None) -> None:
    """Write down the commit of the content, before the test is started. The first one stays."""
    if commit is not None:
        with suppress(FileExistsError), (folder / FILE).open("x", encoding="utf-8") as file:
            file.write(commit)


def kept(folder: Path) -> str | None:
    """Return the commit that was written down, None if there is none."""
    try:
        return (folder / FILE).read_text(encoding="utf-8")[:64] or None
    except (OSError, UnicodeDecodeError):
        return None
