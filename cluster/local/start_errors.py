"""Why a program could not be started, in words that hold no path which its author did not write.

The shim imports this module, so it imports as little as possible.
"""
# ruff: noqa: PTH112
# pathlib would cost each shim more memory than all of this

import errno
import os

_THE_MACHINES = {
    errno.EAGAIN,
    errno.ENOMEM,
    errno.EMFILE,
    errno.ENFILE,
    errno.EIO,
    errno.ENOSPC,
    errno.EDQUOT,
    errno.ESTALE,
}
"""Errors for which the request is not to blame. Another attempt may succeed."""
_OF_A_SCRIPT = {errno.ENOENT, errno.EACCES}
"""Errors that the kernel also gives for a script whose interpreter it cannot start."""
LONGEST_FIRST_LINE = 256


def machine_is_at_fault(error: BaseException) -> bool:
    """Return whether the same request could be started elsewhere or later."""
    return isinstance(error, OSError) and error.errno in _THE_MACHINES


def sentence(program: str, error: BaseException) -> str:
    """Return the program as the request names it, and why it cannot be started."""
    return f"{_named(program)}: {_why(program, error)}"


def reason(error: BaseException) -> str:
    """Return an error in the system's words, without a path."""
    if not isinstance(error, OSError) or error.errno is None:
        return str(error)
    words = os.strerror(error.errno)
    return words[:1].lower() + words[1:]


def _named(program: str) -> str:
    """Return a path as it is, and a bare name in quotes."""
    plain = "/" in program and program.isprintable() and " " not in program
    return program if plain else repr(program)


def _why(program: str, error: BaseException) -> str:
    said = reason(error)
    if "/" not in program or not isinstance(error, OSError):
        return said
    if os.path.isdir(program):
        return "is a directory"
    script = error.errno in _OF_A_SCRIPT and os.access(program, os.X_OK)
    interpreter = _interpreter(program) if script else ""
    return f"its first line names the interpreter {interpreter!r}: {said}" if interpreter else said


def _interpreter(program: str) -> str:
    """Return the interpreter that the first line of a script names, empty if it names none."""
    try:
        descriptor = os.open(program, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return ""
    try:
        line = os.read(descriptor, LONGEST_FIRST_LINE).partition(b"\n")[0]
    except OSError:
        return ""
    finally:
        os.close(descriptor)
    if not line.startswith(b"#!"):
        return ""
    return line[2:].strip(b" \t").replace(b"\t", b" ").partition(b" ")[0].decode(errors="replace")
