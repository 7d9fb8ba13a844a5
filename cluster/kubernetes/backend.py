"""The backend of a cluster: each attempt is a pod. Any worker that serves the cluster finds it by its name.

Blocking work runs in threads. Waiting takes no thread: one watch follows all pods (`watch.PodWatch`).
"""

import asyncio
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import ParamSpec, TypeVar

from pydantic import ValidationError

from cluster.backend import (
    AttemptId,
    EndError,
    Fault,
    Launched,
    LaunchError,
    LaunchOrder,
    Spooled,
    UnavailableError,
    Usage,
)
from cluster.backend_factory import BackendSettings, ClusterSettings
from cluster.kubernetes import names, pod_facts, pod_paths
from cluster.kubernetes.access import access_of
from cluster.kubernetes.api_objects import Pod
from cluster.kubernetes.canary import Requirement
from cluster.kubernetes.cluster_pods import ClusterPods, refusal
from cluster.kubernetes.connection import ApiError, ClusterAccess, Connection
from cluster.kubernetes.launching import PLACE_WITHIN, Launcher, in_thread
from cluster.kubernetes.log_streams import LogStreams
from cluster.kubernetes.node_watch import NodeWatch
from cluster.kubernetes.spool import Spool
from cluster.kubernetes.watch import PodWatch
from cluster.local.content import Sources
from model.ending import Ending
from model.ids import BackendName, backend_of_cluster
from model.ports import Contents
from scheduler.values.node import Node

READERS = 8
STREAMS = 16
"""Programs in pods that run at once: content on its way, installations, output on its way back."""
END_SECONDS = 60.0
"""How long the kubelet may take to end a pod, before a person has to look at its node."""
PULL_SECONDS = 1.0
"""Output of a running attempt is brought at most so often."""
PULL_SHARE = 5.0
"""A pull that took long is followed by a pause of so many times its length: a busy node is not made busier."""
CONFIRM_SECONDS = 30.0
"""How often a waiter asks the server itself, should the watch have missed something."""

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Disk:
    """What a worker has on its disk for a cluster's runs: the folder of their spools, and where content comes from."""

    runs: Path
    contents: Contents
    allowed_hosts: frozenset[str] = frozenset()
    git_ca_file: Path | None = None


