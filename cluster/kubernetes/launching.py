"""The launch of one attempt: fetch the content, make the pod, send the content into it, let the test start."""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import ParamSpec, TypeVar

from cluster.backend import CalledOffError, Fault, LaunchError, LaunchOrder, PlacementError, UnavailableError
from cluster.kubernetes import exec_stream, names, pod_facts, pod_paths, stage
from cluster.kubernetes.api_objects import Pod
from cluster.kubernetes.cluster_pods import ClusterPods, gone
from cluster.kubernetes.connection import Connection
from cluster.kubernetes.exec_stream import PodProgram, Ran
from cluster.kubernetes.pod import START_SECONDS
from cluster.kubernetes.pod_paths import PREPARE
from cluster.kubernetes.watch import PodWatch
from cluster.local.content import Sources
from cluster.local.guarded_command import StoppedError
from cluster.local.unreachable import is_away
from model.ids import NodeName

LOOK_SECONDS = 0.25
PLACE_WITHIN = timedelta(seconds=30)
"""How long kube-scheduler may find no room on the candidates that the gate has chosen, or a quota may have none."""
QUOTA_PAUSE = 2.0
MOUNT_SECONDS = 20.0
"""After so long on its node a pod is asked whether a volume cannot be mounted; then after twice as long, and so on."""
INSTALL_SECONDS = 900.0
LAST_WORDS = 2_000
SIGNALLED = 128

P = ParamSpec("P")
T = TypeVar("T")


