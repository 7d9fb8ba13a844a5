"""The pods and Secrets of attempts in one namespace: each step as one or a few requests that may be repeated.

All of it blocks. Races between workers are decided by the API server: by the name of the pod, and by its version.
"""

import base64
import binascii
import time
from collections.abc import Collection

from cluster.backend import AttemptId, Fault, LaunchError, LaunchOrder, PlacementError, UnavailableError
from cluster.kubernetes import exec_stream, names, pod_facts, pod_paths, restricted
from cluster.kubernetes.api_objects import ApiNamespace, EventList, Pod, PodList, SecretObject
from cluster.kubernetes.connection import CONFLICT, NOT_FOUND, ApiError, Connection
from cluster.kubernetes.exec_stream import PodProgram
from cluster.kubernetes.network import policy_of
from cluster.kubernetes.pod import POD_GRACE_SECONDS, Body, PodSite, pod_of, secret_of, tombstone
from cluster.kubernetes.watch import PodWatch
from model.pod_policy import violations

RELEASES = 6
RELEASE_PAUSE = 0.5
NAME_SECONDS = 3600.0
"""How long a name is kept from an attempt that was ended before it started. No launch takes as long."""
TRIES = 20
"""How often a change is tried anew because the pod has changed meanwhile."""
FORBIDDEN, INVALID = 403, 422
UNSCHEDULED, UNMOUNTED = "FailedScheduling", "FailedMount"
"""Reasons of events."""
VERSION_DIGITS = 20


