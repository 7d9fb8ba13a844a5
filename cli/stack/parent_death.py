"""Run a program that gets SIGTERM when its parent dies: `python parent_death.py PARENT PROGRAM ARGUMENT...`.

It is run as a file with -I -S: it needs the standard library only and takes 30 ms. The kernel keeps the setting over
exec, see prctl(2).
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main() -> None:
    """Set the death signal, check that the parent has not died before that, and become the program."""
    parent, command = int(sys.argv[1]), sys.argv[2:]
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != parent:
        sys.exit("the parent has ended")
    os.execvp(command[0], command)  # noqa: S606  a list, no shell


if __name__ == "__main__":
    main()