async def in_thread(threads: Executor, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run a blocking call in one of `threads`."""
    return await asyncio.get_running_loop().run_in_executor(threads, partial(work, *args, **kwargs))


@dataclass(frozen=True, slots=True, kw_only=True)
class Launcher:
    """What a launch needs. `readers` are threads for short requests, `streams` for content and installations."""

    connection: Connection
    pods: ClusterPods
    watch: PodWatch
    readers: Executor
    streams: Executor
    place_within: timedelta = PLACE_WITHIN

    async def launch(self, order: LaunchOrder, folder: Path, sources: Sources) -> Pod:
        """Start the attempt, and return its pod.

        Raises: LaunchError, PlacementError, CalledOffError, UnavailableError.
        """
        try:
            fetched = await in_thread(self.streams, stage.fetch, order, folder, sources)
        except StoppedError as stopped:
            raise called_off() from stopped
        pod = await self._made(order, fetched.commit)
        try:
            if not pod_facts.stage(pod):
                pod = await self._until_ready(order, pod)
            if not pod_facts.stage(pod):
                pod = await self._prepare_and_start(order, folder, fetched.requirements)
        except (LaunchError, PlacementError, CalledOffError):
            await in_thread(self.readers, self.pods.discard, order.attempt)
            raise
        except UnavailableError as failed:
            pod = await self._after_all(order, failed)
        await in_thread(self.streams, self.pods.release, order.attempt, pod)
        return pod

    async def _made(self, order: LaunchOrder, commit: str | None) -> Pod:
        """Make the pod, or find it; wait as for a node if the quota of its namespace is used up.

        Raises: LaunchError, PlacementError, CalledOffError.
        """
        loop = asyncio.get_running_loop()
        begun = loop.time()
        while True:
            try:
                return await in_thread(self.readers, self.pods.create, order, commit)
            except PlacementError:
                if loop.time() - begun > self.place_within.total_seconds():
                    raise
            if order.called_off():
                raise called_off()
            await asyncio.sleep(QUOTA_PAUSE)

    async def _until_ready(self, order: LaunchOrder, pod: Pod) -> Pod:
        """Wait until the pod can take its content, or somebody else has started it.

        Raises: LaunchError, PlacementError.
        """
        loop = asyncio.get_running_loop()
        begun = loop.time()
        told, mounts_at = False, MOUNT_SECONDS
        with self.watch.listening(pod.metadata.name) as event:
            while True:
                if order.called_off():
                    raise called_off()
                event.clear()
                known = self.watch.pod(pod.metadata.name) or await in_thread(
                    self.readers, self.pods.find, order.attempt
                )
                if known is None or pod_facts.is_tombstone(known):
                    raise gone()
                if known.spec.node_name and not told:
                    await order.bound(self._node_of(known))
                    told = True
                if pod_facts.stage(known) or pod_facts.runs(known, PREPARE):
                    return known
                waited = loop.time() - begun
                await self._insist(order, known, waited)
                if known.spec.node_name and waited > mounts_at:
                    mounts_at *= 2
                    _be_there(await in_thread(self.readers, self.pods.why_not_mounted, known))
                _complain(known, waited)
                await _news(event)

    async def _insist(self, order: LaunchOrder, pod: Pod, seconds: float) -> None:
        """Give up on candidates that do not take the pod. Raises: PlacementError, LaunchError if none ever could."""
        if refusal := pod_facts.refused_by_node(pod):
            raise PlacementError({self._node_of(pod)}, f"node {pod.spec.node_name} refused the pod: {refusal}")
        if not pod.spec.node_name and seconds > self.place_within.total_seconds():
            why = await in_thread(self.readers, self.pods.why_unbound, pod)
            _be_there(why)
            candidates = order.candidates or (order.node,)
            words = f"kube-scheduler found no room on {', '.join(candidates)} in {seconds:.0f} s: {why}"
            raise PlacementError(candidates, words)

    def _node_of(self, pod: Pod) -> NodeName:
        return names.gate_node(pod.spec.node_name, self.connection.access.name)

    async def _prepare_and_start(self, order: LaunchOrder, folder: Path, requirements: str | None) -> Pod:
        """Send the content, make the virtual environment, and start the test. Raises: LaunchError, CalledOffError."""
        place = await in_thread(self.streams, self._send, order, folder)
        if order.python is not None:
            words = [f"{place}/venv", f"{place}/support/base.txt", order.python.module]
            words += [f"{place}/work/{requirements}"] if requirements else []
            await in_thread(self.streams, self._install, order, place, words)
        await order.look_again()
        if order.called_off():
            raise called_off()
        return await in_thread(self.readers, self.pods.start, order.attempt, place)

    async def _after_all(self, order: LaunchOrder, failed: UnavailableError) -> Pod:
        """Find out what a step means that broke off. Raises: LaunchError if the attempt was given up meanwhile."""
        pod = await in_thread(self.readers, self.pods.find, order.attempt)
        if pod is None or pod.metadata.deletion_timestamp is not None or pod_facts.is_tombstone(pod):
            raise gone()
        if not pod_facts.stage(pod):
            raise UnavailableError(f"the content could not be sent to the pod: {failed}") from failed
        return pod

    def _send(self, order: LaunchOrder, folder: Path) -> str:
        """Send the content to the init container. Return the folder in which it has unpacked it."""
        packed = stage.pack(order, folder)
        told = bytearray()
        try:
            with packed.open("rb") as source:
                command = pod_paths.python(pod_paths.RECEIVE, str(packed.stat().st_size))
                program = PodProgram(
                    path=self.pods.path(order.attempt),
                    container=PREPARE,
                    command=command,
                    source=source,
                    take=told.extend,
                )
                ran = exec_stream.run(self.connection, program, partial(_look, order))
        finally:
            packed.unlink()
        _be_whole(ran)
        if ran.exit_code:
            raise LaunchError(Fault.INFRASTRUCTURE, f"the content could not be unpacked in the pod: {_last(ran)}")
        return told.decode().strip()

    def _install(self, order: LaunchOrder, place: str, words: Sequence[str]) -> None:
        """Make the virtual environment in the init container. Raises: LaunchError with the words of the installer."""
        program = PodProgram(
            path=self.pods.path(order.attempt),
            container=PREPARE,
            command=["python3", "-I", f"{place}/lib/cluster/kubernetes/install.py", *words],
            seconds=INSTALL_SECONDS,
        )
        ran = exec_stream.run(self.connection, program, partial(_look, order))
        _be_whole(ran)
        if ran.exit_code and is_away(ran.words):
            raise LaunchError(Fault.INFRASTRUCTURE, f"the package index does not answer the pod: {_last(ran)}")
        if ran.exit_code:
            raise LaunchError(Fault.CONFIG, f"setup.requirements cannot be installed: {_last(ran)}")


def called_off() -> CalledOffError:
    """Return the error of a launch that is not wanted any more."""
    return CalledOffError("called off before it was started")


def _complain(pod: Pod, seconds: float) -> None:
    """Give up on a pod that will not get ready. Raises: LaunchError."""
    if problem := pod_facts.launch_problem(pod):
        raise LaunchError(*problem)
    if seconds > START_SECONDS:
        raise LaunchError(Fault.INFRASTRUCTURE, f"the pod did not get ready in {seconds:.0f} s")


def _be_there(words: str) -> None:
    """Give up on a pod if an event says that what it mounts is missing. Raises: LaunchError."""
    if problem := pod_facts.missing_volume(words):
        raise LaunchError(*problem)


async def _news(event: asyncio.Event) -> None:
    """Wait for a change of the pod, or for the next look."""
    try:
        async with asyncio.timeout(LOOK_SECONDS):
            await event.wait()
    except TimeoutError:
        return


def _look(order: LaunchOrder) -> None:
    if order.called_off():
        raise called_off()


def _be_whole(ran: Ran) -> None:
    """Raise UnavailableError for a program that did not end by itself: somebody ended its container."""
    if ran.exit_code >= SIGNALLED:
        raise UnavailableError("the init container ended meanwhile")


def _last(ran: Ran) -> str:
    return ran.words[-LAST_WORDS:] or f"exit code {ran.exit_code}"
