"""Who this machine is to the gate: a node name made once in the state folder, and the backend of that node (010.1)."""

import os
import platform
import secrets
import tempfile
from contextlib import suppress
from pathlib import Path

from model.ids import BackendName, NodeName

FILE = "node-name"
LONGEST_HOST = 200
"""Characters of the host's name that are kept: a node's name has 255 at most."""


def node_name(state: Path) -> NodeName:
    """Return the name of the node that this state folder is: `<host>-<6 hex digits>`. It is made at the first call.

    The name stays when the host gets another one. Two state folders on one machine are two nodes. Processes that make
    it at the same time agree on one name: it is linked into place, which only one of them can do.
    """
    file = state / FILE
    if not file.exists():
        _make(file)
    return NodeName(file.read_text(encoding="utf-8").strip())


def backend_name(node: NodeName) -> BackendName:
    """Return the backend of a node that is a machine of its own."""
    return BackendName(f"local/{node}")


def _make(file: Path) -> None:
    """Write a new name, unless another process was first. It is there whole or not at all."""
    descriptor, draft = tempfile.mkstemp(prefix=f".{file.name}.", dir=file.parent)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as text:
            text.write(f"{platform.node()[:LONGEST_HOST]}-{secrets.token_hex(3)}\n")
            text.flush()
            os.fsync(text.fileno())
        with suppress(FileExistsError):
            os.link(draft, file)
    finally:
        Path(draft).unlink()
