"""Sends what a test has left to the worker: a program that the worker runs in the keeper container.

Usage: `results.py RUN OFFSET LIVE_OFFSET WITH_RESULTS`. It prints one line of JSON; then the output from `OFFSET` on;
then the report that a tool writes line by line, from `LIVE_OFFSET` on; then the results folder as a tar.gz if
`WITH_RESULTS` is 1. The line says how many bytes of each follow. A test may have put anything where it finds these
files, so no link is followed, and sizes and numbers are limited. It needs Python 3.10 and nothing else.
"""
# ruff: noqa: PTH123
# it runs by path and alone, so it imports nothing of Assay

import gzip
import io
import json
import os
import stat
import sys
import tarfile
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from typing import BinaryIO

LIVE = "results.jsonl"
"""A report in the results folder that grows while the test runs."""
LARGEST_LIVE = 64 * 2**20
LARGEST_OUTPUT = 100_000_000
"""As much as a log may have."""
MOST_FILES = 2_000
MOST_ENTRIES = 20_000
LARGEST_FILE = 200 * 2**20
LARGEST_SUM = 490 * 2**20
"""Less than what the worker unpacks at most."""
DEEPEST = 30
LARGEST_RECORD = 65_536
PIECE = 2**20
MOST_NAMED = 100
"""Files that are named as left out."""
LEFT_OUT, HEADING = "left-out.txt", "Not kept of what the run left:"
"""The file that names them: `cluster.artifacts` has one of the same name, and takes its lines over."""
REPORTS = (".xml", ".json", ".jsonl")
"""They come first: no picture may take the room of a report by which the test is judged."""


def main(run: str, offset: int, live_offset: int, *, with_results: bool) -> None:
    """Write header, output, report and results to standard output."""
    out = sys.stdout.buffer
    with ExitStack() as stack:
        output = Piece.of(stack, f"{run}/output.log", offset, LARGEST_OUTPUT)
        live = Piece.of(stack, f"{run}/results/{LIVE}", live_offset, LARGEST_LIVE)
        header = {"bytes": output.count, "live": live.count, "usage": read_usage(f"{run}/usage.json")}
        out.write(json.dumps(header).encode() + b"\n")
        output.send(out)
        live.send(out)
    if with_results:
        pack(f"{run}/results", out)
    out.flush()


class Piece:
    """The part of a file from an offset on. Its size is fixed when it is opened."""

    def __init__(self, file: BinaryIO | None, offset: int, limit: int) -> None:
        self._file = file
        self._offset = offset
        self.count = 0 if file is None else max(0, min(os.fstat(file.fileno()).st_size, limit) - offset)

    @classmethod
    def of(cls, stack: ExitStack, path: str, offset: int, limit: int) -> "Piece":
        """Open a file as far as it is a plain one; else the piece is empty."""
        try:
            file = stack.enter_context(os.fdopen(open_plain(path), "rb"))
        except OSError:
            return cls(None, offset, limit)
        return cls(file, offset, limit)

    def send(self, out: BinaryIO) -> None:
        """Write exactly as many bytes as were promised, though the test may make the file shorter meanwhile."""
        if self._file is None:
            return
        self._file.seek(self._offset)
        left = self.count
        while left:
            read = self._file.read(min(left, PIECE)) or bytes(min(left, PIECE))
            out.write(read)
            left -= len(read)


def read_usage(path: str) -> object:
    """Return the shim's last sample, None if there is none."""
    with suppress(OSError, ValueError), open(open_plain(path), "rb") as file:
        return json.loads(file.read(LARGEST_RECORD))
    return None


def pack(folder: str, out: BinaryIO) -> list[str]:
    """Write the plain files of a folder as a tar.gz. Return what was left out, a line each with the reason.

    One more file, `left-out.txt`, has these lines too.
    """
    left_out: list[str] = []
    files = total = 0
    known = sorted(found(folder), key=lambda one: not one[0].endswith(REPORTS))
    with gzip.GzipFile("", "wb", 1, out) as packed, tarfile.open(fileobj=packed, mode="w|") as archive:
        for name, problem in known:
            reason = problem or (f"more than {MOST_FILES} files" if files >= MOST_FILES else "")
            if not reason:
                added = add(archive, folder, name, LARGEST_SUM - total)
                if isinstance(added, int):
                    files, total = files + 1, total + added
                    continue
                reason = added
            left_out.append(f"{shown(name)}: {reason}")
        if len(left_out) > MOST_NAMED:
            left_out = [*left_out[:MOST_NAMED], f"and {len(left_out)} in all"]
        if left_out:
            data = "\n".join([HEADING, *left_out]).encode()
            info = tarfile.TarInfo(LEFT_OUT)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return left_out


def add(archive: tarfile.TarFile, folder: str, name: str, room: int) -> "int | str":
    """Add one file. Return its size, or why it is left out."""
    try:
        descriptor = open_plain(f"{folder}/{name}")
    except OSError as error:
        return f"cannot be read: {error.strerror or error}"
    with open(descriptor, "rb") as file:
        size = os.fstat(descriptor).st_size
        if size > min(LARGEST_FILE, room):
            return f"{size} bytes, more than the {min(LARGEST_FILE, room)} there is room for"
        info = tarfile.TarInfo(name)
        info.size = size
        archive.addfile(info, file)
    return size


def found(folder: str) -> "Iterator[tuple[str, str]]":
    """Yield the relative path of what is below a folder with the reason why it is left out, empty if it is taken.

    A bounded number of entries is looked at.
    """
    waiting = [""]
    looked_at = 0
    if os.path.islink(folder):  # noqa: PTH114  see above
        yield ".", "a symbolic link"
        return
    while waiting:
        inside = waiting.pop()
        try:
            with os.scandir(f"{folder}/{inside}") as entries:
                known = sorted(entries, key=lambda entry: entry.name)
        except OSError as error:
            yield inside or ".", f"cannot be read: {error.strerror}"
            continue
        for entry in known:
            looked_at += 1
            name = f"{inside}/{entry.name}" if inside else entry.name
            if looked_at > MOST_ENTRIES:
                yield name, f"this and what follows: more than {MOST_ENTRIES} entries"
                return
            if entry.is_dir(follow_symlinks=False) and name.count("/") < DEEPEST:
                waiting.append(name)
            else:
                yield name, problem_of(name, entry)


def problem_of(name: str, entry: "os.DirEntry[str]") -> str:
    """Return why a file is left out by what it is, empty if it is a plain one."""
    if entry.is_symlink():
        return "a symbolic link"
    if not entry.is_file(follow_symlinks=False):
        return "not a regular file, or too deep"
    if "\\" in name or not name.isprintable():
        return "its name cannot be printed"
    return "that name is Assay's own" if name == LEFT_OUT else ""


def shown(name: str) -> str:
    """Return a name as one line of text, cut where it is long."""
    return name[:200].encode("unicode_escape").decode() if not name.isprintable() else name[:200]


def open_plain(path: str) -> int:
    """Open a plain file for reading. Raises: OSError for a link, a pipe or anything else."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(f"{path} is not a plain file")
    return descriptor


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), with_results=sys.argv[4] == "1")
