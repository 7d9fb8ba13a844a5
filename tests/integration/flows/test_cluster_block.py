"""A row of a cluster that is written from a Prefect block. The type of the block is there as soon as the stack is."""

from typing import Any

from harness.stack import Stack

BLOCK = {
    "namespace": "tests-of-lab",
    "image": "python:3.12",
    "kubeconfig": "file:/etc/assay/kubeconfig",
    "priority_classes": ["tests-low"],
    "network_required": True,
}


def make_block(stack: Stack, name: str, data: dict[str, Any]) -> None:
    """Make a block as Prefect's pages do it."""
    kind = stack.prefect("GET", "/block_types/slug/assay-kubernetes-cluster")
    wanted = {"block_schemas": {"block_type_id": {"any_": [kind["id"]]}}}
    schemas = stack.prefect("POST", "/block_schemas/filter", json=wanted)
    body = {"name": name, "data": data, "block_type_id": kind["id"], "block_schema_id": schemas[0]["id"]}
    stack.prefect("POST", "/block_documents/", json=body)


def test_a_cluster_is_imported_from_a_block(stack: Stack) -> None:
    make_block(stack, "lab", BLOCK)

    done = stack.assay("cluster", "import", "lab", "--name", "lab-of-block")
    rows = {row["name"]: row for row in stack.rest("GET", "/clusters").json()["clusters"]}
    stack.rest("DELETE", "/clusters/lab-of-block")

    assert done.returncode == 0, done.stderr
    row = rows["lab-of-block"]
    assert (row["namespace"], row["kubeconfig"]) == ("tests-of-lab", "file:/etc/assay/kubeconfig")
    assert (row["priorityClasses"], row["networkRequired"], row["gpu"]) == (["tests-low"], True, "nvidia.com/gpu")


def test_a_block_that_is_not_there_says_what_to_do(stack: Stack) -> None:
    done = stack.assay("cluster", "import", "none")

    assert done.returncode != 0
    assert "no block assay-kubernetes-cluster/none" in done.stderr
