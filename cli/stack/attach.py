"""A second `assay up`: follows the stack that runs here instead of starting another one."""

import os
import sys
import threading
import time
from pathlib import Path

from cli.failure import CommandError
from cli.output import say
from cli.stack.identity import described
from cli.stack.state import StackRecord, StateFolder

LOOK = 0.3
START_PATIENCE = 180.0


class HeldByOtherError(CommandError):
    """The state folder is in use, but not by a stack that can be followed. End that process, or use another folder."""


def attach(folder: StateFolder, held: str, *, once: bool, json: bool = False) -> int:
    """Follow the running stack until Ctrl-C; with `once` run the samples on it and return their exit code."""
    record = _joinable(folder, held)
    say(f"a stack already runs here: {described(record.supervisor.pid)}")
    position = _size(_log(folder))
    if once:
        return _run_samples(folder, json=json)
    try:
        say(f"Prefect UI {record.prefect_url or 'starts'}   API {record.api_url or 'starts'}")
        say("following it; Ctrl-C stops following, `assay down` ends the stack")
        _follow(folder, record, position)
    except KeyboardInterrupt:
        say("no longer following; the stack continues")
    else:
        say("the stack has ended")
    return 0


def _joinable(folder: StateFolder, held: str) -> StackRecord:
    """Return the record of the running stack. A supervisor writes it a moment after it took the folder."""
    for _ in range(10):
        record = folder.read()
        if record is not None and record.running:
            return record
        time.sleep(LOOK)
    raise HeldByOtherError(
        f"{held}; it is not a stack that can be followed: end it, or set ASSAY_STATE to another folder"
    )


def _run_samples(folder: StateFolder, *, json: bool) -> int:
    from cli.stack.samples import run_samples  # noqa: PLC0415  loads the model's checks

    end_at = time.monotonic() + START_PATIENCE
    while (record := folder.read()) is None or record.phase != "ready" or record.api_url is None:
        if record is None or not record.running or time.monotonic() > end_at:
            raise HeldByOtherError("the stack that runs here did not become ready; `assay status` shows its parts")
        time.sleep(LOOK)
    return run_samples(folder, record.api_url, threading.Event(), json=json)


def _follow(folder: StateFolder, record: StackRecord, position: int) -> None:
    while record.running:
        position = _copy(_log(folder), position)
        time.sleep(LOOK)
    _copy(_log(folder), position)


def _copy(log: Path, position: int) -> int:
    """Write the log from `position` on to stderr, and return the new position."""
    if _size(log) <= position:
        return min(position, _size(log))
    with log.open("rb") as file:
        os.lseek(file.fileno(), position, os.SEEK_SET)
        text = file.read()
    sys.stderr.write(text.decode(errors="replace"))
    sys.stderr.flush()
    return position + len(text)


def _size(log: Path) -> int:
    try:
        return log.stat().st_size
    except FileNotFoundError:
        return 0


def _log(folder: StateFolder) -> Path:
    return folder.log / "stack.log"
