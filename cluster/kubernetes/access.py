"""How to reach a cluster, in the words of the connection."""

from pathlib import Path

from cluster.backend_factory import ClusterSettings
from cluster.kubernetes.connection import ClusterAccess

FILE = "file:"


def access_of(wanted: ClusterSettings) -> ClusterAccess:
    """Return how to reach a cluster."""
    path = None if wanted.kubeconfig is None else Path(wanted.kubeconfig.removeprefix(FILE))
    return ClusterAccess(
        name=wanted.name,
        namespace=wanted.namespace,
        image=wanted.image,
        kubeconfig=path,
        context=wanted.context or None,
        gpu=wanted.gpu,
        policy=wanted.policy,
        network_required=wanted.network_required,
    )