class ClusterPods:
    """The pods of one namespace, by attempt."""

    def __init__(self, connection: Connection, watch: PodWatch) -> None:
        self._connection = connection
        self._watch = watch
        self._namespace = connection.access.namespace
        self._closing = connection.closing
        self._named_since: dict[str, float] = {}
        """Since when this process has seen the pods that only take a name, by their uid."""

    def path(self, attempt: AttemptId) -> str:
        """Return the path of an attempt's pod in the API."""
        return f"/api/v1/namespaces/{self._namespace}/pods/{names.pod_name(attempt)}"

    def find(self, attempt: AttemptId) -> Pod | None:
        """Read an attempt's pod from the server."""
        return self._seen(self._connection.find(self.path(attempt)), attempt)

    def all(self) -> tuple[Pod, ...]:
        """Read all pods of attempts from the server."""
        path = f"/api/v1/namespaces/{self._namespace}/pods"
        return PodList.model_validate_json(self._connection.get(path, ("labelSelector", names.SELECTOR))).items

    def create(self, order: LaunchOrder, commit: str | None) -> Pod:
        """Make the pod of an attempt with its Secret, or return the one that is there.

        Raises: LaunchError, PlacementError if the quota of the namespace is used up.
        `commit` is that of the content, if it is from git.
        """
        access = self._connection.access
        candidates = order.candidates or (order.node,)
        nodes = tuple(names.cluster_node(node, access.name) for node in candidates)
        site = PodSite(namespace=self._namespace, nodes=nodes, image=order.image or access.image, gpu=access.gpu)
        body = pod_of(order, site, commit)
        beyond = (finding.problem() for finding in violations(order.config, access.policy))
        if wrong := [*beyond, *restricted.problems(body)]:
            words = "; ".join(f"{one.path} {one.message}" for one in wrong)
            raise LaunchError(Fault.CONFIG, f"cluster {access.name} does not take this pod: {words}")
        companions = self._companions(order)
        try:
            for place, companion in companions:
                self._connection.create(place, companion)
            made = self._connection.create(f"/api/v1/namespaces/{self._namespace}/pods", body)
        except ApiError as refused:
            if self.find(order.attempt) is None:
                for place, _ in companions:
                    self._connection.delete(f"{place}/{names.pod_name(order.attempt)}", grace=0)
            raise refusal(refused) from refused
        pod = self.find(order.attempt) if made is None else self._seen(made, order.attempt)
        if pod is None:
            raise gone()
        if made is not None:
            for place, _ in companions:
                self._own(place, pod)
        return pod

    def _companions(self, order: LaunchOrder) -> list[tuple[str, Body]]:
        """Return what a pod has besides itself, each with the place where it is made: before the pod, so that it holds.

        All of it has the name of the pod.
        """
        name = names.pod_name(order.attempt)
        secret = secret_of(order, self._namespace)
        policy = policy_of(name, names.labels(order.attempt), order.config.network)
        both = ((self._secrets, secret), (self._policies, policy))
        return [(place, body) for place, body in both if body is not None]

    def why_unbound(self, pod: Pod) -> str:
        """Return why kube-scheduler has not bound a pod: in the words of its last event, else of the pod."""
        return self._last_event(pod, UNSCHEDULED) or pod_facts.unschedulable(pod)

    def why_not_mounted(self, pod: Pod) -> str:
        """Return why the kubelet cannot mount a volume of a pod, empty if it has not complained."""
        return self._last_event(pod, UNMOUNTED)

    def _last_event(self, pod: Pod, reason: str) -> str:
        path = f"/api/v1/namespaces/{self._namespace}/events"
        wanted = f"involvedObject.uid={pod.metadata.uid},reason={reason}"
        try:
            told = EventList.model_validate_json(self._connection.get(path, ("fieldSelector", wanted))).items
        except ApiError:
            return ""  # the service account may not read events
        newest = max(told, key=lambda event: event.metadata.resource_version.zfill(VERSION_DIGITS), default=None)
        return "" if newest is None else newest.message

    def start(self, attempt: AttemptId, stage: str) -> Pod:
        """Write down that the test starts, with the content of `stage` unless somebody was first.

        Raises: LaunchError if the attempt was given up.
        """
        for number in range(TRIES):
            known = None if number else self._watch.pod(names.pod_name(attempt))
            pod = known or self.find(attempt)
            if pod is None or _is_given_up(pod):
                raise gone()
            if pod_facts.stage(pod):
                return pod
            metadata = {"resourceVersion": pod.metadata.resource_version, "annotations": {names.STAGE: stage}}
            try:
                patched = self._connection.patch(self.path(attempt), {"metadata": metadata})
            except ApiError as refused:
                if refused.status != CONFLICT:
                    raise
            else:
                started = self._seen(patched, attempt)
                if started is not None:
                    return started
        raise UnavailableError("the pod changes too fast")

    def release(self, attempt: AttemptId, pod: Pod) -> None:
        """Let the init container end, so that the test starts. Harmless if it has, or does so meanwhile."""
        command = pod_paths.python(pod_paths.RELEASE, pod_facts.stage(pod))
        program = PodProgram(path=self.path(attempt), container=pod_paths.PREPARE, command=command)
        known: Pod | None = pod
        for left in reversed(range(RELEASES)):
            if known is None or not pod_facts.runs(known, pod_paths.PREPARE):
                return
            try:
                exec_stream.run(self._connection, program)
            except UnavailableError:
                if not left:
                    raise
                self._closing.wait(RELEASE_PAUSE)  # another worker may have let it end, and the kubelet not yet said so
                known = self.find(attempt)
            else:
                return

    def stop(self, attempt: AttemptId) -> None:
        """Ask the shim to end its test."""
        command = pod_paths.python(pod_paths.STOP)
        exec_stream.run(
            self._connection, PodProgram(path=self.path(attempt), container=pod_paths.TEST, command=command)
        )

    def discard(self, attempt: AttemptId) -> None:
        """Remove the pod of a launch that failed, unless somebody has started its test, or has given the attempt up."""
        for _ in range(TRIES):
            pod = self.find(attempt)
            if pod is None or pod_facts.stage(pod) or _is_given_up(pod):
                return
            try:
                metadata = {"resourceVersion": pod.metadata.resource_version, "finalizers": None}
                self._connection.patch(self.path(attempt), {"metadata": metadata})
                self._connection.delete(self.path(attempt), grace=0, uid=pod.metadata.uid)
            except ApiError as refused:
                if refused.status != CONFLICT:
                    raise
            else:
                self._remove_companions(pod)
                self._watch.forget(pod.metadata.name)
                return

    def give_up(self, attempt: AttemptId) -> Pod | None:
        """See to it that the pod ends and that no other takes its name. Return it, None if there never was one."""
        for _ in range(TRIES):
            pod = self.find(attempt)
            if pod is None:
                if self._take_name(attempt):
                    return None
                continue
            if not pod_facts.is_tombstone(pod) and pod.metadata.deletion_timestamp is None:
                grace = POD_GRACE_SECONDS if pod_facts.stage(pod) else 1
                ours = {"metadata": {"uid": pod.metadata.uid, "annotations": {names.ENDED: "1"}}}
                self._connection.patch(self.path(attempt), ours)
                self._connection.delete(self.path(attempt), grace=grace, uid=pod.metadata.uid)
                pod = self.find(attempt)
            if pod is not None:
                return pod
        raise UnavailableError("the pod changes too fast")

    def _take_name(self, attempt: AttemptId) -> bool:
        """Make a pod that never starts, so that no other has its name. Return whether no other is there.

        It is deleted at once and kept by its finalizer, so that it counts in no quota. If the cluster takes no pod of
        ours, for example since the namespace is missing, no other comes either.
        """
        try:
            made = self._connection.create(f"/api/v1/namespaces/{self._namespace}/pods", tombstone(attempt))
        except ApiError as refused:
            if refused.status not in {FORBIDDEN, NOT_FOUND, INVALID}:
                raise
            return True
        if made is None:
            return False
        self._connection.delete(self.path(attempt), grace=0, uid=Pod.model_validate_json(made).metadata.uid)
        return True

    def forget(self, attempt: AttemptId) -> None:
        """Remove an ended attempt: pod, Secret and policy. What takes the name of one that never started stays."""
        pod = self._watch.pod(names.pod_name(attempt)) or self.find(attempt)
        if pod is None or (pod_facts.is_tombstone(pod) and not self._is_old(pod)):
            return
        self._remove_companions(pod)
        if pod.metadata.deletion_timestamp is None:
            self._connection.delete(self.path(attempt), grace=1, uid=pod.metadata.uid)
        self._connection.patch(self.path(attempt), {"metadata": {"uid": pod.metadata.uid, "finalizers": None}})
        self._watch.forget(pod.metadata.name)

    def kept(self) -> list[AttemptId]:
        """Return the attempts that have a pod, in order. A pod that only takes a name counts after an hour.

        A pod without our finalizer was forgotten, and its object goes as soon as the kubelet is done with it.
        """
        pods = self.all()
        now = time.monotonic()
        stones = {pod.metadata.uid for pod in pods if pod_facts.is_tombstone(pod)}
        since = now - NAME_SECONDS if stones and self._is_going() else now
        self._named_since = {uid: min(since, self._named_since.get(uid, now)) for uid in stones}
        counted = (pod for pod in pods if self._is_old(pod) or _holds_results(pod))
        found = [names.attempt_of(pod.metadata) for pod in counted]
        known = [attempt for attempt in found if attempt is not None]
        return sorted(known, key=lambda attempt: (attempt.execution_id, attempt.number))

    def _is_going(self) -> bool:
        """Return whether the namespace is being removed: no pod can be made there, and ours would hold it up."""
        try:
            data = self._connection.find(f"/api/v1/namespaces/{self._namespace}")
        except ApiError:
            return False  # the service account may not read it
        return data is not None and ApiNamespace.model_validate_json(data).metadata.deletion_timestamp is not None

    def _is_old(self, pod: Pod) -> bool:
        """Return whether nobody can be about to start the attempt of this pod any more, which only takes its name."""
        now = time.monotonic()
        return now - self._named_since.get(pod.metadata.uid, now) >= NAME_SECONDS

    def secrets(self, attempt: AttemptId, wanted: Collection[str]) -> frozenset[str]:
        """Return the values that the test was given of these secrets."""
        data = self._connection.find(f"{self._secrets}/{names.pod_name(attempt)}") if wanted else None
        if data is None:
            return frozenset()
        given = SecretObject.model_validate_json(data).data
        return frozenset(_text(given[f"value.{name}"]) for name in wanted if f"value.{name}" in given)

    @property
    def _secrets(self) -> str:
        return f"/api/v1/namespaces/{self._namespace}/secrets"

    @property
    def _policies(self) -> str:
        return f"/apis/networking.k8s.io/v1/namespaces/{self._namespace}/networkpolicies"

    def _own(self, place: str, pod: Pod) -> None:
        """Let what a pod has besides itself go with it, however it goes."""
        owner = {"apiVersion": "v1", "kind": "Pod", "name": pod.metadata.name, "uid": pod.metadata.uid}
        self._connection.patch(f"{place}/{pod.metadata.name}", {"metadata": {"ownerReferences": [owner]}})

    def _remove_companions(self, pod: Pod) -> None:
        for place, mark in ((self._secrets, names.SECRETS), (self._policies, names.NETWORK)):
            if mark in pod.metadata.annotations or pod_facts.is_tombstone(pod):
                self._connection.delete(f"{place}/{pod.metadata.name}", grace=0)

    def _seen(self, data: bytes | None, attempt: AttemptId) -> Pod | None:
        if data is None:
            self._watch.forget(names.pod_name(attempt))
            return None
        pod = Pod.model_validate_json(data)
        self._watch.seen(pod)
        return pod


