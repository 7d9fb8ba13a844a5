"""The program of the keeper container: it prints what the test leaves while it runs, until it is told to end.

A worker follows these lines by one request for the container's log. Each is a JSON object:

    {"file": "output" | "live", "at": OFFSET, "data": BASE64}    the next bytes of the output, or of the live report
    {"usage": {...}}                                             the newest sample of the shim

An offset says where the bytes belong, so whoever reads a line twice, or misses one, knows it. What is missed can be had
by `results.py`. A test may have put anything where these files are. It needs Python 3.10 and nothing else.
"""

import json
import os
import sys
import time
from base64 import b64encode
from typing import TextIO

from cluster.kubernetes.results import LARGEST_LIVE, LARGEST_OUTPUT, LIVE, open_plain, read_usage

LOOK_SECONDS = 0.25
USAGE_SECONDS = 5.0
"""A line comes at least so often, so that a reader can tell a quiet test from a dead connection."""
PIECE = 24 * 1024
"""Bytes of one line: a line of the log of a container has 16 KiB at most, and is put together from few parts."""


class Tail:
    """The new part of one file."""

    def __init__(self, name: str, path: str, largest: int) -> None:
        self._name = name
        self._path = path
        self._left = largest
        self._at = 0

    def tell(self, out: TextIO) -> None:
        """Print what is new."""
        try:
            with os.fdopen(open_plain(self._path), "rb") as file:
                file.seek(self._at)
                while self._left and (data := file.read(min(PIECE, self._left))):
                    line = {"file": self._name, "at": self._at, "data": b64encode(data).decode()}
                    out.write(json.dumps(line) + "\n")
                    self._at += len(data)
                    self._left -= len(data)
        except OSError:
            return  # it is not there yet, or is no plain file


def main(run: str) -> None:
    """Print until the container is ended."""
    tails = (Tail("output", f"{run}/output.log", LARGEST_OUTPUT), Tail("live", f"{run}/results/{LIVE}", LARGEST_LIVE))
    told = float("-inf")
    while True:
        for tail in tails:
            tail.tell(sys.stdout)
        if time.monotonic() - told >= USAGE_SECONDS:
            told = time.monotonic()
            sys.stdout.write(json.dumps({"usage": read_usage(f"{run}/usage.json")}) + "\n")
        sys.stdout.flush()
        time.sleep(LOOK_SECONDS)
