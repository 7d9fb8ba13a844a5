"""The port to whatever runs attempts: processes of this machine, pods of a cluster.

A backend starts one attempt once, says how it ended, and makes sure that nothing of it is left. It knows neither the
database nor Prefect: all that it needs comes as values. Every implementation passes `tests/contract/test_backends.py`;
the rules are in docs/decisions/009-backends.md.

The calls are asynchronous, and an implementation never blocks the loop. A call may be repeated after any failure, also
by another worker that serves the same backend.
"""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from model.command import Command, PythonEnvironment
from model.config import ExecutionConfig
from model.content import TestContent
from model.ending import Ending
from model.ids import BackendName, ExecutionId, NodeName
from model.resources import ResourceRequirements
from scheduler.values.node import Node

LOG_LIMIT = 100_000_000
"""Bytes of a run's log that are kept, over all its attempts."""


class Fault(StrEnum):
    """What has to change before an attempt can be launched."""

    CONFIG = "config"
    CONTENT = "content"
    IMAGE = "image"
    """The request names an image that is missing, or that may not be pulled."""
    INFRASTRUCTURE = "infrastructure"
    EVICTED = "evicted"
    """Its place was taken from it before it started. Another node may have room."""
    NODE_LOST = "node_lost"


class LaunchError(Exception):
    """The attempt cannot be started. `fault` says who must act, the message says what they should do."""

    def __init__(self, fault: Fault, detail: str) -> None:
        super().__init__(detail)
        self.fault = fault
        self.detail = detail


class CalledOffError(Exception):
    """The launch was called off. Nothing of its preparation runs any more, and the attempt was not started by it."""


class PlacementError(Exception):
    """The nodes that the gate has chosen did not take the attempt. `nodes` are those to avoid. Nothing was started."""

    def __init__(self, nodes: Collection[NodeName], detail: str) -> None:
        super().__init__(detail)
        self.nodes = frozenset(nodes)
        self.detail = detail


class EndError(Exception):
    """Something of an attempt survives, so no other attempt may start. A person must look at its node."""


class UnavailableError(Exception):
    """The backend cannot be reached now, or has no room. The same call may succeed later."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptId:
    """One launch of one execution. The number counts from 1."""

    execution_id: ExecutionId
    number: int


def never() -> bool:
    """Return False: nobody calls this launch off."""
    return False


async def anywhere(_node: NodeName) -> None:
    """Do nothing: nobody wants to know which of the candidates was chosen."""


async def nothing_new() -> None:
    """Do nothing: there is nobody to ask whether this launch is still wanted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LaunchOrder:
    """All that a backend needs to know to start one attempt.

    `env` may refer to secrets as `${secrets.name}`; `secrets` has a value for each name. `python` is None where the
    test needs no virtual environment; `image` is what the tool runs in where a backend uses images. `log_bytes` is the
    size of the run's log before this attempt: the limit of a log counts over all attempts.

    `commit` is what an earlier attempt has run of git content: this one runs the same, wherever the branch is now.

    `candidates` are the nodes that a backend with a scheduler of its own may choose from, best first; without any it is
    `node` alone. `bound` is awaited once it has chosen.

    `called_off` is asked now and then, from any thread, and breaks the preparation off. `look_again` is awaited once
    before the test is started; `called_off` is up to date after it.
    """

    attempt: AttemptId
    node: NodeName
    content: TestContent
    command: Command
    resources: ResourceRequirements = field(default_factory=ResourceRequirements)
    config: ExecutionConfig = field(default_factory=ExecutionConfig)
    python: PythonEnvironment | None = None
    image: str | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    log_bytes: int = 0
    commit: str | None = None
    candidates: tuple[NodeName, ...] = ()
    bound: Callable[[NodeName], Awaitable[None]] = anywhere
    called_off: Callable[[], bool] = never
    look_again: Callable[[], Awaitable[None]] = nothing_new