def _holds_results(pod: Pod) -> bool:
    return names.FINALIZER in pod.metadata.finalizers and not pod_facts.is_tombstone(pod)


def _is_given_up(pod: Pod) -> bool:
    return pod.metadata.deletion_timestamp is not None or pod_facts.is_tombstone(pod)


def gone() -> LaunchError:
    """Return the error of a launch whose attempt was given up."""
    return LaunchError(Fault.INFRASTRUCTURE, "this attempt was given up before it started")


def refusal(refused: ApiError) -> LaunchError | PlacementError:
    """Return whose fault it is that the API server does not take a pod. A quota may have room again soon."""
    if USED_UP in refused.message:
        return PlacementError((), f"the quota of the namespace has no room: {refused.message[:2000]}")
    of_request = refused.status == INVALID or any(sign in refused.message for sign in _OF_THE_REQUEST)
    return LaunchError(Fault.CONFIG if of_request else Fault.INFRASTRUCTURE, refused.message[:2000])


USED_UP = "exceeded quota"
_OF_THE_REQUEST = (
    "violates PodSecurity", "PriorityClass", "PreemptionPolicy", "RuntimeClass", "looking up service account",
    "usage per Container", "usage per Pod", "limit to request ratio", "failed quota", "denied the request",
    "denied request",
)  # fmt: skip
"""In the words of the API server: it refuses the pod for what its request names, and will refuse it again."""


def _text(data: str) -> str:
    try:
        return base64.b64decode(data).decode(errors="replace")
    except binascii.Error:
        return ""
