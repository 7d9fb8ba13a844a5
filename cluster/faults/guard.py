"""The guard: holds one fault on one local service, and takes it back.

It is run by `python -I -S` with the fault's folder as argument, and outlives the worker. `spec.json` says what to do;
`state.json` is what it did. It reverts when the fault expires, when it is asked to (TERM), when the worker's heartbeat
(the time of `heartbeat`) is too old, and when the supervisor of the services is gone. If the guard itself is killed,
the kernel kills its children, and the supervisor takes back what the guard asked for and continues the target.

A folder that has a `state.json` is never started again, so no fault is injected twice.
"""
# ruff: noqa: PTH108, PTH110, PTH116, PTH118, PTH120, PTH123
# as in cluster.local.shim: pathlib would cost each guard more memory than all of this

import fcntl
import json
import os
import select
import signal
import socket
import sys
import time
from typing import Any

from cluster.faults import stress
from cluster.local import proc
from cluster.local.shim import write_atomically
from cluster.local.unix_socket import reachable

PERIOD = 0.2
"""Seconds of one cycle of STOP and CONT."""
LOOK_SECONDS = 0.5
ANSWER_SECONDS = 5.0


class Guard:
    """One fault."""

    def __init__(self, folder: str, spec: dict[str, Any]) -> None:
        self._folder = folder
        self._fault = str(spec["fault"])
        self._service = str(spec["service"])
        self._kind = str(spec["kind"])
        self._action: dict[str, Any] = dict(spec["action"])
        self._until = time.monotonic() + float(spec["seconds"])
        self._seconds = float(spec["seconds"])
        self._patience = float(spec["heartbeat_seconds"])
        self._socket_path = str(spec["socket"])
        self._children: list[int] = []
        self._state: dict[str, Any] = {"phase": "pending", "pid": os.getpid(), "boot": proc.boot_id()}
        stat = proc.stat_of(os.getpid())
        self._state["start_time"] = stat.start_time if stat else 0
        self._first: dict[str, Any] = {}
        self._targets: list[tuple[int, int]] = []
        self._stops = 0
        self._asked = False

    def run(self) -> None:
        """Inject, hold, and take back."""
        signal.signal(signal.SIGTERM, self._ask)
        self._write()
        reason = "error"
        try:
            self._connect()
            self._inject()
            self._write(phase="injected", at=time.time())  # noqa: TID251  a process of its own reads the clock
            reason = self._hold()
        except (OSError, ValueError) as error:
            self._write(error=str(error))
        finally:
            self._revert(reason)

    def _ask(self, _number: int, _frame: object) -> None:
        self._asked = True

    def _connect(self) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(ANSWER_SECONDS)
        with reachable(self._socket_path) as path:
            self._socket.connect(path)
        self._lines = self._socket.makefile("rb")
        self._first = self._say({"ask": "status"})

    def _say(self, request: dict[str, Any]) -> dict[str, Any]:
        """Ask the supervisor, and return what it says about the service. Raises: OSError, ValueError."""
        self._socket.sendall(json.dumps({"fault": self._fault, "service": self._service, **request}).encode() + b"\n")
        answer = json.loads(self._lines.readline() or b'{"error": "the supervisor is gone"}')
        if "error" in answer:
            raise ValueError(answer["error"])
        if self._service not in answer["services"]:
            raise ValueError(f"there is no service {self._service}")
        facts: dict[str, Any] = answer["services"][self._service]
        self._targets = [(int(pid), int(start)) for pid, start in facts["processes"]]
        return facts

    def _inject(self) -> None:
        if self._kind in {"rule", "hold"}:
            self._say({"ask": self._kind, "seconds": self._seconds, self._kind: self._action})
        elif self._kind == "duty":
            self._say({"ask": "lease", "seconds": self._seconds})  # if this process dies, the target is continued
            self._children = [stress.fork(stress.burn) for _ in range(self._action["burners"])]
        elif self._kind == "memory":
            self._children = [stress.fork(stress.hold_memory(self._action["megabytes"]))]
        elif self._kind == "disk":
            paths = [self._scratch(number) for number in range(self._action["workers"])]
            if not os.access(folder := os.path.dirname(paths[0]), os.W_OK):
                raise ValueError(f"the folder {folder} is not there, or may not be written into")
            self._children = [stress.fork(stress.write_disk(path, self._action["megabytes"])) for path in paths]
        else:
            raise ValueError(f"there is no fault of the kind {self._kind}")

    def _scratch(self, number: int) -> str:
        return os.path.join(self._action.get("path") or self._folder, f"assay-{self._fault}-{number}.scratch")

    def _hold(self) -> str:
        """Hold the fault, and return why it is over."""
        look_at = 0.0
        while True:
            now = time.monotonic()
            if self._asked:
                return "asked"
            if now >= self._until:
                return "expired"
            if self._heartbeat_age() > self._patience:
                return "the heartbeat of the worker stopped"
            if select.select([self._socket], [], [], 0)[0]:
                return "the supervisor is gone"
            if now >= look_at:
                look_at = now + LOOK_SECONDS
                self._write(effect=self._effect())
            self._cycle()

    def _cycle(self) -> None:
        """Stop the target for its part of the period, or rest for a period."""
        if self._kind != "duty":
            time.sleep(PERIOD / 4)
            return
        stopped = PERIOD * self._action["stop_percent"] / 100
        self._signal(signal.SIGSTOP)
        self._stops += 1
        time.sleep(stopped)
        self._signal(signal.SIGCONT)
        time.sleep(PERIOD - stopped)

    def _signal(self, number: int) -> None:
        """Signal exactly the processes of the target: the start time tells each from a later one with its pid."""
        for pid, start_time in self._targets:
            stat = proc.stat_of(pid)
            if stat and stat.start_time == start_time:
                proc.send(number, [pid])

    def _heartbeat_age(self) -> float:
        return time.time() - os.stat(os.path.join(self._folder, "heartbeat")).st_mtime  # noqa: TID251

    def _effect(self) -> dict[str, Any]:
        """Return what the fault was seen to do until now."""
        facts = self._say({"ask": "status"})
        if self._kind == "hold":
            ended = facts["kills"] - self._first["kills"]
            return {"ended": ended, "running": len(self._targets)}
        if self._kind == "rule":
            counters = facts["counters"]
            grown = {name: counters[name] - self._first["counters"][name] for name in counters}
            return {name: grown[name] for name in ("delayed", "stalled", "cut", "errors")}
        stats = [stat for pid in self._children if (stat := proc.stat_of(pid))]
        if self._kind == "duty":
            return {"stops": self._stops, "burnt_seconds": round(sum(stat.cpu for stat in stats), 2)}
        if self._kind == "memory":
            return {"held_megabytes": sum(stat.rss for stat in stats) // stress.MEGABYTE}
        return {"written_megabytes": sum(map(stress.written, self._children)) // stress.MEGABYTE}

    def _revert(self, reason: str) -> None:
        """Take everything back. Whatever fails here is found by whoever verifies."""
        self._write(phase="reverting", reason=reason)
        for child in self._children:
            proc.send(signal.SIGKILL, [child])
        for child in self._children:
            os.waitpid(child, 0)
        self._signal(signal.SIGCONT)
        try:
            if self._kind in {"rule", "hold"}:
                self._write(effect=self._effect())
            self._say({"ask": "clear"})
        except (OSError, ValueError):
            self._state["supervisor"] = "gone"  # it takes back by itself what belongs to this connection
        for number in range(int(self._action.get("workers", 0)) if self._kind == "disk" else 0):
            if os.path.exists(self._scratch(number)):
                os.unlink(self._scratch(number))
        self._write(phase="reverted", reverted_at=time.time())  # noqa: TID251

    def _write(self, **change: Any) -> None:
        self._state.update(change)
        write_atomically(os.path.join(self._folder, "state.json"), self._state)


def main(folder: str) -> None:
    """Hold the fault of `folder`, unless it was ever started before. The first process returns at once."""
    if os.fork():
        os._exit(0)
    os.setsid()
    lock = os.open(os.path.join(folder, "lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)  # held until the end
    fcntl.flock(lock, fcntl.LOCK_EX)
    if os.path.exists(os.path.join(folder, "state.json")):
        return
    with open(os.path.join(folder, "spec.json"), encoding="utf-8") as file:
        spec = json.load(file)
    Guard(folder, spec).run()


if __name__ == "__main__":
    main(sys.argv[1])