class KubernetesBackend:
    """Pods of one namespace of a cluster: the port `cluster.backend.Backend`."""

    def __init__(self, access: ClusterAccess, disk: Disk, place_within: timedelta = PLACE_WITHIN) -> None:
        self._access = access
        self._disk = disk
        self._connection = Connection(access)
        self._watch = PodWatch(self._connection)
        self._nodes = NodeWatch(self._connection)
        self._logs = LogStreams(self._connection)
        self._pods = ClusterPods(self._connection, self._watch)
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="assay-kubernetes")
        self._streams = ThreadPoolExecutor(STREAMS, thread_name_prefix="assay-streams")
        self._launcher = Launcher(
            connection=self._connection,
            pods=self._pods,
            watch=self._watch,
            readers=self._readers,
            streams=self._streams,
            place_within=place_within,
        )
        self._network = Requirement(self._connection)
        self._pulled: dict[AttemptId, tuple[float, Usage | None]] = {}

    @classmethod
    def opened(cls, wanted: ClusterSettings, settings: BackendSettings) -> "KubernetesBackend":
        """Return the backend of a cluster, with what a worker gives to all its backends."""
        disk = Disk(
            runs=settings.state.absolute() / "pods",
            contents=settings.contents,
            allowed_hosts=settings.allowed_hosts,
            git_ca_file=settings.git_ca_file,
        )
        return cls(access_of(wanted), disk, settings.place_within)

    @property
    def name(self) -> BackendName:
        """The name under which the gate admits runs to it."""
        return backend_of_cluster(self._access.name)

    async def nodes(self) -> Sequence[Node]:
        """Return the nodes with what others have left of them, in order of name."""
        return await self._call(self._readers, self._nodes.read)

    async def adopt(self, attempt: AttemptId, secrets: Collection[str]) -> Launched | None:
        """Return an attempt that was started before: its pod says so. If its start was cut off, it is completed."""
        pod = await self._call(self._readers, self._pods.find, attempt)
        if pod is None or not pod_facts.stage(pod):
            return None
        if pod.metadata.deletion_timestamp is None:
            await self._call(self._streams, self._pods.release, attempt, pod)
        return await self._launched(attempt, pod, secrets)

    async def launch(self, order: LaunchOrder) -> Launched:
        """Start the attempt, or find it started. Raises: LaunchError, PlacementError, CalledOffError."""
        adopted = await self.adopt(order.attempt, order.secrets)
        if adopted is not None:
            return adopted
        sources = Sources(
            contents=self._disk.contents,
            allowed_hosts=self._disk.allowed_hosts,
            ca_file=self._disk.git_ca_file,
            commit=order.commit,
            stopped=order.called_off,
        )
        await self._call(self._streams, self._network.meet)
        try:
            pod = await self._launcher.launch(order, self._spool(order.attempt).folder, sources)
        except ApiError as refused:
            raise refusal(refused) from refused
        except OSError as failed:
            raise LaunchError(Fault.INFRASTRUCTURE, f"this worker could not prepare it: {failed}") from failed
        return await self._launched(order.attempt, pod, order.secrets)

    async def wait(self, attempt: AttemptId, seconds: float | None = None) -> bool:
        """Wait for the end of the attempt, at most `seconds`; return whether it has ended."""
        if await self._has_ended(attempt):
            return True
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._until(attempt, pod_facts.has_ended)
                return True
        return False

    async def stop(self, attempt: AttemptId) -> None:
        """Ask the attempt to end: SIGTERM, a grace period, SIGKILL."""
        pod = await self._call(self._readers, self._pods.find, attempt)
        if pod is not None and pod_facts.runs(pod, pod_paths.TEST):
            try:
                await self._call(self._streams, self._pods.stop, attempt)
            except UnavailableError:
                if not await self._has_ended(attempt):
                    raise

    async def end(self, attempt: AttemptId) -> None:
        """Leave nothing of the attempt alive, and nothing that could start it later. Raises: EndError."""
        pod = await self._call(self._readers, self._pods.give_up, attempt)
        if pod is None or pod_facts.is_dead(pod):
            return
        try:
            async with asyncio.timeout(END_SECONDS):
                await self._until(attempt, pod_facts.is_dead)
        except TimeoutError:
            where = f"pod {pod.metadata.name} on node {pod.spec.node_name}"
            raise EndError(f"{where} did not end in {END_SECONDS:g} s; see whether its kubelet answers") from None

    async def ending(self, attempt: AttemptId) -> Ending | None:
        """Return how the attempt ended; None while it runs."""
        known = self._watch.pod(names.pod_name(attempt))
        if known is not None and (ended := pod_facts.ending_of(known)) is not None:
            return ended
        pod = await self._call(self._readers, self._pods.find, attempt)
        return pod_facts.NEVER_STARTED if pod is None else pod_facts.ending_of(pod)

    async def usage(self, attempt: AttemptId) -> Usage | None:
        """Return what the attempt used at the last sample that was brought."""
        await self.spool(attempt)
        return self._logs.usage(self._pods.path(attempt)) or self._pulled.get(attempt, (0.0, None))[1]

    async def spool(self, attempt: AttemptId) -> Spooled:
        """Return the files to which the keeper's log is followed; bring the results once it has ended.

        What the log does not bring, such as what was printed before this worker followed it, is brought by a program.
        """
        spool = self._spool(attempt)
        clock = asyncio.get_running_loop().time
        due, usage = self._pulled.get(attempt, (float("-inf"), None))
        pod = self._watch.pod(names.pod_name(attempt)) or await self._call(self._readers, self._pods.find, attempt)
        if pod is not None and pod_facts.runs(pod, pod_paths.KEEPER):
            ended = pod_facts.has_ended(pod)
            stream = self._logs.follow(self._pods.path(attempt), spool)
            begun = clock()
            if ended or (begun >= due and stream.lacks):
                bring = partial(spool.bring, self._connection, self._pods.path(attempt), ended=ended)
                usage = await self._call(self._streams, bring) or usage
                stream.missed = False
                self._pulled[attempt] = (clock() + max(PULL_SECONDS, PULL_SHARE * (clock() - begun)), usage)
        elif pod is not None and pod_facts.has_lost_its_results(pod):
            await self._call(self._readers, spool.note_loss)
        return await self._call(self._readers, spool.make)

    async def forget(self, attempt: AttemptId) -> None:
        """Remove pod, Secret and spool."""
        self._logs.forget(self._pods.path(attempt))
        await self._call(self._readers, self._pods.forget, attempt)
        await self._call(self._readers, self._spool(attempt).remove)
        self._pulled.pop(attempt, None)

    async def running(self) -> list[AttemptId]:
        """Return the attempts of which something is alive, or of which nobody saw the end, in order."""
        pods = await self._call(self._readers, self._pods.all)
        found = [names.attempt_of(pod.metadata) for pod in pods if pod_facts.may_need_end(pod)]
        known = [attempt for attempt in found if attempt is not None]
        return sorted(known, key=lambda attempt: (attempt.execution_id, attempt.number))

    async def kept(self) -> list[AttemptId]:
        """Return the attempts that have a pod, in order. One that only takes a name counts after an hour."""
        return await self._call(self._readers, self._pods.kept)

    def close(self) -> None:
        """Let go of threads and connections. The attempts run on."""
        self._watch.close()
        self._nodes.close()
        self._logs.close()
        self._connection.close()
        for threads in (self._readers, self._streams):
            threads.shutdown(wait=False, cancel_futures=True)

    async def _launched(self, attempt: AttemptId, pod: Pod, secrets: Collection[str]) -> Launched:
        """Return what the pod and its Secret say about the start of an attempt."""
        given = await self._call(self._readers, self._pods.secrets, attempt, secrets)
        node = names.gate_node(pod.spec.node_name, self._access.name) if pod.spec.node_name else None
        return Launched(attempt=attempt, commit=pod_facts.commit(pod), node=node, secrets=given)

    def _spool(self, attempt: AttemptId) -> Spool:
        return Spool(folder=self._disk.runs / self._access.name / f"{attempt.execution_id}-{attempt.number}")

    async def _has_ended(self, attempt: AttemptId) -> bool:
        """Return whether it has ended, by what the watch knows; the server is asked where it knows nothing."""
        known = self._watch.pod(names.pod_name(attempt))
        if known is None:
            known = await self._call(self._readers, self._pods.find, attempt)
        return known is None or pod_facts.has_ended(known)

    async def _until(self, attempt: AttemptId, true: Callable[[Pod], bool]) -> None:
        """Wait until something holds for a pod, or it is gone."""
        name = names.pod_name(attempt)
        with self._watch.listening(name) as changed:
            while True:
                changed.clear()
                pod = self._watch.pod(name) or await self._call(self._readers, self._pods.find, attempt)
                if pod is None or true(pod):
                    return
                try:
                    async with asyncio.timeout(CONFIRM_SECONDS):
                        await changed.wait()
                except TimeoutError:
                    await self._call(self._readers, self._pods.find, attempt)

    async def _call(self, threads: Executor, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a blocking call in one of `threads`, with the port's errors."""
        with _in_words_of_the_port(self._access.name):
            return await in_thread(threads, work, *args, **kwargs)


@contextmanager
def _in_words_of_the_port(cluster: str) -> Iterator[None]:
    try:
        yield
    except ApiError as refused:
        raise UnavailableError(refused.message) from refused
    except ValidationError as strange:
        raise UnavailableError(f"cluster {cluster} sent what no API server sends: {strange}") from strange
    except OSError as failed:
        raise UnavailableError(f"this worker has no room: {failed}") from failed
