"""What became of a pod: pure functions of what the API server says about it.

The end of an attempt is the record that our shim left in the termination message of the test container. It is believed
only if it agrees with the exit code of the container, which a test cannot forge. Without a record the reasons that the
kubelet gives decide.
"""

import json
import re
from datetime import UTC, datetime

from cluster.backend import Fault
from cluster.kubernetes import disruption, names
from cluster.kubernetes.api_objects import ContainerState, ContainerStatus, Pod, Terminated, Waiting
from cluster.kubernetes.disruption import words_of
from cluster.kubernetes.pod_paths import KEEPER, PREPARE, TEST
from model.ending import Consumption, Ending, How

LONGEST_DETAIL = 1000
UNKNOWN = ContainerState()
NEVER_STARTED = Ending(how=How.LOST, detail="nobody knows of this attempt: its pod is gone")
_NO_IMAGE = frozenset({"ErrImagePull", "ImagePullBackOff", "ImageInspectError"})
_WRONG_IMAGE = frozenset({"ErrImageNeverPull", "InvalidImageName"})
_WRONG_POD = frozenset({"CreateContainerConfigError", "CreateContainerError", "RunContainerError"})
_CANNOT_START = frozenset({"StartError", "ContainerCannotRun"})
_EARLY = {How.EVICTED: Fault.EVICTED, How.NODE_LOST: Fault.NODE_LOST}
_AWAY = (
    "no such host",
    "dial tcp",
    "i/o timeout",
    "connection refused",
    "timed out",
    "deadline exceeded",
    "eof",
    "503",
    "502",
)
"""In the words of a container runtime: the registry could not be asked."""
_MISSING = re.compile(r'\b(?:configmap|secret|persistentvolumeclaim) "[^"]*" not found')
"""In the words of the kubelet and of kube-scheduler: the object behind a volume is not there."""
_OUT_OF = ("OutOf", "NodeAffinity", "NodePorts", "UnexpectedAdmissionError", "TopologyAffinityError")
"""Reasons by which a kubelet refuses a pod that was bound to it: it has no room for it."""


def is_tombstone(pod: Pod) -> bool:
    """Return whether the pod only takes the name of an attempt that must never start."""
    return any(gate.name == names.GATE for gate in pod.spec.scheduling_gates)


def stage(pod: Pod) -> str:
    """Return the prepared folder with which the test starts; empty: nobody has started it."""
    return pod.metadata.annotations.get(names.STAGE, "")


def commit(pod: Pod) -> str | None:
    """Return the commit that the pod runs, None if its content is not from git."""
    return pod.metadata.annotations.get(names.COMMIT)


def state(pod: Pod, container: str) -> ContainerState:
    """Return the state of a container, an empty one while nothing is known."""
    statuses = (*pod.status.init_container_statuses, *pod.status.container_statuses)
    return next((status.state for status in statuses if status.name == container), UNKNOWN)


def runs(pod: Pod, container: str) -> bool:
    """Return whether a container runs."""
    return state(pod, container).running is not None


def is_dead(pod: Pod) -> bool:
    """Return whether nothing of the pod is alive, by what the kubelet has said last, and nothing will be."""
    if not pod.spec.node_name:
        return pod.metadata.deletion_timestamp is not None or is_tombstone(pod)
    over = pod.status.phase in {"Succeeded", "Failed"}
    statuses: tuple[ContainerStatus, ...] = (*pod.status.init_container_statuses, *pod.status.container_statuses)
    return over and all(status.state.running is None for status in statuses)


def has_ended(pod: Pod) -> bool:
    """Return whether the attempt has ended: the keeper may still hold its results."""
    return ending_of(pod) is not None


def has_lost_its_results(pod: Pod) -> bool:
    """Return whether a test has run, and nothing holds its results any more."""
    return state(pod, TEST).terminated is not None and state(pod, KEEPER).terminated is not None


def may_need_end(pod: Pod) -> bool:
    """Return whether something of the attempt is alive, or could start, or ended while nobody saw it."""
    if is_tombstone(pod) or is_dead(pod):
        return False
    terminated = state(pod, TEST).terminated
    return terminated is None or _record(terminated) is None


def ending_of(pod: Pod) -> Ending | None:
    """Return how the attempt ended, None while it runs. The same pod gives the same answer."""
    terminated = state(pod, TEST).terminated
    if terminated is not None:
        record = _record(terminated)
        if record is not None and record.how is How.STOPPED and disruption.is_disrupted(pod):
            return _without_container(pod)
        return record or _by_reason(pod, terminated)
    if stage(pod) and (waiting := state(pod, TEST).waiting) is not None and _cannot_run(waiting):
        return Ending(how=How.START_ERROR, detail=words_of(waiting.reason, waiting.message))
    if pod.status.phase in {"Succeeded", "Failed"} or is_dead(pod):
        return _without_container(pod)
    return None


