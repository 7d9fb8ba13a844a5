"""Reads the kernel's table of processes: to find a tree of processes, to account for it, and to signal it.

The shim imports this, so it imports `os` and nothing else.
"""
# ruff: noqa: PTH110, PTH115, PTH123, PTH208
# pathlib would cost each shim more memory than all of this

import os

TICKS = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")


class Stat:
    """The facts of one process from `/proc/<pid>/stat`.

    `cpu` includes its ended children; `terminal` is 0 for a process without one.
    """

    __slots__ = ("cpu", "parent", "rss", "start_time", "state", "terminal")

    def __init__(self, fields: list[bytes]) -> None:
        self.state = fields[0].decode()
        self.parent = int(fields[1])
        self.terminal = int(fields[4])
        self.cpu = sum(map(int, fields[11:15])) / TICKS
        self.start_time = int(fields[19])
        self.rss = int(fields[21]) * PAGE


def stat_of(pid: int) -> Stat | None:
    """Return the facts of a process, None if there is none."""
    line = _read(f"/proc/{pid}/stat")
    return Stat(line[line.rindex(b")") + 2 :].split()) if line else None


def boot_id() -> str:
    """Return the identity of this boot of the machine. A pid of another boot means nothing."""
    return _read("/proc/sys/kernel/random/boot_id").decode().strip()


def processes() -> list[int]:
    """Return the pids of all processes that can be seen."""
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def descendants(root: int) -> list[int]:
    """Return all processes below `root`, parents before children."""
    if not os.path.exists("/proc/thread-self/children"):
        return _descendants_by_parent(root)
    found = children_of(root)
    for pid in found:  # grows while it is walked
        found.extend(children_of(pid))
    return found


def children_of(pid: int) -> list[int]:
    """Return the children of all threads of a process."""
    try:
        threads = os.listdir(f"/proc/{pid}/task")
    except OSError:
        return []
    return [int(child) for thread in threads for child in _read(f"/proc/{pid}/task/{thread}/children").split()]


def _descendants_by_parent(root: int) -> list[int]:
    """Do the same on a kernel that does not list children, by reading the whole table once."""
    family: dict[int, list[int]] = {}
    for pid in processes():
        if stat := stat_of(pid):
            family.setdefault(stat.parent, []).append(pid)
    found = list(family.get(root, ()))
    for pid in found:
        found.extend(family.get(pid, ()))
    return found


def command_line(pid: int) -> list[bytes]:
    """Return the words of a process's command line; none if it is gone, or is not ours."""
    return _read(f"/proc/{pid}/cmdline").split(b"\0")[:-1]


def variables(pid: int) -> list[bytes]:
    """Return the variables that a process was started with, as NAME=value; none if it is not ours."""
    return _read(f"/proc/{pid}/environ").split(b"\0")


def working_folder(pid: int) -> str | None:
    """Return the folder in which a process stands, None if it is gone, or is not ours."""
    try:
        return os.readlink(f"/proc/{pid}/cwd")
    except OSError:
        return None


def carriers(run_id: str, attempt: int) -> list[int]:
    """Return the pids of all living processes whose environment has the marks of that attempt."""
    marks = {f"ASSAY_RUN_ID={run_id}".encode(), f"ASSAY_ATTEMPT={attempt}".encode()}
    return [pid for pid in processes() if marks <= set(variables(pid))]


def members(group: str) -> list[int]:
    """Return the pids of all processes in the control group of that name, or in one inside of it."""
    return [
        pid for pid in processes() if group.encode() in _read(f"/proc/{pid}/cgroup").replace(b"\n", b"/").split(b"/")
    ]


def called(program: str, last: str) -> list[int]:
    """Return the pids of all processes whose command line names `program` somewhere, and `last` as its last word."""
    ending = b"\0" + os.fsencode(last) + b"\0"
    lines = {pid: _read(f"/proc/{pid}/cmdline") for pid in processes()}
    return [pid for pid, line in lines.items() if line.endswith(ending) and program.encode() in line]


def send(number: int, pids: list[int]) -> None:
    """Send a signal to each of `pids`. Processes that are gone, or that we may not signal, are skipped."""
    for pid in pids:
        try:
            os.kill(pid, number)
        except (ProcessLookupError, PermissionError):
            continue


def proportional(pids: list[int]) -> int:
    """Return the memory of `pids` with shared pages counted once, 0 if the kernel does not say."""
    lines = [line for pid in pids for line in _read(f"/proc/{pid}/smaps_rollup").splitlines()]
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith(b"Pss:"))


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:  # the process is gone, or is not ours
        return b""
