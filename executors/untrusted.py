"""Reads what a test wrote: files of any size and kind, texts with anything in them."""

import hashlib
import os
import re
import stat
from pathlib import Path
from typing import BinaryIO

LONGEST_NAME = 500
LONGEST_MESSAGE = 4_000
LONGEST_TRACE = 16_000
CUT = "... [cut]"
_ANSI = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")


class UnreadableError(ValueError):
    """A file is missing, is not a regular file, or is too large. The message goes into the report."""


class TooLargeError(UnreadableError):
    """A file is larger than what is read. `name` and `size` in bytes are for a reader that knows a remedy."""

    def __init__(self, name: str, size: int, largest: int) -> None:
        super().__init__(f"{name} has {size} bytes, more than the {largest} that are read")
        self.name = name
        self.size = size


def open_file(path: Path, largest: int) -> BinaryIO:
    """Open a regular file without following a link or waiting for a writer.

    Raises: UnreadableError if it is missing, is something else, or has more than `largest` bytes.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise UnreadableError(f"{path.name} cannot be read: {error.strerror}") from error
    facts = os.fstat(descriptor)
    if not stat.S_ISREG(facts.st_mode):
        os.close(descriptor)
        raise UnreadableError(f"{path.name} is not a regular file")
    if facts.st_size > largest:
        os.close(descriptor)
        raise TooLargeError(path.name, facts.st_size, largest)
    return os.fdopen(descriptor, "rb")


def clean(text: object, longest: int) -> str:
    """Return `text` cut to `longest`, without NUL, half characters and colours: fit for a database and a terminal."""
    if not isinstance(text, str):
        return ""
    whole = _ANSI.sub("", text[: longest * 4]).replace("\0", "\N{REPLACEMENT CHARACTER}")
    whole = whole.encode(errors="replace").decode()
    return whole if len(whole) <= longest else whole[: longest - len(CUT)] + CUT


def clean_name(name: str) -> str:
    """Return a test's name fit for its column. Names that differ still differ after they are cut."""
    short = clean(name, len(name) + 1)
    if short == name and len(name) <= LONGEST_NAME:
        return name
    mark = hashlib.sha256(name.encode(errors="surrogatepass")).hexdigest()[:12]
    return f"{short[: LONGEST_NAME - len(mark) - 3]}...{mark}"
