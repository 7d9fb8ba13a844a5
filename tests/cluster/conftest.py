"""Tests on a real cluster: the whole stack, with a worker that serves it. Without a cluster each test says so."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from harness import cluster_namespaces
from harness.beds.kubernetes import Bed
from harness.cluster_namespaces import NAME, SERVING, ServedCluster
from harness.stack import Stack

from cluster.kubernetes.connection import Connection


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedCluster]:
    """One stack for all tests: it starts once."""
    access, node = cluster_namespaces.usable()
    access = cluster_namespaces.make(access)
    running = Stack(Path(tmp_path_factory.mktemp("stack")))
    try:
        running.start(workers=())
        body = {"namespace": access.namespace, "image": access.image, "kubeconfig": f"file:{access.kubeconfig}"}
        assert running.rest("PUT", f"/clusters/{NAME}", json=body).status_code == 200
        running.start_worker("worker-1", **SERVING)
        host = {"kubernetes.io/hostname": node.removesuffix(f".{NAME}")}
        yield ServedCluster(stack=running, access=access, node=str(node), host=host)
    finally:
        running.remove()
        connection = Connection(access)
        cluster_namespaces.remove(connection)
        connection.close()


@pytest.fixture
def bed(tmp_path: Path) -> Iterator[Bed]:
    """A namespace of the test's own, with the ways to run tests in it. A test may change how it is reached."""
    made = Bed(tmp_path)
    whole = made.access
    yield made
    made.access = whole
    made.close()
