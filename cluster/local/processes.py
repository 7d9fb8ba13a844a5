"""Starts, finds, stops and accounts for the process tree of an attempt. All of it blocks: call it from a thread.

The run folder holds the records: `spec.json` (what was asked, without values of variables), `start.json` (written by
the shim before the test starts), `usage.json`, `output.log`, `exit.json`. See `shim.py` for what each guarantees.
"""

import errno
import fcntl
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from cluster.backend import LOG_LIMIT, EndError, Usage
from cluster.local import proc
from cluster.local.cgroup import name_of
from cluster.local.log_writer import NOTE_ROOM
from cluster.local.shim import write_atomically
from model.ids import ExecutionId

START_PATIENCE = 60.0
SWEEP_PATIENCE = 30.0
LOCK_PATIENCE = 5.0
LARGEST_RECORD = 65_536
LINE_LIMIT = 65_536
VOID: dict[str, object] = {"void": True}
"""The content of `start.json` for an attempt that was given up before it started. It never starts."""
ROOT = Path(__file__).resolve().parents[2]
SHIM = "import sys; sys.path.append(sys.argv[1]); from cluster.local.shim import main; main(sys.argv[2])"
"""The shim is imported and not run as a script: so its bytecode is cached, which halves the time of its start."""


class LaunchError(OSError):
    """The shim could not be started, so nothing runs. The machine is at fault, not the test: look at `shim.log`."""


class SweepError(EndError):
    """Processes of an attempt survive SIGKILL, so no other attempt may start. A person must look at the machine."""

    def __init__(self, pids: list[int]) -> None:
        super().__init__(f"processes {pids} are still alive after SIGKILL; see their state in /proc")
        self.pids = pids


@dataclass(frozen=True, slots=True, kw_only=True)
class LaunchSpec:
    """What to run, where, and its limits. `env` is all that the test sees (`environment.environment`).

    After the time limit, or when asked to stop, the tree gets SIGTERM, and SIGKILL `grace_seconds` later. `cgroup`: a
    folder of the kernel in which the attempt may have a control group (see cgroup.py). `own_interpreter`: the program
    is one of ours, so that the request is not to blame if it cannot be started.
    """

    folder: Path
    execution_id: ExecutionId
    attempt: int
    argv: tuple[str, ...]
    cwd: Path
    env: Mapping[str, str]
    time_limit_seconds: float
    grace_seconds: float = 10.0
    memory_limit_bytes: int | None = None
    cgroup: Path | None = None
    own_interpreter: bool = False
    log_limit_bytes: int = LOG_LIMIT
    line_limit_bytes: int = LINE_LIMIT


@dataclass(frozen=True, slots=True, kw_only=True)
class Handle:
    """A shim, identified by values that no other process of any boot has together."""

    folder: Path
    boot_id: str
    pid: int
    start_time: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ExitRecord:
    """How a test ended: `reason` is a word of `model.ending.How`; times are in seconds since the epoch.

    Exactly one of `exit_code` and `signal` is given. `detail` says why a test was not started.
    """

    exit_code: int | None
    signal: int | None
    reason: str
    started_at: float
    ended_at: float
    peak_memory_bytes: int
    cpu_seconds: float
    truncated: bool
    peak_cpu_milli: int = 0
    detail: str = ""


def log_left(taken: int) -> int:
    """Return how much an attempt may print if earlier attempts took `taken`. Notes of the shim always fit."""
    return max(NOTE_ROOM, LOG_LIMIT - taken)


def launch(spec: LaunchSpec) -> Handle:
    """Start the test, or find it started: however often this is called, and by however many, it runs once.

    Raises: LaunchError if the shim did not start; calling again is safe. A shim that starts too late is ended first
    (`end`), and then the folder is void: the message says "voided".
    """
    if handle := adopt(spec.folder):
        return handle
    if voided(spec.folder):
        raise LaunchError("voided: this attempt was given up before it started; only a new attempt may start")
    for folder in (spec.folder, spec.folder / "results", spec.folder / "home"):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    _write_down(spec)
    watched = _start_shim(spec)
    if handle := adopt(spec.folder):
        return handle
    if not watched:  # the second half of the shim may be alive, and may start the test at any moment
        end(spec.folder, spec.execution_id, spec.attempt, patience=0.0)
    said = "voided" if voided(spec.folder) else "the shim did not start"
    raise LaunchError(f"{said}: {_last_words(spec.folder)}")


def voided(folder: Path) -> bool:
    """Return whether the attempt of `folder` was given up before it started, by `end`."""
    return bool(_record(folder / "start.json").get("void"))


