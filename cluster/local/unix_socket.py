"""Reaches Unix sockets in folders whose path is too long for the kernel."""
# ruff: noqa: PTH119, PTH120
# as in cluster.local.shim: pathlib would cost each guard more memory than all of this

import os
from collections.abc import Iterator
from contextlib import contextmanager

LONGEST = 107
"""The bytes that the kernel takes as the path of a socket."""


@contextmanager
def reachable(path: str) -> Iterator[str]:
    """Yield a path that the kernel takes, to bind or to connect to the socket at `path` within the block.

    If `path` is too long, it leads by a descriptor of the folder. Raises: OSError without such a folder.
    """
    if len(os.fsencode(path)) <= LONGEST:
        yield path
        return
    folder = os.open(os.path.dirname(path), os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{folder}/{os.path.basename(path)}"
    finally:
        os.close(folder)
