"""What became of a pod, by what the API server says about it."""

import json
from typing import Any

import pytest

from cluster.backend import Fault
from cluster.kubernetes import pod_facts
from cluster.kubernetes.api_objects import Pod
from model.ending import How

RECORD = {
    "exit_code": 3,
    "signal": None,
    "reason": "exited",
    "started_at": 100.0,
    "ended_at": 101.5,
    "cpu_seconds": 0.5,
    "peak_cpu_milli": 900,
    "peak_memory_bytes": 4096,
}


def ended(code: int, message: str = "", reason: str = "Error") -> dict[str, Any]:
    return {"terminated": {"exitCode": code, "message": message, "reason": reason}}


def waiting(reason: str, message: str = "") -> dict[str, Any]:
    return {"waiting": {"reason": reason, "message": message}}


RUNNING: dict[str, Any] = {"running": {"startedAt": "2026-11-29T00:00:00Z"}}


def pod(test: Any = None, prepare: Any = None, *, stage: str = "/assay/1", **more: Any) -> Pod:
    """Return a bound pod with the states of its containers; `more` are fields of its status and metadata."""
    metadata = {"name": "p", "annotations": {"assay.internal/stage": stage}} | more.pop("metadata", {})
    status: dict[str, Any] = {"phase": "Running", "containerStatuses": [], "initContainerStatuses": []} | more
    if test is not None:
        status["containerStatuses"] = [{"name": "test", "state": test}, {"name": "keeper", "state": RUNNING}]
    if prepare is not None:
        status["initContainerStatuses"] = [{"name": "prepare", "state": prepare}]
    return Pod.model_validate({"metadata": metadata, "spec": {"nodeName": "n"}, "status": status})


def test_the_end_is_what_the_shim_wrote() -> None:
    ending = pod_facts.ending_of(pod(ended(3, json.dumps(RECORD))))

    assert ending is not None
    assert ending.used is not None
    assert (ending.how, ending.exit_code, ending.used.seconds) == (How.EXITED, 3, 1.5)


@pytest.mark.parametrize(
    ("record", "code"),
    [
        (RECORD | {"exit_code": 0}, 3),
        (RECORD | {"exit_code": 0}, 137),
        (RECORD | {"exit_code": None, "signal": 9}, 1),
        (RECORD | {"reason": "fine"}, 3),
        (RECORD | {"started_at": 1e300}, 3),
        (RECORD | {"started_at": "now"}, 3),
        ({"exit_code": 3}, 3),
        ([], 3),
    ],
    ids=["another code", "killed", "another signal", "no such end", "no such time", "no time", "half", "a list"],
)
def test_a_record_that_the_container_contradicts_is_not_believed(record: Any, code: int) -> None:
    """A test can write into the termination log, and cannot choose how the first process of its container ends."""
    ending = pod_facts.ending_of(pod(ended(code, json.dumps(record))))

    assert ending is not None
    assert (ending.how, ending.exit_code, ending.used) == (How.LOST, None, None)


OWN_DISK = "Pod ephemeral local storage usage exceeds the total limit of containers 1Gi."


def disrupted(reason: str) -> list[dict[str, str]]:
    return [{"type": "DisruptionTarget", "status": "True", "reason": reason}]


