"""Sends what a test has left to the worker: a program that the worker runs in the keeper container.

Usage: `results.py RUN OFFSET LIVE_OFFSET WITH_RESULTS`. It prints one line of JSON; then the output from `OFFSET` on;
then the report that a tool writes line by line, from `LIVE_OFFSET` on; then the results folder as a tar.gz if
`WITH_RESULTS` is 1. The line says how many bytes of each follow. A test may have put anything where it finds these
files, so no link is followed, and sizes and numbers are limited. It needs Python 3.10 and nothing else.
"""
# ruff: noqa: PTH123
# it runs by path and alone, so it imports nothing of Assay

import gzip
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
LEFT_OUT = 100
"""Files that are named as left out."""


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
    """Write the plain files of a folder as a tar.gz. Return the names of those that were left out."""
    left_out: list[str] = []
    files = total = 0
    with gzip.GzipFile("", "wb", 1, out) as packed, tarfile.open(fileobj=packed, mode="w|") as archive:
        for name in found(folder):
            try:
                descriptor = open_plain(f"{folder}/{name}")
            except OSError:
                left_out.append(name)
                continue
            with open(descriptor, "rb") as file:
                size = os.fstat(file.fileno()).st_size
                if files >= MOST_FILES or size > LARGEST_FILE or total + size > LARGEST_SUM:
                    left_out.append(name)
                    continue
                files, total = files + 1, total + size
                info = tarfile.TarInfo(name)
                info.size = size
                archive.addfile(info, file)
    return left_out[:LEFT_OUT]


def found(folder: str) -> Iterator[str]:
    """Yield the relative paths of the plain files below a folder, in order, a bounded number."""
    waiting = [""]
    looked_at = 0
    while waiting:
        inside = waiting.pop()
        try:
            with os.scandir(f"{folder}/{inside}") as entries:
                known = sorted(entries, key=lambda entry: entry.name)
        except OSError:
            continue
        for entry in known:
            looked_at += 1
            if looked_at > MOST_ENTRIES:
                return
            name = f"{inside}/{entry.name}" if inside else entry.name
            if entry.is_dir(follow_symlinks=False) and name.count("/") < DEEPEST:
                waiting.append(name)
            elif entry.is_file(follow_symlinks=False) and name.isprintable() and "\\" not in name:
                yield name


def open_plain(path: str) -> int:
    """Open a plain file for reading. Raises: OSError for a link, a pipe or anything else."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(f"{path} is not a plain file")
    return descriptor


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), with_results=sys.argv[4] == "1")
