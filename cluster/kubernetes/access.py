"""How a row says to reach a cluster, in the words of the connection."""

from pathlib import Path

from cluster.kubernetes.connection import ClusterAccess

FILE = "file:"


def access_of(name: str, namespace: str, image: str, kubeconfig: str | None, context: str | None) -> ClusterAccess:
    """Return how to reach a cluster. `kubeconfig` is a reference, None inside of the cluster."""
    path = None if kubeconfig is None else Path(kubeconfig.removeprefix(FILE))
    return ClusterAccess(name=name, namespace=namespace, image=image, kubeconfig=path, context=context or None)
