"""A control group of the kernel (version 2) for one attempt: what the test starts is in it, and its memory has a limit.

It is used where an operator has delegated a folder for it (`ASSAY_CGROUP`); without, or where the kernel refuses any of
this, the shim samples and searches as ever. The shim imports this, so it imports `os` and nothing else.
"""
# ruff: noqa: PTH102, PTH106, PTH123
# pathlib would cost each shim more memory than all of this

import os


def name_of(run_id: str, attempt: int) -> str:
    """Return the name of an attempt's group; its members are known by it, wherever the group is."""
    return f"assay-{run_id}.{attempt}"


class Group:
    """The group of one attempt. Whatever cannot be done is left out and harms nobody."""

    def __init__(self, parent: str, run_id: str, attempt: int) -> None:
        self._path = f"{parent}/{name_of(run_id, attempt)}"
        try:
            os.mkdir(self._path, 0o755)
        except OSError:
            return

    def limit_memory(self, size: int) -> None:
        """Have the kernel end the whole group when it needs more than `size` bytes. Swap counts as more."""
        if self._write("memory.max", str(size)):
            self._write("memory.swap.max", "0")
            self._write("memory.oom.group", "1")

    def enter(self) -> None:
        """Move this process in; what it starts is in it too."""
        self._write("cgroup.procs", "0")

    def ran_out_of_memory(self) -> bool:
        """Return whether the kernel has ended something in it for its memory."""
        lines = self._read("memory.events").split("\n")
        return any(line.startswith("oom_kill ") and line != "oom_kill 0" for line in lines)

    def kill(self) -> None:
        """Kill all that is in it, at once."""
        self._write("cgroup.kill", "1")

    def remove(self) -> None:
        """Remove it, with the groups that the test may have made in it."""
        for path, _, _ in os.walk(self._path, topdown=False):
            try:
                os.rmdir(path)
            except OSError:
                continue

    def _write(self, name: str, text: str) -> bool:
        try:
            file = os.open(f"{self._path}/{name}", os.O_WRONLY | os.O_CLOEXEC)  # never made: these are the kernel's
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