@dataclass(frozen=True, slots=True, kw_only=True)
class Launched:
    """An attempt that was started, whether or not it still runs.

    `secrets` are the secret values that it was given, `commit` is the one that it runs if its content is from git.
    `node` is where it runs, if the backend has chosen that itself.
    """

    attempt: AttemptId
    commit: str | None = None
    node: NodeName | None = field(default=None, compare=False)
    secrets: frozenset[str] = field(default=frozenset(), repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Spooled:
    """Files on the worker's disk with what an attempt has left so far. A test wrote them: they may be anything.

    `output` is what it printed, unmasked, and only grows. `results` is the folder `$ASSAY_RESULTS_DIR`.
    """

    output: Path
    results: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What a running attempt uses. CPU in milli-cores is measured over the last seconds."""

    memory_bytes: int
    peak_memory_bytes: int
    cpu_seconds: float
    processes: int
    cpu_milli: int = 0
    peak_cpu_milli: int = 0


class Backend(Protocol):
    """Runs attempts. Each call may raise UnavailableError, besides what its own description says."""

    @property
    def name(self) -> BackendName:
        """The name under which the gate admits runs to it."""
        ...

    async def nodes(self) -> Sequence[Node]:
        """Return its nodes with what they can give to tests, in order of name."""
        ...

    async def adopt(self, attempt: AttemptId, secrets: Collection[str]) -> Launched | None:
        """Return an attempt that was started before, by whomever, and None if it was not.

        Nothing is built or looked up for it: the test may have changed its files meanwhile, and a person its secrets.
        `secrets` names those whose values the caller wants to mask.
        """
        ...

    async def launch(self, order: LaunchOrder) -> Launched:
        """Start the attempt, or find it started: however often this is called, and by however many, it runs once.

        Raises: LaunchError, PlacementError, CalledOffError. After any of them the attempt may still have been started
        by another caller.
        """
        ...

    async def wait(self, attempt: AttemptId, seconds: float | None = None) -> bool:
        """Wait for the end of the attempt, at most `seconds`; return whether it has ended.

        An attempt that was never started has ended. Waiting for many attempts takes no thread for each.
        """
        ...

    async def stop(self, attempt: AttemptId) -> None:
        """Ask the attempt to end: SIGTERM, a grace period, SIGKILL. Returns at once; harmless if it has ended."""
        ...

    async def end(self, attempt: AttemptId) -> None:
        """Leave nothing of the attempt alive, and nothing that could start it later. Harmless if it has ended.

        An attempt that was not started never starts after this: `launch` raises LaunchError.
        Raises: EndError if something survives.
        """
        ...

    async def ending(self, attempt: AttemptId) -> Ending | None:
        """Return how the attempt ended; None while it runs. The same answer each time.

        Where nobody saw the end, the attempt is lost, and what it left running is killed first.
        Raises: EndError if something survives.
        """
        ...

    async def usage(self, attempt: AttemptId) -> Usage | None:
        """Return what the attempt uses, None if that is not known (yet)."""
        ...

    async def spool(self, attempt: AttemptId) -> Spooled:
        """Bring what the attempt printed, and its results once it has ended, to the worker's disk; return where.

        Each byte is brought once, however often this is called.
        """
        ...

    async def forget(self, attempt: AttemptId) -> None:
        """Remove what is kept of an ended attempt: content, results, output, secrets. Its ending may stay known.

        To be called when log, results and artifacts are in their stores. A failure is tidied up later.
        """
        ...

    async def running(self) -> Sequence[AttemptId]:
        """Return the attempts that are alive on this backend, or could start without another `launch`, in order.

        They are found by the backend's own records, so what a worker left that is gone is found too.
        """
        ...

    async def kept(self) -> Sequence[AttemptId]:
        """Return the attempts of which something is kept that `forget` would remove, in order; also running ones.

        What keeps an attempt from starting that was ended before it started is among them only after an hour.
        """
        ...

    def close(self) -> None:
        """Let go of threads and connections. The attempts run on."""
        ...
