"""Removes most of a run folder once the end of its attempt is recorded. Small records of the shim stay."""

from pathlib import Path

from cluster import removal

KEPT = frozenset(
    {"lock", "spec.json", "start.json", "usage.json", "exit.json", "ended-with-the-stack.json", "shim.log"}
)
LARGEST_KEPT = 2**20


def forget(folder: Path) -> bool:
    """Remove all of a run folder but the small records of the shim; return whether that succeeded.

    To be called, any number of times, when log, results and artifacts are in their stores and nothing of the attempt is
    alive. It removes the content, the home, the results, the unmasked output, and whatever else the test has put there.
    """
    try:
        if not folder.is_dir() or folder.is_symlink():
            return True
        folder.chmod(0o700)
        return removal.remove(folder, [path.name for path in folder.iterdir() if not _kept(path)])
    except OSError:  # only tidying up: the end of the attempt does not depend on it
        return False


def is_tidy(folder: Path) -> bool:
    """Return whether `forget` would remove nothing of a run folder. A folder that cannot be read counts as tidy."""
    try:
        return folder.is_symlink() or not folder.is_dir() or all(map(_kept, folder.iterdir()))
    except OSError:
        return True


def _kept(path: Path) -> bool:
    return path.name in KEPT and not path.is_symlink() and path.is_file() and path.stat().st_size <= LARGEST_KEPT
