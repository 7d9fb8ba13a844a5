"""Removal of what a test may have made: closed folders, a path longer than any, links and mounts that lead elsewhere.

Each folder is moved up before it is emptied: so no depth matters, few descriptors are open at a time, and a mount point
stays as it is, since it cannot be moved. It needs no room: it is called when the disk is full, too.
"""

import os
import secrets
import stat
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

TRASH = ".gone."
"""How the name of a folder begins that is being removed; one that stays has lost its remover."""
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_LOOK = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC


def remove(folder: Path, names: Iterable[str]) -> bool:
    """Remove the entries `names` of `folder`, folders with all they hold; return whether they are gone.

    No link is followed, nothing outside of `folder` is touched, and a mode that shuts us out is set back.
    """
    source = os.open(folder, _FOLDER)
    try:
        gone = [_remove(source, name) for name in names]
    finally:
        os.close(source)
    return all(gone)


def _remove(source: int, name: str) -> bool:
    prefix = f"{TRASH}{secrets.token_hex(8)}."
    try:
        moved = _take(source, name, source, prefix)
        if moved:
            _clear(source, moved, prefix)
            os.rmdir(moved, dir_fd=source)
    except OSError as error:
        return isinstance(error, FileNotFoundError)
    return True


def _take(source: int, name: str, target: int, prefix: str) -> str:
    """Unlink an entry of `source`; if it is a folder, move it into `target` and return its name there."""
    look = os.open(name, _LOOK, dir_fd=source)
    try:
        if not stat.S_ISDIR(os.fstat(look).st_mode):
            os.unlink(name, dir_fd=source)
            return ""
        with suppress(PermissionError):  # another owner's: perhaps it need not be changed
            os.chmod(f"/proc/self/fd/{look}", 0o700)  # noqa: PTH101  by descriptor: never what a link leads to
        moved = prefix + secrets.token_hex(8)
        os.rename(name, moved, src_dir_fd=source, dst_dir_fd=target)
        return moved
    finally:
        os.close(look)


def _clear(source: int, name: str, prefix: str) -> None:
    """Remove all that a folder holds, as far as that is possible."""
    top = os.open(name, _FOLDER, dir_fd=source)
    waiting = ["."]
    try:
        while waiting:
            folder = waiting.pop()
            with suppress(OSError):
                waiting.extend(_empty(top, folder, prefix))
                if folder != ".":
                    os.rmdir(folder, dir_fd=top)
    finally:
        os.close(top)


def _empty(top: int, name: str, prefix: str) -> list[str]:
    """Unlink the files of a folder below `top`, move its folders up there, and return the names these have got."""
    inside = os.open(name, _FOLDER, dir_fd=top)
    moved: list[str] = []
    try:
        with os.scandir(inside) as entries:
            for entry in entries:
                if not entry.name.startswith(prefix):  # moved here by ourselves while we look
                    with suppress(OSError):
                        moved.append(_take(inside, entry.name, top, prefix))
    finally:
        os.close(inside)
    return [folder for folder in moved if folder]
