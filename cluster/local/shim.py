"""The shim: starts one test, enforces its limits, writes down how it ended, and leaves nothing of it behind.

It is run by `python -I -S` with the spec as JSON on stdin (never on disk: the spec holds secrets). It imports a few
modules of the standard library and nothing else, since there is one shim for each running test. It outlives the worker:
any later worker reads `start.json`, `usage.json`, `exit.json` and `output.log` in the run folder.

Exactly one test is started in a folder. The shim holds an exclusive lock on `lock` for its whole life, and writes
`start.json` under it before it starts the test. A folder that has a `start.json` is never started again. `exit.json` is
written last: once it is there, the log is whole and no process of the test is alive.
"""
# ruff: noqa: PTH100, PTH105, PTH110, PTH123
# pathlib would cost each shim more memory than all of this

import fcntl
import json
import os
import select
import signal
import sys
import time

from cluster.local import proc, start_errors
from cluster.local.cgroup import Group
from cluster.local.log_writer import Log

SAMPLE_SECONDS = 0.25
USAGE_SECONDS = 2.0
CHUNKS_A_TURN = 64
PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
OOM_SCORE = b"500"
"""If the whole machine runs out of memory, the kernel should kill the test before it kills Assay."""


def write_atomically(path: str, record: dict[str, object]) -> None:
    """Write a JSON file so that a reader finds it whole or not at all."""
    draft = path + ".tmp"
    with open(draft, "w", encoding="utf-8") as file:
        json.dump(record, file)
    os.replace(draft, path)


class CpuMeter:
    """Computes CPU in use from the CPU time since the start, by the difference of two samples."""

    def __init__(self, now: float) -> None:
        self._at = now
        self._seconds = 0.0
        self.peak = 0

    def look(self, now: float, seconds: float) -> int:
        """Return the milli-cores in use since the last sample. A shorter interval counts as SAMPLE_SECONDS."""
        milli = max(0, round(1000 * (seconds - self._seconds) / max(now - self._at, SAMPLE_SECONDS)))
        self._at, self._seconds = now, seconds
        self.peak = max(self.peak, milli)
        return milli