@pytest.mark.parametrize(
    ("facts", "how", "words"),
    [
        (pod(ended(137, reason="OOMKilled")), How.OOM, "kernel"),
        (pod(ended(128, "no python3", "StartError")), How.START_ERROR, "no python3"),
        (pod(ended(137)), How.LOST, "killed from outside"),
        (pod(ended(137), phase="Failed", reason="Evicted", message="low on disk"), How.EVICTED, "Evicted: low on disk"),
        (pod(ended(137), phase="Failed", reason="Evicted", message=OWN_DISK), How.NO_DISK, "local storage usage"),
        (pod(ended(137), phase="Failed", reason="Terminated", message="shutdown"), How.EVICTED, "shutdown"),
        (pod(ended(143), phase="Failed", reason="DeadlineExceeded"), How.TIMEOUT, "deadline"),
        (pod(phase="Failed", reason="NodeLost", message="gone"), How.NODE_LOST, "NodeLost: gone"),
        (pod(ended(137), phase="Failed", conditions=disrupted("DeletionByTaintManager")), How.NODE_LOST, "Taint"),
        (pod(ended(137), phase="Failed", conditions=disrupted("DeletionByPodGC")), How.NODE_LOST, "PodGC"),
        (pod(ended(137), phase="Failed", conditions=disrupted("TerminationByKubelet")), How.EVICTED, "Kubelet"),
        (pod(waiting("CreateContainerConfigError", "no secret")), How.START_ERROR, "no secret"),
        (pod(ended(137), phase="Failed", conditions=disrupted("PreemptionByScheduler")), How.EVICTED, "Preemption"),
    ],
    ids=[
        "memory",
        "no start",
        "killed",
        "evicted",
        "own disk",
        "node shut down",
        "deadline",
        "node",
        "taint",
        "node removed",
        "node pressure",
        "wrong pod",
        "preempted",
    ],
)
def test_without_a_record_the_reasons_decide(facts: Pod, how: How, words: str) -> None:
    ending = pod_facts.ending_of(facts)

    assert ending is not None
    assert ending.how is how
    assert words in ending.detail


DELETED = {"deletionTimestamp": "2026-11-29T00:00:00Z"}


@pytest.mark.parametrize(
    ("metadata", "conditions", "how", "words"),
    [
        ({}, [], How.STOPPED, ""),
        (DELETED | {"annotations": {"assay.internal/ended": "1"}}, [], How.STOPPED, ""),
        (DELETED, disrupted("EvictionByEvictionAPI"), How.EVICTED, "EvictionByEvictionAPI"),
        (DELETED, [], How.LOST, "deleted by somebody else"),
    ],
    ids=["stopped", "ended", "evicted", "deleted by hand"],
)
def test_a_test_that_was_stopped_by_the_removal_of_its_pod_was_not_cancelled(
    metadata: dict[str, Any], conditions: Any, how: How, words: str
) -> None:
    """A drained node stops it by the same signal as a cancel. It is tried again, unless a worker has ended it."""
    record = RECORD | {"reason": "stopped", "exit_code": None, "signal": 15}
    facts = pod(ended(143, json.dumps(record)), metadata=metadata, conditions=conditions)

    ending = pod_facts.ending_of(facts)

    assert ending is not None
    assert ending.how is how
    assert words in ending.detail


@pytest.mark.parametrize(
    "facts",
    [pod(RUNNING), pod(waiting("PodInitializing"), RUNNING, stage=""), pod(waiting("ContainerCreating"))],
    ids=["runs", "prepared", "about to start"],
)
def test_what_may_still_run_has_not_ended(facts: Pod) -> None:
    assert pod_facts.ending_of(facts) is None
    assert pod_facts.may_need_end(facts)


def test_a_pod_whose_end_is_recorded_needs_no_end_and_one_without_a_record_does() -> None:
    """The latter's keeper is alive, and nobody has seen how it ended."""
    assert not pod_facts.may_need_end(pod(ended(3, json.dumps(RECORD))))
    assert pod_facts.may_need_end(pod(ended(137)))


def test_a_pod_is_dead_only_if_the_kubelet_says_so() -> None:
    """The garbage collector marks pods of a lost node as failed, though their containers may run."""
    assert not pod_facts.is_dead(pod(RUNNING, phase="Failed"))
    assert pod_facts.is_dead(
        Pod.model_validate({"metadata": {}, "spec": {"nodeName": "n"}, "status": {"phase": "Failed"}})
    )


def test_a_tombstone_is_dead_and_was_never_started() -> None:
    facts = Pod.model_validate({"metadata": {}, "spec": {"schedulingGates": [{"name": "assay.internal/never-starts"}]}})

    assert (pod_facts.is_dead(facts), pod_facts.stage(facts)) == (True, "")
    assert not pod_facts.may_need_end(facts)


