"""The first process of the test container: starts the test, keeps its limits, and reports how it ended.

It is the shim of the local backend with a different end: the kubelet takes its last words, the record of the end, from
the termination log into the status of the pod, where every worker can read it. It needs Python 3.10 and nothing else.

The first half reads the spec from the prepared folder and the secrets from its environment. It passes both in memory
to the second half, and replaces itself by that. So no variable of the supervisor holds a secret or the marks of the
attempt.
"""
# ruff: noqa: PTH123
# pathlib would cost each shim more memory than all of this

import json
import os
import signal
import sys

from cluster.local.shim import Shim, prctl

PR_SET_DUMPABLE = 4
TERMINATION_LOG = "/dev/termination-log"
LARGEST_MESSAGE = 4096
"""Bytes of a termination message that the kubelet takes."""
COUNTERS = ("/sys/fs/cgroup/memory.events", "/sys/fs/cgroup/memory/memory.oom_control")
"""Where control groups of version 2 and 1 count what the kernel has killed for its memory."""
SECOND = (
    "import sys; sys.path.append(sys.argv[1]); from cluster.kubernetes.shim import supervise; supervise(sys.argv[2])"
)


class PodShim(Shim):
    """One running test, in a container whose limits the kernel keeps."""

    def _watch(self) -> None:
        prctl(PR_SET_DUMPABLE, 0)  # the test has our user: without this it could write into our memory
        super()._watch()

    def _leave_group(self) -> None:
        """Find out whether the kernel killed the test for its memory."""
        if self._reason == "exited" and self._status == signal.SIGKILL and any(map(_killed, COUNTERS)):
            self._reason = "oom"
            self._log.note("memory limit exceeded, ended by the kernel")


def main(stage: str, run: str, name: str) -> None:
    """Continue as the second half, with the spec and the secrets on standard input. Never returns."""
    with open(f"{stage}/spec.json", encoding="utf-8") as file:
        spec = json.load(file)
    spec["env"].update({name: os.environ[name] for name in spec.pop("secret_env")})
    memory = os.memfd_create("spec")
    with os.fdopen(os.dup(memory), "w", encoding="utf-8") as file:
        json.dump(spec, file)
    os.lseek(memory, 0, os.SEEK_SET)
    os.dup2(memory, 0)
    words = [sys.executable, "-I", "-S", "-c", SECOND, f"{stage}/lib", run, name]
    os.execve(sys.executable, words, {})  # noqa: S606  no shell is wanted


def supervise(run: str) -> None:
    """Run the test to its end, report it, and end with the test's own exit code."""
    spec = json.load(sys.stdin)
    os.dup2(os.open("/dev/null", os.O_RDONLY), 0)
    os.chdir("/")
    os.umask(0o077)  # of our own files; the test gets the usual one
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    PodShim(run, spec).run()
    with open(f"{run}/exit.json", "rb") as file:
        record = file.read(LARGEST_MESSAGE)
    with open(TERMINATION_LOG, "wb") as file:
        file.write(record)
    os._exit(_exit_code(json.loads(record)))


def _exit_code(record: dict[str, int | None]) -> int:
    """Return the code by which a shell would report the end. It must agree with the record, else nobody believes it."""
    code, number = record["exit_code"], record["signal"]
    if code is not None:
        return code
    return 128 + number if number is not None else 1


def _killed(path: str) -> bool:
    try:
        with open(path, encoding="ascii") as file:
            lines = file.read().split("\n")
    except OSError:
        return False
    return any(line.startswith("oom_kill ") and line != "oom_kill 0" for line in lines)
