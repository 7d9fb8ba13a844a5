"""Makes folders that appear whole or not at all, even if several processes make the same one and any may be killed.

Each maker has a draft of its own beside the target, and holds a lock on it while it lives. A draft without a lock is a
leftover, and the next maker removes it. The draft of a stopped process stays.
"""

import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cluster import removal


@contextmanager
def draft(target: Path) -> Iterator[Path]:
    """Yield an empty folder beside `target`, to be filled and moved or linked there; else it is removed at the end."""
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    remove_left(target)
    folder, lock = _own(target)
    try:
        yield folder
    finally:
        if folder.exists() and not _in_use(target, folder):
            removal.remove(folder.parent, [folder.name])
        os.close(lock)


def remove_left(target: Path) -> None:
    """Remove drafts of `target` whose makers are gone, but not the one that a link at `target` names."""
    for folder in target.parent.glob(f"{_prefix(target)}*"):
        lock = _lock(folder)
        if lock is not None:
            if not _in_use(target, folder):  # asked under the lock: its maker would have linked it by now
                removal.remove(folder.parent, [folder.name])
            os.close(lock)
    removal.remove(target.parent, [trash.name for trash in target.parent.glob(f"{removal.TRASH}*")])


def _own(target: Path) -> tuple[Path, int]:
    """Return a new draft and the lock on it."""
    while True:
        folder = Path(tempfile.mkdtemp(prefix=_prefix(target), dir=target.parent))
        lock = _lock(folder)
        if lock is not None:
            if folder.exists():
                return folder, lock
            os.close(lock)  # another maker took it for a leftover before we had the lock


def _lock(folder: Path) -> int | None:
    """Lock a draft and return the lock; None if another process holds it."""
    try:
        lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return None
    return lock


def _prefix(target: Path) -> str:
    return f".{target.name}.draft."


def _in_use(target: Path, folder: Path) -> bool:
    return target.is_symlink() and target.readlink().parts[0] == folder.name
