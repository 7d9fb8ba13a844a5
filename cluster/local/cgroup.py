"""A control group (version 2) for one attempt: it holds all that the test starts, and limits its memory.

It is used if an operator has delegated a folder for it (`ASSAY_CGROUP`). Without it, or if the kernel refuses an
operation, the shim relies on sampling and on searching for processes. The shim imports this module, so it imports `os`
and nothing else.
"""
# ruff: noqa: PTH102, PTH106, PTH123
# pathlib would cost each shim more memory than all of this

import os


def name_of(run_id: str, attempt: int) -> str:
    """Return the name of an attempt's group; its members are known by it, wherever the group is."""
    return f"assay-{run_id}.{attempt}"


class Group:
    """The group of one attempt. An operation that fails is skipped without an error."""

    def __init__(self, parent: str, run_id: str, attempt: int) -> None:
        self._path = f"{parent}/{name_of(run_id, attempt)}"
        try:
            os.mkdir(self._path, 0o755)
        except OSError:
            return

    def limit_memory(self, size: int) -> None:
        """Make the kernel kill the whole group when it needs more than `size` bytes; swap is not allowed."""
        if self._write("memory.max", str(size)):
            self._write("memory.swap.max", "0")
            self._write("memory.oom.group", "1")

    def enter(self) -> None:
        """Move this process into the group; what it starts is in the group, too."""
        self._write("cgroup.procs", "0")

    def ran_out_of_memory(self) -> bool:
        """Return whether the kernel has ended something in it for its memory."""
        lines = self._read("memory.events").split("\n")
        return any(line.startswith("oom_kill ") and line != "oom_kill 0" for line in lines)

    def kill(self) -> None:
        """Kill all that is in it, at once."""
        self._write("cgroup.kill", "1")

    def remove(self) -> None:
        """Remove the group, with the groups that the test may have made in it."""
        for path, _, _ in os.walk(self._path, topdown=False):
            try:
                os.rmdir(path)
            except OSError:
                continue

    def _write(self, name: str, text: str) -> bool:
        try:
            file = os.open(
                f"{self._path}/{name}", os.O_WRONLY | os.O_CLOEXEC
            )  # the kernel makes these files; they are never created here
        except OSError:
            return False
        try:
            return os.write(file, text.encode()) > 0
        except OSError:
            return False
        finally:
            os.close(file)

    def _read(self, name: str) -> str:
        try:
            with open(f"{self._path}/{name}", encoding="ascii") as file:
                return file.read()
        except OSError:
            return ""
