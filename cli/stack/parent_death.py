"""Become another program that is told to end when its parent dies: `python leash.py PARENT PROGRAM ARGUMENT...`.

Run as a file with -I -S: only the standard library, 30 ms. The kernel keeps the wish over exec, see prctl(2).
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main() -> None:
    """Set the wish, look that the parent did not die before it, and become the program."""
    parent, command = int(sys.argv[1]), sys.argv[2:]
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != parent:
        sys.exit("the parent is gone")
    os.execvp(command[0], command)  # noqa: S606  a list, no shell


if __name__ == "__main__":
    main()