class Shim:
    """One running test."""

    def __init__(self, folder: str, spec: dict[str, object]) -> None:
        self._folder = folder
        self._argv: list[str] = [str(word) for word in spec["argv"]]  # type: ignore[attr-defined]
        self._env: dict[str, str] = dict(spec["env"])  # type: ignore[call-overload]
        self._cwd = str(spec["cwd"])
        self._run_id = str(spec["execution_id"])
        self._attempt = int(str(spec["attempt"]))
        self._time_limit = float(str(spec["time_limit_seconds"]))
        self._grace = float(str(spec["grace_seconds"]))
        memory = spec.get("memory_limit_bytes")
        self._memory_limit = int(str(memory)) if memory else 0
        parent = spec.get("cgroup")
        self._group = Group(str(parent), self._run_id, self._attempt) if parent else None
        limits = (int(str(spec["log_limit_bytes"])), int(str(spec["line_limit_bytes"])))
        self._log = Log(f"{folder}/output.log", *limits)
        self._own_interpreter = bool(spec.get("own_interpreter"))
        self._detail = ""
        self._reason = "exited"
        self._status: int | None = None
        self._peak = 0
        self._cpu = CpuMeter(time.monotonic())
        self._kill_at = float("inf")
        self._usage_at = 0.0
        self._stop = False
        self._woken, wake = os.pipe()
        os.set_blocking(self._woken, False)
        os.set_blocking(wake, False)
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGTERM, self._asked_to_stop)

    def run(self) -> None:
        """Run the test to its end."""
        started_at = time.time()  # noqa: TID251  the shim is a process of its own: it is what reads the clock
        self._start()
        try:
            self._watch()
        finally:
            self._end_tree()
        self._drain()
        self._leave_group()
        cpu_seconds = sum(os.times()[2:4])
        self._cpu.look(time.monotonic(), cpu_seconds)
        code = None if self._status is None else os.waitstatus_to_exitcode(self._status)
        record: dict[str, object] = {
            "exit_code": code if code is not None and code >= 0 else None,
            "signal": -code if code is not None and code < 0 else None,
            "reason": self._reason,
            "detail": self._detail,
            "started_at": started_at,
            "ended_at": time.time(),  # noqa: TID251  see above
            "peak_memory_bytes": self._peak,
            "cpu_seconds": round(cpu_seconds, 3),
            "peak_cpu_milli": self._cpu.peak,
            "truncated": self._log.truncated,
        }
        write_atomically(f"{self._folder}/exit.json", record)

    def _start(self) -> None:
        if self._group and self._memory_limit:
            self._group.limit_memory(self._memory_limit)
        self._output, theirs = os.pipe()
        os.set_blocking(self._output, False)
        failure, failed = os.pipe()
        shim = os.getpid()
        self._main = os.fork()
        if self._main == 0:
            self._become_test(shim, theirs, failed)
        os.close(theirs)
        os.close(failed)
        if message := os.read(failure, 4096).decode(errors="replace"):
            self._reason, _, self._detail = message.partition(" ")
            self._log.note(f"could not be started: {self._detail}")
        os.close(failure)

    def _become_test(self, shim: int, output: int, failed: int) -> None:
        """Turn this child into the test. Never returns."""
        ready = False
        try:
            prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() != shim:  # the shim was killed meanwhile: nobody would enforce the limits
                os._exit(127)
            os.setsid()
            if self._group:
                self._group.enter()
            signal.set_wakeup_fd(-1)
            for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM, signal.SIGPIPE, signal.SIGXFSZ):
                signal.signal(number, signal.SIG_DFL)
            os.dup2(os.open("/dev/null", os.O_RDONLY), 0)
            os.dup2(output, 1)
            os.dup2(output, 2)
            os.umask(0o022)
            os.chdir(self._cwd)
            _volunteer()
            ready = True
            os.execvpe(self._argv[0], self._argv, self._env)  # noqa: S606  no shell is wanted
        except BaseException as error:  # noqa: BLE001  whatever it is, the parent has to know
            requested = ready and not self._own_interpreter
            os.write(failed, self._why_not_started(error, requested=requested).encode(errors="replace")[:4000])
        finally:
            os._exit(127)

    def _why_not_started(self, error: BaseException, *, requested: bool) -> str:
        """Return the reason for `exit.json` and a sentence. `requested`: what failed is what the request asked for."""
        if requested and not start_errors.machine_is_at_fault(error):
            return f"start_error {start_errors.sentence(self._argv[0], error)}"
        return f"no_room {start_errors.reason(error)}"

    def _asked_to_stop(self, _number: int, _frame: object) -> None:
        self._stop = True

    def _watch(self) -> None:
        """Copy the output and enforce the limits until the test's own process has ended."""
        poller = select.poll()
        poller.register(self._woken, select.POLLIN)
        poller.register(self._output, select.POLLIN)
        deadline = time.monotonic() + self._time_limit
        look_at = time.monotonic() + SAMPLE_SECONDS
        while not self._reap():
            patience = min(look_at, deadline, self._kill_at) - time.monotonic()
            ready = [fd for fd, _ in poller.poll(max(0.0, patience) * 1000 + 1)]
            if self._woken in ready:
                os.read(self._woken, 4096)
            if self._output in ready and not self._pump():
                poller.unregister(self._output)  # the test closed it, and may go on
            now = time.monotonic()
            if now >= deadline:
                deadline = float("inf")
                self._end("timeout", now, f"time limit of {self._time_limit:g} s reached")
            if self._stop:
                self._stop = False
                self._end("stopped", now, "stopped by request")
            if now >= self._kill_at:
                self._kill_at = now + 1  # again, for processes that were started meanwhile
                proc.send(signal.SIGKILL, proc.descendants(os.getpid()))
            if now >= look_at:
                look_at = now + SAMPLE_SECONDS
                self._sample(now)

    def _reap(self) -> bool:
        """Reap all processes that have ended. Return whether the test's own process has ended."""
        while True:
            try:
                pid, status, used = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                return True
            if pid == 0:
                return self._status is not None
            self._peak = max(self._peak, used.ru_maxrss * 1024)  # for processes that end between two samples
            if pid == self._main:
                self._status = status

    def _pump(self) -> bool:
        """Copy a bounded amount from the pipe to the log. Return False at its end."""
        for _ in range(CHUNKS_A_TURN):
            try:
                chunk = os.read(self._output, self._log.chunk)
            except BlockingIOError:
                return True
            if not chunk:
                return False
            self._log.take(chunk)
        return True

    def _end(self, reason: str, now: float, note: str, grace: float | None = None) -> None:
        """Ask the tree to end, and set the time at which it is killed. Only the first reason counts."""
        if self._reason != "exited":
            return
        self._reason = reason
        self._log.note(note)
        self._kill_at = now + (self._grace if grace is None else grace)
        proc.send(signal.SIGTERM, proc.descendants(os.getpid()))

    def _sample(self, now: float) -> None:
        tree = proc.descendants(os.getpid())
        stats = [stat for pid in tree if (stat := proc.stat_of(pid))]
        memory = sum(stat.rss for stat in stats)
        if self._memory_limit and memory > self._memory_limit:
            memory = proc.proportional(tree) or memory  # shared pages count once
            if memory > self._memory_limit:
                self._end("oom", now, f"memory limit of {self._memory_limit} bytes exceeded: {memory}", grace=0)
        self._peak = max(self._peak, memory)
        if now >= self._usage_at:
            self._usage_at = now + USAGE_SECONDS
            self._tell(now, memory, stats)

    def _tell(self, now: float, memory: int, stats: list[proc.Stat]) -> None:
        cpu_seconds = sum(stat.cpu for stat in stats) + sum(os.times()[2:4])
        usage: dict[str, object] = {
            "memory_bytes": memory,
            "peak_memory_bytes": self._peak,
            "cpu_seconds": round(cpu_seconds, 3),
            "cpu_milli": self._cpu.look(now, cpu_seconds),
            "peak_cpu_milli": self._cpu.peak,
            "processes": len(stats),
        }
        try:
            write_atomically(f"{self._folder}/usage.json", usage)
        except OSError:  # only figures for people; the run does not depend on them
            return

    def _end_tree(self) -> None:
        """Kill all processes that are left. They are stopped first, so that none can start another in the meantime."""
        if self._group:
            self._group.kill()
        pause = 0.001
        while not self._childless():
            for number in (signal.SIGSTOP, signal.SIGKILL):
                proc.send(number, proc.descendants(os.getpid()))
            time.sleep(pause)
            pause = min(1.0, pause * 2)
        while strays := proc.carriers(self._run_id, self._attempt):
            proc.send(signal.SIGKILL, strays)
            time.sleep(0.005)

    def _leave_group(self) -> None:
        """Find out whether the kernel killed the test for its memory, and remove the group."""
        if self._group is None:
            return
        killed = self._status == signal.SIGKILL  # the kernel kills the whole group
        if self._reason == "exited" and killed and self._group.ran_out_of_memory():
            self._reason = "oom"
            self._log.note(f"memory limit of {self._memory_limit} bytes exceeded, ended by the kernel")
        self._group.remove()

    def _childless(self) -> bool:
        self._reap()
        try:
            os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return True
        return False

    def _drain(self) -> None:
        """Copy what is still in the pipe. All processes that could write are dead, so it ends."""
        while self._pump():
            if not select.select([self._output], [], [], 0)[0]:
                return


