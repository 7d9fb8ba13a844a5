"""Why a pod was ended that no worker has ended: pure functions of what the API server says about it.

Source: https://kubernetes.io/docs/concepts/workloads/pods/disruptions/#pod-disruption-conditions
"""

from cluster.kubernetes import names
from cluster.kubernetes.api_objects import Condition, Pod
from model.ending import How

LONGEST_WORDS = 1000
_LOST = frozenset({"NodeLost", "DeletionByPodGC", "DeletionByTaintManager"})
"""The taint manager mostly ends pods whose node does not answer. Its words do not say which taint it was."""
_TAKEN = frozenset(
    {"Evicted", "Preempting", "Shutdown", "NodeShutdown", "Terminated", "EvictionByEvictionAPI", "TerminationByKubelet",
     "PreemptionByScheduler", "PreemptionByKubeScheduler"}
)  # fmt: skip
"""Reasons of a pod, and of its condition DisruptionTarget."""
_OWN_DISK = ("exceeds the total limit of containers", "exceeds the limit", "exceeded its local ephemeral storage limit")
"""In the words of the kubelet: the pod has used more disk than its own limit. Another node would end it, too."""


def cause_of(pod: Pod) -> tuple[How, str]:
    """Return what ended a pod from outside, and in which words it was told; LOST and no words where nothing was."""
    condition = _condition(pod)
    told = words_of(pod.status.reason, pod.status.message) or words_of(condition.reason, condition.message)
    text = f"{pod.status.message} {condition.message}"
    reasons = {pod.status.reason, condition.reason}
    if "Evicted" in reasons and any(sign in text for sign in _OWN_DISK):
        return How.NO_DISK, told
    if reasons & _LOST:
        return How.NODE_LOST, told
    if reasons & _TAKEN:
        return How.EVICTED, told
    return How.LOST, told or ("its pod was deleted by somebody else" if is_disrupted(pod) else "")


def is_disrupted(pod: Pod) -> bool:
    """Return whether the pod was deleted, and not by a worker: evicted, preempted, or deleted by hand."""
    return pod.metadata.deletion_timestamp is not None and names.ENDED not in pod.metadata.annotations


def words_of(reason: str, message: str) -> str:
    """Return a reason with its message, as far as there is any."""
    return ": ".join(filter(None, (reason, message[:LONGEST_WORDS])))


def _condition(pod: Pod) -> Condition:
    """Return the condition that tells why the pod was or will be removed."""
    for condition in pod.status.conditions:
        if condition.type == "DisruptionTarget" and condition.status == "True":
            return condition
    return Condition(type="DisruptionTarget", status="False")
