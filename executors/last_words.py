"""What a tool said last before it gave up: for a person who reads a verdict, one line of the log is worth a link."""

import re
from pathlib import Path

from executors.untrusted import UnreadableError, clean, open_file

TAIL = 8192
"""Bytes at the end of the output that are looked at."""
LARGEST = 2**40
"""Of a file of any size only the end is read."""
LONGEST = 200
_ERROR = re.compile(r"\b(error|fatal|exception|not found|no such|denied|cannot)\b", re.IGNORECASE)


def last_words(output: Path) -> str:
    """Return the last line of an output that speaks of an error, else its last line; empty where it says nothing."""
    try:
        with open_file(output, LARGEST) as file:
            file.seek(max(0, file.seek(0, 2) - TAIL))
            tail = file.read(TAIL)
    except UnreadableError:
        return ""
    lines = [line for line in (clean(raw, LONGEST).strip() for raw in _lines(tail)) if line]
    return next((line for line in reversed(lines) if _ERROR.search(line)), lines[-1] if lines else "")


def _lines(tail: bytes) -> list[str]:
    return tail.decode(errors="replace").splitlines()
