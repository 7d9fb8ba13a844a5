"""What a guard does inside of the target's container: it ends its main process, or it runs a stress there."""

import os
import signal
from contextlib import suppress
from typing import Any

from cluster.faults.kubernetes.api_client import Body, Exec, RefusedError
from cluster.faults.kubernetes.guard_action import Action, NotPossibleError, target_pod

DEFAULT_CONTAINER = "kubectl.kubernetes.io/default-container"
BEGIN_SECONDS = 20.0
MICRO = 1_000_000
MEGABYTE = 2**20
GONE = 404


class InContainer(Action):
    """An action on one container of the target."""

    def container_of(self, pod: Body) -> str:
        """Return the container: that of the fault, else the pod's default. Raises: NotPossibleError."""
        names = [one["name"] for one in pod["spec"]["containers"]]
        default = pod["metadata"].get("annotations", {}).get(DEFAULT_CONTAINER, names[0])
        wanted = self.values.get("container") or default
        if wanted not in names:
            raise NotPossibleError(f"{self.spec['pod']} has no container {wanted}; it has {', '.join(names)}")
        return str(wanted)

    def now(self) -> Body | None:
        """Return the target if it is still the one that was resolved."""
        pod = self.api.find(self.path)
        return pod if pod and pod["metadata"]["uid"] == self.spec["uid"] else None

    @property
    def path(self) -> str:
        """The path of the target in the API."""
        return f"{self.place}/{self.spec['pod']}"


class Term(InContainer):
    """Ends the main process of a container, again when it runs again unless `once`.

    TERM from inside, if the process handles it: the kernel drops all other signals to PID 1 of a PID namespace. With
    `host_pid` the guard runs on the target's node, sees its processes, and sends KILL.
    """

    def begin(self) -> None:
        """End the process. Raises: NotPossibleError, RefusedError, AwayError."""
        pod = target_pod(self.api, self.spec)
        self._container = self.container_of(pod)
        self._first = self._last = _status(pod, self._container).get("restartCount", 0)
        if not self.values["host_pid"]:
            self._check_handled()
        self._end(pod)

    def step(self) -> None:
        """Count the restarts, and end the process again."""
        pod = self.now()
        if pod is None:
            raise NotPossibleError("the target's pod is gone")
        status = _status(pod, self._container)
        restarts = status.get("restartCount", 0)
        self.effect["restarts"] = restarts - self._first
        if restarts > self._last and "running" in status.get("state", {}) and not self.values["once"]:
            self._last = restarts
            self._end(pod)

    def end(self) -> list[str]:
        """Nothing is left of it: the kubelet starts the container again."""
        return []

    def _check_handled(self) -> None:
        code, text = self.api.run(self.path, self._container, self.values["look"])
        caught = next((line.split()[1] for line in text.splitlines() if line.startswith("SigCgt")), "0")
        if code or not int(caught, 16) >> (signal.SIGTERM - 1) & 1:
            raise NotPossibleError(
                f"the main process of {self._container} does not handle TERM, and the kernel drops every other signal "
                "from inside: apply deploy/kubernetes/chaos-host-rbac.yaml, or use pod-kill"
            )

    def _end(self, pod: Body) -> None:
        if not self.values["host_pid"]:
            with suppress(RefusedError):  # it is starting again: the next step looks again
                self.api.run(self.path, self._container, self.values["argv"])
            return
        own = str(_status(pod, self._container).get("containerID", "")).rpartition("/")[2]
        for pid in _main_processes(own):
            os.kill(pid, signal.SIGKILL)


class Stress(InContainer):
    """Runs a script in the target's container. The script ends when its input does, so it ends with the guard.

    It says `use SECONDS CPU MEMORY` (of its cgroup; CPU in microseconds, memory in bytes), `begin`, `wrote MEGABYTES`,
    and `problem WORDS`.
    """

    _program: Exec | None = None

    def begin(self) -> None:
        """Start the script, and wait until it has begun. Raises: NotPossibleError, RefusedError, AwayError."""
        pod = target_pod(self.api, self.spec)
        self._used: list[tuple[float, float, float]] = []
        self._before = 0
        self._program = self.api.exec(self.path, self.container_of(pod), self.values["argv"])
        waited = 0.0
        while not self._before and waited < BEGIN_SECONDS:
            self._program.ended.wait(0.25)
            waited += 0.25
            self.step()

    def step(self) -> None:
        """Read what the script says. Raises: NotPossibleError when it has ended by itself."""
        program = self._program
        if program is None:
            return
        over = program.ended.is_set()
        for line in program.new_lines():
            self._read(line.split())
        if over:
            words = " ".join(program.output().splitlines()[-3:])
            raise NotPossibleError(f"the stress ended by itself: {words}")

    def end(self) -> list[str]:
        """Drop the connection, kill what carries the mark, and look what is left."""
        if self._program is not None:
            self._program.close()
        pod = self.now()
        if pod is None or "running" not in _status(pod, self.container_of(pod)).get("state", {}):
            return []
        try:
            _, left = self.api.run(self.path, self.container_of(pod), self.values["clean"])
        except RefusedError as refused:
            if refused.status == GONE:
                return []
            raise
        return [f"process {pid} of the fault is alive in the container" for pid in left.split()]

    def _read(self, words: list[str]) -> None:
        match words:
            case ["use", seconds, cpu, memory]:
                self._used.append((float(seconds), float(cpu), float(memory)))
                self._measure()
            case ["begin"]:
                self._before = len(self._used)
            case ["wrote", megabytes]:
                self.effect["written_megabytes"] = self.effect.get("written_megabytes", 0) + float(megabytes)
            case ["problem", *rest]:
                raise NotPossibleError(" ".join(rest))
            case _:
                pass

    def _measure(self) -> None:
        """Compare the use of the cgroup with what it was before the stress began."""
        if not 0 < self._before < len(self._used):
            return
        first, before, now = self._used[0], self._used[self._before - 1], self._used[-1]
        if self.values["measure"] == "cpu":
            self.effect["cpus_before"] = _cpus(first, before)
            self.effect["cpus_under_fault"] = _cpus(before, now)
        elif self.values["measure"] == "memory":
            held = round(max(now[2] - first[2], 0.0) / MEGABYTE, 1)
            self.effect["held_megabytes"] = max(self.effect.get("held_megabytes", 0.0), held)


def _cpus(first: tuple[float, float, float], last: tuple[float, float, float]) -> float:
    """Return how many CPUs were used between two readings."""
    seconds = last[0] - first[0]
    return round((last[1] - first[1]) / MICRO / seconds, 3) if seconds > 0 else 0.0


def _status(pod: Body, container: str) -> dict[str, Any]:
    statuses = pod["status"].get("containerStatuses", [])
    return next((one for one in statuses if one["name"] == container), {})


def _main_processes(container_id: str) -> list[int]:
    """Return the processes on this node that are PID 1 of a container. Needs the node's PID namespace."""
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):  # noqa: PTH208  as in cluster.local.shim
        with suppress(OSError):
            if container_id and container_id in _text(f"/proc/{name}/cgroup"):
                inside = [line.split() for line in _text(f"/proc/{name}/status").splitlines() if "NSpid" in line]
                found += [int(name)] if inside and inside[0][-1] == "1" else []
    return found


def _text(path: str) -> str:
    with open(path, encoding="utf-8", errors="replace") as file:  # noqa: PTH123  as in cluster.local.shim
        return file.read()