def end(folder: Path, execution_id: ExecutionId, attempt: int, patience: float = 30.0) -> None:
    """Leave nothing of an attempt alive, and nothing that could start it later. Harmless if it has ended.

    What runs is asked to stop, and killed after `patience` seconds. If nothing has started, `start.json` is made void
    under the lock of the shim: a shim that starts late finds it and exits. The command line of the shim and what
    `sweep` looks at decide what is killed, never a file that the test may have written.
    Raises: SweepError if something survives.
    """
    deadline = time.monotonic() + patience
    asked = None
    while not _closed(folder) and time.monotonic() < deadline:
        handle = adopt(folder)
        if handle is not None and handle != asked:
            asked = handle
            if handle.pid in _shims(folder):
                stop(handle)
        time.sleep(0.01)
    sweep(execution_id, attempt, folder)
    deadline = time.monotonic() + LOCK_PATIENCE
    while not _closed(folder):  # another `end` holds it for a moment, or a process that `sweep` has not found
        if time.monotonic() > deadline:
            raise SweepError(_holders(folder / "lock"))
        time.sleep(0.01)


def adopt(folder: Path) -> Handle | None:
    """Return the handle of what was started in `folder`, alive or not; None if nothing was."""
    record = _record(folder / "start.json")
    try:
        pid, start_time = int(record["pid"]), int(record["start_time"])
    except (KeyError, TypeError, ValueError):
        return None
    return Handle(folder=folder, boot_id=str(record.get("boot_id")), pid=pid, start_time=start_time)


def alive(handle: Handle) -> bool:
    """Return whether the shim runs. Once it does not, `exit_record` does not change any more."""
    stat = proc.stat_of(handle.pid)
    return (
        stat is not None
        and stat.state not in {"Z", "X"}
        and stat.start_time == handle.start_time
        and proc.boot_id() == handle.boot_id
    )


def stop(handle: Handle) -> None:
    """Ask the shim to end its test: SIGTERM, a grace period, SIGKILL. Returns at once; harmless if it has ended."""
    try:
        descriptor = os.pidfd_open(handle.pid)
    except ProcessLookupError:
        return
    try:
        if alive(handle):  # asked after the descriptor was opened: it is this process or none
            signal.pidfd_send_signal(descriptor, signal.SIGTERM)
    except ProcessLookupError:
        return
    finally:
        os.close(descriptor)


def sweep(execution_id: ExecutionId, attempt: int, folder: Path | None = None) -> int:
    """Kill all processes that are left of an attempt whose shim is dead, and return how many they were.

    They are found by the marks in their environment, their control group, a working directory inside `folder`, as shims
    of `folder`, and as descendants of those.
    Raises: SweepError if some outlive SIGKILL.
    """
    killed: set[int] = set()
    deadline = time.monotonic() + SWEEP_PATIENCE
    while left := _left_of(execution_id, attempt, folder):
        if time.monotonic() > deadline:
            raise SweepError(left)
        for number in (signal.SIGSTOP, signal.SIGKILL):
            proc.send(number, left)
        killed.update(left)
        time.sleep(0.01)
    return len(killed)


def exit_record(folder: Path) -> ExitRecord | None:
    """Return how the test ended; None while it runs, and also later if its shim was killed."""
    record = _record(folder / "exit.json")
    try:
        return ExitRecord(
            exit_code=_number(record["exit_code"]),
            signal=_number(record["signal"]),
            reason=str(record["reason"]),
            started_at=float(record["started_at"]),
            ended_at=float(record["ended_at"]),
            peak_memory_bytes=int(record["peak_memory_bytes"]),
            cpu_seconds=float(record["cpu_seconds"]),
            truncated=bool(record["truncated"]),
            peak_cpu_milli=int(record.get("peak_cpu_milli", 0)),
            detail=str(record.get("detail", "")),
        )
    except (KeyError, TypeError, ValueError):
        return None


def usage(folder: Path) -> Usage | None:
    """Return what the tree used at the last sample, at most two seconds ago; None before the first."""
    record = _record(folder / "usage.json")
    try:
        return Usage(
            memory_bytes=int(record["memory_bytes"]),
            peak_memory_bytes=int(record["peak_memory_bytes"]),
            cpu_seconds=float(record["cpu_seconds"]),
            processes=int(record["processes"]),
            cpu_milli=int(record.get("cpu_milli", 0)),
            peak_cpu_milli=int(record.get("peak_cpu_milli", 0)),
        )
    except (KeyError, TypeError, ValueError):
        return None


