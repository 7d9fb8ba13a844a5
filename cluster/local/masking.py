"""Keeps the secret values that a running test was given in its run folder, for the worker that adopts the test.

The secrets themselves may be removed or changed meanwhile, and what the test prints must be masked by what it knows.
Each worker writes a file of its own before it launches, readable by its owner only, so nothing is overwritten. The
files are removed with the rest of the folder (`cleanup.forget`). The test can read them: it has the values anyway.
"""

import json
import os
import tempfile
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from itertools import islice
from pathlib import Path

PREFIX = "mask."
MOST_FILES = 100
LARGEST_FILE = 32 * 2**20
"""A test may have put other files there. A launch writes one, and the kernel accepts 2 MiB of variables at most."""


def keep(folder: Path, values: Mapping[str, str]) -> None:
    """Write values to a file, by the names of their secrets. Without values nothing is written."""
    if values:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor, _ = tempfile.mkstemp(prefix=PREFIX, dir=folder)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(dict(values), file, ensure_ascii=False)


def kept(folder: Path, names: Collection[str]) -> frozenset[str]:
    """Return all values that were kept for these secrets."""
    return frozenset(value for known in _files(folder) for name in names if isinstance(value := known.get(name), str))


def discard(folder: Path) -> None:
    """Remove what was kept; what a test has put there under such a name may stay."""
    for path in folder.glob(f"{PREFIX}*"):
        with suppress(OSError):
            path.unlink()


def _files(folder: Path) -> Iterator[dict[str, object]]:
    """Yield the content of the files. A file that was cut off belongs to a worker that died before it launched."""
    for path in islice(sorted(folder.glob(f"{PREFIX}*")), MOST_FILES):
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
            with os.fdopen(descriptor, "rb") as file:
                known = json.loads(file.read(LARGEST_FILE))
        except (OSError, ValueError):
            continue
        if isinstance(known, dict):
            yield known
