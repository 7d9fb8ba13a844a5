"""Finds the last meaningful line of an output: it explains a verdict better than a link to the log does."""

import re
from pathlib import Path

from executors.untrusted import UnreadableError, clean, open_file

TAIL = 8192
"""Bytes at the end of the output that are searched."""
LARGEST = 2**40
"""The largest output that is opened. Only its end is read."""
LONGEST = 200
_ERROR = re.compile(r"\b(error|fatal|exception|fail(?:ed|ure)?|not found|no such|denied|cannot)\b", re.IGNORECASE)


def last_words(output: Path) -> str:
    """Return the last line of an output that mentions an error, else its last line; empty if there is none."""
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