def _write_down(spec: LaunchSpec) -> None:
    """Write what was asked to a file for people, with the names of the variables but not their values."""
    record = _message(spec)
    record["env"] = sorted(spec.env)
    descriptor, draft = tempfile.mkstemp(
        prefix="spec.json.", dir=spec.folder
    )  # other workers may launch at this moment
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(record, file, indent=1)
    Path(draft).replace(spec.folder / "spec.json")


def _message(spec: LaunchSpec) -> dict[str, object]:
    return {
        "execution_id": str(spec.execution_id),
        "attempt": spec.attempt,
        "argv": list(spec.argv),
        "cwd": str(spec.cwd),
        "env": dict(spec.env),
        "time_limit_seconds": spec.time_limit_seconds,
        "grace_seconds": spec.grace_seconds,
        "memory_limit_bytes": spec.memory_limit_bytes,
        "cgroup": str(spec.cgroup) if spec.cgroup else None,
        "own_interpreter": spec.own_interpreter,
        "log_limit_bytes": spec.log_limit_bytes,
        "line_limit_bytes": spec.line_limit_bytes,
    }


def _start_shim(spec: LaunchSpec) -> bool:
    """Run the first half of the shim, which ends when its second half has written `start.json` or has died.

    Return False if the first half was killed, so that nobody knows what became of the second.
    """
    with (spec.folder / "shim.log").open("ab") as words:
        first_half = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", SHIM, str(ROOT), str(spec.folder.absolute())],
            stdin=subprocess.PIPE,
            stdout=words,
            stderr=words,
            env={},
            start_new_session=True,
        )
    with suppress(BrokenPipeError):
        _tell(first_half, json.dumps(_message(spec)).encode())
    descriptor = os.pidfd_open(first_half.pid)  # `wait` with a time limit would poll, and sleep up to 50 ms
    try:
        if not select.select([descriptor], [], [], START_PATIENCE)[0]:
            first_half.kill()
    finally:
        os.close(descriptor)
        code = first_half.wait()
    return code >= 0


def _closed(folder: Path) -> bool:
    """Return whether no shim holds the folder. If none has started its test yet, none will do so from now on."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        folder.chmod(0o700)
    try:
        lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        if error.errno not in {errno.EISDIR, errno.ELOOP, errno.ENXIO}:
            raise
        (folder / "lock").rename(folder / f"lock.{time.monotonic_ns()}")  # not a file: a test has put it there
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if not (folder / "start.json").exists():
            write_atomically(str(folder / "start.json"), VOID)
    except BlockingIOError:
        return False
    finally:
        os.close(lock)
    return True


def _holders(lock: Path) -> list[int]:
    """Return the pids that hold a lock on that file, as far as the kernel says."""
    inode = f":{lock.stat().st_ino}"
    lines = [line.split() for line in Path("/proc/locks").read_text().splitlines()]
    return [int(line[4]) for line in lines if line[1] == "FLOCK" and line[5].endswith(inode)]


def _tell(process: subprocess.Popen[bytes], message: bytes) -> None:
    if process.stdin is not None:
        with process.stdin as pipe:
            pipe.write(message)


def _last_words(folder: Path) -> str:
    return (folder / "shim.log").read_text(errors="replace").strip()[-2000:] or "it said nothing"


def _left_of(execution_id: ExecutionId, attempt: int, folder: Path | None) -> list[int]:
    found = {*proc.carriers(str(execution_id), attempt), *proc.members(name_of(str(execution_id), attempt))}
    if folder is not None:
        found.update(pid for pid in proc.processes() if _stands_in(pid, folder))
        found.update(_shims(folder))
    found.update(child for pid in tuple(found) for child in proc.descendants(pid))
    found.discard(os.getpid())
    return sorted(pid for pid in found if (stat := proc.stat_of(pid)) and stat.state not in {"Z", "X"})


def _shims(folder: Path) -> list[int]:
    """Return the shims of a folder, both halves, by their command line: a test may have overwritten their files."""
    return proc.called("cluster.local.shim", str(folder.absolute()))


def _stands_in(pid: int, folder: Path) -> bool:
    try:
        return Path(f"/proc/{pid}/cwd").readlink().is_relative_to(folder.resolve())
    except OSError:
        return False


def _record(path: Path) -> dict[str, str]:
    """Read one of the small files of the shim. A file that is missing or is not JSON counts as empty."""
    try:
        with path.open("rb") as file:
            record = json.loads(file.read(LARGEST_RECORD))
    except (OSError, ValueError):
        return {}
    return record if isinstance(record, dict) else {}


def _number(value: str | None) -> int | None:
    return None if value is None else int(value)
