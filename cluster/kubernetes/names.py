"""The names of an attempt's objects in the cluster. They follow from the attempt, so any worker finds them."""

from uuid import UUID

from cluster.backend import AttemptId
from cluster.kubernetes.api_objects import Meta
from model.ids import ExecutionId, NodeName, RunId

DOMAIN = "assay.internal"
"""Prefix of our labels and annotations. The top-level domain `internal` is reserved for private use."""
EXECUTION = f"{DOMAIN}/execution"
ATTEMPT = f"{DOMAIN}/attempt"
MANAGED_BY = "app.kubernetes.io/managed-by"
OURS = {MANAGED_BY: "assay"}
SELECTOR = f"{MANAGED_BY}=assay"
FINALIZER = f"{DOMAIN}/results"
"""Keeps the pod object, and with it the end of the attempt, until the attempt is forgotten."""
STAGE = f"{DOMAIN}/stage"
"""The annotation that names the prepared folder with which the test starts. Empty: nobody has started it."""
SECRETS = f"{DOMAIN}/secrets"
"""The annotation of a pod that has a Secret of its own."""
NETWORK = f"{DOMAIN}/network"
"""The annotation of a pod that has a network policy of its own."""
COMMIT = f"{DOMAIN}/commit"
"""The annotation with the commit of git content."""
CLUSTER = f"{DOMAIN}/cluster"
"""The label that the gate sees on each node of a cluster, with its name. Nodes and pods do not carry it."""
ENDED = f"{DOMAIN}/ended"
"""The annotation of a pod that a worker has ended. Without it a deletion is an eviction, or by hand."""
GATE = f"{DOMAIN}/never-starts"
"""The scheduling gate of a pod that only takes the name, so that nobody can start the attempt."""


def pod_name(attempt: AttemptId) -> str:
    """Return the name of an attempt's pod, which is also that of its Secret."""
    return f"assay-{attempt.execution_id.hex}-{attempt.number}"


def labels(attempt: AttemptId) -> dict[str, str]:
    """Return the labels of all objects of an attempt."""
    return {**OURS, EXECUTION: str(attempt.execution_id), ATTEMPT: str(attempt.number)}


def attempt_of(meta: Meta) -> AttemptId | None:
    """Return the attempt that an object belongs to, None if its labels are not ours."""
    try:
        execution = ExecutionId(RunId(UUID(meta.labels[EXECUTION])))
        return AttemptId(execution_id=execution, number=int(meta.labels[ATTEMPT]))
    except (KeyError, ValueError):
        return None


def gate_node(node: str, cluster: str) -> NodeName:
    """Return the name under which the gate knows a node: two clusters may have nodes of the same name."""
    return NodeName(f"{node}.{cluster}")


def cluster_node(node: NodeName, cluster: str) -> str:
    """Return the name of a node inside its cluster."""
    return node.removesuffix(f".{cluster}")
