"""Unit tests are pure, and this holds them to it: none starts a process, opens a connection or writes a file.

What needs one of these stands in `tests/contract` or `tests/integration`; what takes a second, in `tests/properties`.
"""

import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
REFUSED = {"subprocess.Popen", "os.fork", "os.posix_spawn", "os.system", "socket.connect", "socket.bind", "os.mkdir"}
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT
KEPT = ("__pycache__", ".pyc", ".hypothesis", "/dev/null")
"""What Python and Hypothesis write for themselves while a test runs."""
under_test: list[str] = []


def watch(event: str, arguments: tuple[Any, ...]) -> None:
    """Raise in the test that does what a pure one does not."""
    if not under_test or threading.current_thread() is not threading.main_thread():
        return
    seen = bool(arguments) and isinstance(arguments[0], int)  # a file that was opened before, and looked at then
    impure = bool(arguments[2] & WRITING) and not seen if event == "open" else event in REFUSED
    if impure and not any(part in str(arguments[0]) for part in KEPT):
        raise AssertionError(f"{under_test[0]} is a unit test, and not pure: {event} {arguments[0]}")


sys.addaudithook(watch)


def watched(item: pytest.Item) -> Iterator[None]:
    """Watch if the test is of this folder: pytest calls the hooks for all. Not while what others share is undone."""
    if item.path.is_relative_to(HERE):
        under_test.append(item.name)
    try:
        return (yield)
    finally:
        under_test.clear()


pytest_runtest_setup = pytest.hookimpl(wrapper=True)(watched)
pytest_runtest_call = pytest.hookimpl(wrapper=True)(watched)
