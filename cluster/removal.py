"""Removes what a test may have made: folders without permissions, paths of any length, links, and mount points.

Each folder is moved up before it is emptied. So the depth does not matter, and few descriptors are open at a time. A
mount point cannot be moved, so it stays as it is. Removal needs no free space, so it also works on a full disk.
"""

import os
import secrets
import stat
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

TRASH = ".gone."
"""Prefix of the name of a folder that is being removed. If it stays, its remover was killed."""
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_LOOK = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC


def remove(folder: Path, names: Iterable[str]) -> bool:
    """Remove the entries `names` of `folder`, folders with all they hold; return whether they are gone.

    No link is followed, and nothing outside of `folder` is touched. Missing permissions of folders are restored first.
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
        with suppress(PermissionError):  # of another owner: it may be removable without
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
                if not entry.name.startswith(prefix):  # we moved it here while we read the folder
                    with suppress(OSError):
                        moved.append(_take(inside, entry.name, top, prefix))
    finally:
        os.close(inside)
    return [folder for folder in moved if folder]