def prctl(option: int, value: int) -> None:
    """Set an option of this process by the system call `prctl`, which Python does not offer."""
    import ctypes  # noqa: PLC0415  costs memory: only here

    ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


def _volunteer() -> None:
    try:
        with open("/proc/self/oom_score_adj", "wb") as file:
            file.write(OOM_SCORE)
    except OSError:
        return


def _claim(folder: str) -> bool:
    """Take the folder. Return False if a test has been started in it already."""
    lock = os.open(f"{folder}/lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)  # held until the shim ends
    while not os.path.exists(f"{folder}/start.json"):
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(0.01)  # another shim has it: it writes start.json, or dies
            continue
        return not os.path.exists(f"{folder}/start.json")
    return False


def _leave_parent() -> int:
    """Continue as an orphan process. Return a descriptor: the launcher continues once it is closed."""
    ready, done = os.pipe()
    if os.fork():
        os.close(done)
        os.read(ready, 1)
        os._exit(0)
    os.close(ready)
    os.setsid()
    return done


def main(folder: str) -> None:
    """Start the test of `folder`, unless that has happened, and stay until it ends."""
    spec = json.load(sys.stdin)
    folder = os.path.abspath(folder)
    spec["cwd"] = os.path.abspath(spec["cwd"])
    os.chdir("/")
    os.umask(0o077)  # of our own files; the test gets the usual one
    os.dup2(os.open("/dev/null", os.O_RDONLY), 0)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    done = _leave_parent()
    if not _claim(folder):
        return
    prctl(PR_SET_CHILD_SUBREAPER, 1)
    shim = Shim(folder, spec)
    own = proc.stat_of(os.getpid())
    start: dict[str, object] = {
        "pid": os.getpid(),
        "start_time": own.start_time if own else 0,
        "boot_id": proc.boot_id(),
    }
    write_atomically(f"{folder}/start.json", start)
    os.close(done)
    shim.run()