def launch_problem(pod: Pod) -> tuple[Fault, str] | None:
    """Return why the pod will not get ready for its content, None while it still may."""
    if pod.status.phase in {"Succeeded", "Failed"} or pod.metadata.deletion_timestamp is not None:
        return _failed_early(pod)
    waiting = state(pod, PREPARE).waiting
    image = next((container.image for container in pod.spec.init_containers if container.name == PREPARE), "")
    return None if waiting is None else refused_start(image, waiting)


def refused_start(image: str, waiting: Waiting) -> tuple[Fault, str] | None:
    """Return why a container of this image that waits will not start, None if it may."""
    words = words_of(waiting.reason, waiting.message)
    if waiting.reason in _NO_IMAGE and any(sign in waiting.message.lower() for sign in _AWAY):
        return Fault.INFRASTRUCTURE, f"the registry of the image {image} did not answer: {words}"
    if waiting.reason in _NO_IMAGE:
        return Fault.IMAGE, f"the image {image} is missing, or may not be pulled: {words}"
    if waiting.reason in _WRONG_IMAGE:
        return Fault.IMAGE, f"the image {image} cannot be used: {words}"
    if waiting.reason in _WRONG_POD:
        return Fault.CONFIG, f"the container cannot be made: {words}"
    return None


def refused_by_node(pod: Pod) -> str:
    """Return why the kubelet did not take a pod that was bound to its node; empty if it did not refuse it."""
    refused = pod.status.phase == "Failed" and pod.status.reason.startswith(_OUT_OF)
    return words_of(pod.status.reason, pod.status.message) if refused and not stage(pod) else ""


def unschedulable(pod: Pod) -> str:
    """Return why kube-scheduler has not placed the pod, empty if it has, or has not tried."""
    for condition in pod.status.conditions:
        if condition.type == "PodScheduled" and condition.status == "False":
            return words_of(condition.reason, condition.message)
    return ""


def missing_volume(words: str) -> tuple[Fault, str] | None:
    """Return whose fault it is if an event says that the object behind a volume is missing; else None."""
    found = _MISSING.search(words)
    return None if found is None else (Fault.CONFIG, f"a volume of config.volumes cannot be mounted: {found[0]}")


def _failed_early(pod: Pod) -> tuple[Fault, str]:
    terminated = state(pod, PREPARE).terminated
    if terminated is not None and terminated.reason in _CANNOT_START:
        return Fault.CONFIG, f"the image has no python3 that can be run: {terminated.message[:500]}"
    how, words = disruption.cause_of(pod)
    if how is How.NO_DISK:
        return Fault.CONFIG, f"its content needs more scratch disk than resources.ephemeralStorage: {words}"
    fault = _EARLY.get(how, Fault.INFRASTRUCTURE)
    return fault, f"the pod ended before its content was in place: {words or 'its container ended'}"


def _cannot_run(waiting: Waiting) -> bool:
    return waiting.reason in _WRONG_POD | _NO_IMAGE | _WRONG_IMAGE


def _by_reason(pod: Pod, terminated: Terminated) -> Ending:
    """Return the end of a container whose shim left no record: something from outside ended it."""
    if terminated.reason == "OOMKilled":
        return Ending(how=How.OOM, detail="ended by the kernel, together with its supervisor")
    if terminated.reason in _CANNOT_START:
        return Ending(how=How.START_ERROR, detail=words_of(terminated.reason, terminated.message))
    return _without_container(pod)


def _without_container(pod: Pod) -> Ending:
    if pod.status.reason == "DeadlineExceeded":
        return Ending(how=How.TIMEOUT, detail="the pod reached its deadline while no worker looked after it")
    how, words = disruption.cause_of(pod)
    return Ending(how=how, detail=words or "its container was killed from outside, and nobody saw its end")


def _record(terminated: Terminated) -> Ending | None:
    """Return what the shim wrote, None if there is nothing, or if the container did not end in that way."""
    try:
        told = json.loads(terminated.message)
        code, number = told["exit_code"], told["signal"]
        used = Consumption(
            started_at=datetime.fromtimestamp(told["started_at"], UTC),
            ended_at=datetime.fromtimestamp(told["ended_at"], UTC),
            cpu_seconds=float(told["cpu_seconds"]),
            peak_cpu_milli=int(told["peak_cpu_milli"]),
            peak_memory_bytes=int(told["peak_memory_bytes"]),
        )
        detail = str(told.get("detail", ""))[:LONGEST_DETAIL]
        ending = Ending(how=How(told["reason"]), exit_code=code, signal=number, detail=detail, used=used)
    except (ValueError, TypeError, KeyError, OverflowError, OSError):
        return None
    expected = code if code is not None else 128 + number if number is not None else 1
    return ending if expected == terminated.exit_code else None
