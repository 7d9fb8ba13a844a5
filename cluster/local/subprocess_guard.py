"""Runs one program for a worker, and leaves nothing of it behind, neither at its end nor when the worker is killed.

It is run by `python -I -S` with the program as arguments. Its stdin is a pipe whose other end the worker holds. Once
the worker closes it or dies, all that the program started is killed, also what called setsid. The kernel's own
mechanism (PR_SET_PDEATHSIG) would reach the program alone, and not what it started.
"""

import os
import select
import signal
import sys
import time

from cluster.local import proc
from cluster.local.shim import PR_SET_CHILD_SUBREAPER, PR_SET_PDEATHSIG, prctl

NOT_STARTED = 127
STDIN = 0


def main(command: list[str]) -> None:
    """Run the program until it ends or is to be ended. Exit with its code, or 128 plus the number of its signal."""
    woken, wake = os.pipe()
    os.set_blocking(woken, False)
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    for number in (signal.SIGCHLD, signal.SIGTERM):
        signal.signal(number, lambda *_: None)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    prctl(PR_SET_CHILD_SUBREAPER, 1)
    status = _wait(_start(command), woken)
    _end_tree()
    code = -signal.SIGKILL if status is None else os.waitstatus_to_exitcode(status)
    os._exit(code if code >= 0 else 128 - code)


def _start(command: list[str]) -> int:
    guard = os.getpid()
    program = os.fork()
    if program:
        return program
    try:
        prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != guard:
            os._exit(NOT_STARTED)
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGPIPE, signal.SIGXFSZ):
            signal.signal(number, signal.SIG_DFL)
        os.dup2(os.open("/dev/null", os.O_RDONLY), STDIN)
        os.execvp(command[0], command)  # noqa: S606  no shell is wanted
    except BaseException as error:  # noqa: BLE001  whatever it is, the worker has to read it
        os.write(sys.stderr.fileno(), f"could not start {command[0]!r}: {error}\n".encode(errors="replace"))
    finally:
        os._exit(NOT_STARTED)


def _wait(program: int, woken: int) -> int | None:
    """Return how the program ended, None if it is to be ended."""
    poller = select.poll()
    poller.register(woken, select.POLLIN)
    poller.register(STDIN, select.POLLIN)
    while (status := _reap(program)) is None:
        ready = [fd for fd, _ in poller.poll()]
        if STDIN in ready or signal.SIGTERM in os.read(woken, 4096):
            return None
    return status


def _reap(program: int) -> int | None:
    """Reap all processes that have ended. Return the status of the program if it is one of them."""
    found = None
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return found
        if pid == 0:
            return found
        if pid == program:
            found = status


def _end_tree() -> None:
    """Kill all processes that are left. They are stopped first, so that none can start another in the meantime."""
    pause = 0.001
    while _has_children():
        for number in (signal.SIGSTOP, signal.SIGKILL):
            proc.send(number, proc.descendants(os.getpid()))
        time.sleep(pause)
        pause = min(1.0, pause * 2)


def _has_children() -> bool:
    _reap(0)
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True