@pytest.mark.parametrize(
    ("reason", "message", "fault"),
    [
        ("ErrImagePull", 'failed to resolve: "a/b:1": not found', Fault.IMAGE),
        ("ErrImagePull", "pull access denied, repository does not exist or may require authorization", Fault.IMAGE),
        ("ImagePullBackOff", "dial tcp: lookup registry.example: no such host", Fault.INFRASTRUCTURE),
        ("ErrImagePull", "received unexpected HTTP status: 503 Service Unavailable", Fault.INFRASTRUCTURE),
        ("ErrImageNeverPull", "not present", Fault.IMAGE),
        ("InvalidImageName", "", Fault.IMAGE),
        ("CreateContainerConfigError", 'secret "a" not found', Fault.CONFIG),
    ],
)
def test_it_is_told_who_must_act_when_a_container_does_not_start(reason: str, message: str, fault: Fault) -> None:
    problem = pod_facts.launch_problem(pod(prepare=waiting(reason, message), stage=""))

    assert problem is not None
    assert problem[0] is fault
    assert message in problem[1]


def test_an_image_that_cannot_be_pulled_is_named() -> None:
    facts = Pod.model_validate(
        {
            "metadata": {},
            "spec": {"initContainers": [{"name": "prepare", "image": "registry.example/shop:7"}]},
            "status": {"initContainerStatuses": [{"name": "prepare", "state": waiting("ErrImagePull", "not found")}]},
        }
    )

    assert "registry.example/shop:7" in str(pod_facts.launch_problem(facts))


def test_a_pod_that_is_on_its_way_has_no_problem() -> None:
    assert pod_facts.launch_problem(pod(prepare=waiting("PodInitializing"), stage="", phase="Pending")) is None


@pytest.mark.parametrize(
    ("facts", "fault"),
    [
        (pod(prepare=ended(128, "exec: python3: not found", "StartError"), stage="", phase="Failed"), Fault.CONFIG),
        (pod(stage="", metadata=DELETED), Fault.INFRASTRUCTURE),
        (pod(stage="", metadata=DELETED, conditions=disrupted("EvictionByEvictionAPI")), Fault.EVICTED),
        (pod(stage="", phase="Failed", conditions=disrupted("DeletionByPodGC")), Fault.NODE_LOST),
        (pod(stage="", phase="Failed", reason="Evicted", message=OWN_DISK), Fault.CONFIG),
    ],
    ids=["no python", "deleted", "evicted", "node lost", "no disk"],
)
def test_a_pod_that_failed_early_says_whose_fault_it_is(facts: Pod, fault: Fault) -> None:
    problem = pod_facts.launch_problem(facts)

    assert problem is not None
    assert problem[0] is fault


def test_why_a_pod_is_not_placed_is_told_in_the_words_of_kube_scheduler() -> None:
    condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/1 nodes"}

    assert pod_facts.unschedulable(pod(conditions=[condition])) == "Unschedulable: 0/1 nodes"
    assert pod_facts.unschedulable(pod()) == ""


@pytest.mark.parametrize("reason", ["OutOfcpu", "OutOfmemory", "OutOfpods", "NodeAffinity", "NodePorts"])
def test_a_kubelet_that_refuses_a_pod_is_told_apart_from_a_failure(reason: str) -> None:
    refused = pod(stage="", phase="Failed", reason=reason, message="Pod was rejected")

    assert pod_facts.refused_by_node(refused) == f"{reason}: Pod was rejected"
    assert pod_facts.refused_by_node(pod(stage="/assay/1", phase="Failed", reason=reason)) == ""
    assert pod_facts.refused_by_node(pod(stage="", phase="Failed", reason="Evicted")) == ""


@pytest.mark.parametrize(
    "words",
    [
        'MountVolume.SetUp failed for volume "v" : configmap "nope" not found',
        'MountVolume.SetUp failed for volume "v" : secret "nope" not found',
        '0/1 nodes are available: persistentvolumeclaim "nope" not found. not found',
    ],
)
def test_a_volume_whose_object_is_missing_is_for_who_named_it(words: str) -> None:
    fault, detail = pod_facts.missing_volume(words) or (None, "")

    assert fault is Fault.CONFIG
    assert detail.endswith('"nope" not found')


@pytest.mark.parametrize(
    "words",
    [
        "",
        "0/1 nodes are available: 1 Insufficient cpu.",
        "0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims.",
        'MountVolume.SetUp failed for volume "v" : object "tests"/"kube-root-ca.crt" not registered',
        'MountVolume.SetUp failed for volume "v" : failed to sync configmap cache: timed out waiting for the condition',
    ],
)
def test_a_volume_that_may_still_come_is_waited_for(words: str) -> None:
    assert pod_facts.missing_volume(words) is None
