"""Removal of what a test may have made: closed folders, a path longer than any, links and mounts that lead elsewhere.

Everything that goes is first moved into one trash folder, and folders inside it are moved up into the trash too: so no
depth matters, two descriptors are open at a time, and a mount point stays, since it cannot be moved.
"""

import os
import stat
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

TRASH = ".gone."
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_LOOK = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC


def remove(folder: Path, names: Iterable[str]) -> bool:
    """Remove the entries `names` of `folder`, folders with all they hold; return whether they are gone.

    No link is followed, nothing outside of `folder` is touched, and a mode that shuts us out is set back.
    """
    trash = Path(tempfile.mkdtemp(prefix=TRASH, dir=folder))
    source, target = os.open(folder, _FOLDER), os.open(trash, _FOLDER)
    try:
        bin_ = _Trash(target)
        gone = [bin_.take(source, name) for name in names]
        bin_.empty()
    finally:
        os.close(source)
        os.close(target)
        with suppress(OSError):  # what cannot be removed stays in it, for the next call
            trash.rmdir()
    return all(gone) and not trash.exists()


def left(folder: Path) -> list[str]:
    """Return what an earlier call has left in `folder`: its remover was killed, or may still be at work."""
    return [path.name for path in folder.glob(f"{TRASH}*")]


class _Trash:
    """The folder behind an open descriptor, with a name for each folder that is still to be emptied."""

    def __init__(self, folder: int) -> None:
        self._folder = folder
        self._waiting: list[str] = []
        self._taken = 0

    def take(self, source: int, name: str) -> bool:
        """Unlink an entry of `source`, or move it here if it is a folder; return whether it is gone from there."""
        try:
            look = os.open(name, _LOOK, dir_fd=source)
        except FileNotFoundError:
            return True
        except OSError:
            return False
        try:
            return self._take(source, name, look)
        except OSError:
            return False
        finally:
            os.close(look)

    def empty(self) -> None:
        """Remove all that was taken."""
        while self._waiting:
            name = self._waiting.pop()
            with suppress(OSError):
                self._empty(name)
                os.rmdir(name, dir_fd=self._folder)

    def _take(self, source: int, name: str, look: int) -> bool:
        if not stat.S_ISDIR(os.fstat(look).st_mode):
            os.unlink(name, dir_fd=source)
            return True
        with suppress(PermissionError):  # another owner's: perhaps it need not be changed
            os.chmod(f"/proc/self/fd/{look}", 0o700)  # noqa: PTH101  by descriptor: never what a link leads to
        self._taken += 1
        os.rename(name, str(self._taken), src_dir_fd=source, dst_dir_fd=self._folder)
        self._waiting.append(str(self._taken))
        return True

    def _empty(self, name: str) -> None:
        inside = os.open(name, _FOLDER, dir_fd=self._folder)
        try:
            with os.scandir(inside) as entries:
                for entry in entries:
                    self.take(inside, entry.name)
        finally:
            os.close(inside)
