"""Kubernetes clusters: how workers reach them, and what they lack. No credential passes through here."""

import asyncio
from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Path
from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from api import openapi
from api.services import ServicesDep
from db import clusters as rows
from db import workers
from db.clusters import ClusterRow
from model.ids import WorkerId, backend_of_cluster
from model.pod_policy import PodPolicy
from model.resources import DEFAULT_GPU
from orchestrator import clusters
from orchestrator.cluster_settings import settings_of

router = APIRouter(tags=["clusters"])
ClusterName = Annotated[str, Path(max_length=63, description="The name of the cluster", examples=["prod"])]
OUT = ConfigDict(frozen=True, from_attributes=True, alias_generator=to_camel, populate_by_name=True)


class ClusterIn(BaseModel):
    """How to reach a cluster, and what to use of it."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, alias_generator=to_camel, populate_by_name=True)

    namespace: Annotated[str, Field(max_length=63, description="The namespace of the pods", examples=["assay-tests"])]
    image: Annotated[
        str,
        Field(
            max_length=500,
            description="The image in which tests run; it has Python 3.10 or newer, and pip",
            examples=["docker.io/library/python:3.12"],
        ),
    ]
    kubeconfig: Annotated[
        str | None,
        Field(
            max_length=1000,
            description="file:/path, as the worker sees it; without it the worker runs inside of the cluster",
            examples=["file:/etc/assay/kubeconfig"],
        ),
    ] = None
    context: Annotated[str | None, Field(max_length=253, description="A context of the kubeconfig")] = None
    labels: Annotated[dict[str, str], Field(max_length=50, description="What people call it by", examples=[{}])] = (
        Field(default_factory=dict)
    )
    gpu: Annotated[
        str, Field(max_length=253, description="The name of the resource that a GPU is", examples=["amd.com/gpu"])
    ] = DEFAULT_GPU
    priority_classes: Annotated[
        list[str], Field(max_length=50, description="Priority classes that a test may name", examples=[["tests-low"]])
    ] = Field(default_factory=list)
    runtime_classes: Annotated[
        list[str], Field(max_length=50, description="Runtime classes that a test may name", examples=[["gvisor"]])
    ] = Field(default_factory=list)
    control_plane: Annotated[
        bool, Field(description="Whether a test may tolerate the taints of the control plane's nodes")
    ] = False
    network_required: Annotated[
        bool, Field(description="Whether no test starts unless the cluster enforces network policies")
    ] = False

    def row(self, name: str) -> ClusterRow:
        """Return it as a row of the table."""
        plain = self.model_dump(exclude={"priority_classes", "runtime_classes", "control_plane"})
        policy = PodPolicy(
            priority_classes=frozenset(self.priority_classes),
            runtime_classes=frozenset(self.runtime_classes),
            control_plane=self.control_plane,
        )
        return ClusterRow(name=name, policy=policy, **plain)


class ClusterOut(ClusterIn):
    """A cluster."""

    model_config = OUT

    name: Annotated[str, Field(description="Its name; its backend is kubernetes/NAME")]

    @classmethod
    def of(cls, row: ClusterRow) -> "ClusterOut":
        """Return a row as the API shows it."""
        policy = row.policy
        return cls(
            name=row.name,
            namespace=row.namespace,
            image=row.image,
            kubeconfig=row.kubeconfig,
            context=row.context,
            labels=dict(row.labels),
            gpu=row.gpu,
            priority_classes=sorted(policy.priority_classes),
            runtime_classes=sorted(policy.runtime_classes),
            control_plane=policy.control_plane,
            network_required=row.network_required,
        )


class ClusterList(BaseModel):
    """All clusters, by name."""

    model_config = OUT

    clusters: list[ClusterOut]


class FindingOut(BaseModel):
    """One thing that was looked at in a cluster."""

    model_config = OUT

    what: Annotated[
        str, Field(description="connection, namespace, policy, permission, nodes, image, network or worker")
    ]
    fine: Annotated[bool, Field(description="Whether it is as it has to be")]
    words: Annotated[str, Field(description="What was found, or what has to be done")]

    @classmethod
    def of_workers(cls, cluster: str, workers: Sequence[WorkerId]) -> "FindingOut":
        """Return which workers serve a cluster; without one no test starts there."""
        words = f"served by {', '.join(workers)}"
        if not workers:
            words = f"no worker serves it: start one with ASSAY_CLUSTERS={cluster}, and see its log for why it does not"
        return cls(what="worker", fine=bool(workers), words=words)


class ClusterChecked(BaseModel):
    """What a cluster has and lacks."""

    model_config = OUT

    name: str
    fine: Annotated[bool, Field(description="Whether tests can run there")]
    findings: list[FindingOut]


@router.get("/clusters", summary="List the clusters")
async def list_clusters(services: ServicesDep) -> ClusterList:
    """Return all clusters, by name."""
    found = await services.database.run(rows.read)
    return ClusterList(clusters=[ClusterOut.of(row) for row in found])


@router.put("/clusters/{name}", summary="Add or change a cluster")
async def set_cluster(name: ClusterName, cluster: ClusterIn, services: ServicesDep) -> ClusterOut:
    """Create or change a cluster. Workers serve it within seconds, a changed one once they run nothing."""
    row = cluster.row(name)
    await services.database.run(lambda conn: clusters.put(conn, row))
    return ClusterOut.of(row)


@router.delete(
    "/clusters/{name}",
    summary="Remove a cluster",
    status_code=204,
    responses=openapi.refusals(status_404="No such cluster"),
)
async def remove_cluster(name: ClusterName, services: ServicesDep) -> None:
    """Remove a cluster. Workers that serve it stop to do so once they run nothing."""
    await services.database.run(lambda conn: rows.remove(conn, name))


@router.post(
    "/clusters/{name}/check",
    summary="Check whether tests can run in a cluster",
    responses=openapi.refusals(status_404="No such cluster"),
)
async def check_cluster(name: ClusterName, services: ServicesDep) -> ClusterChecked:
    """Ask the cluster itself, as the machine of the API reaches it. What is missing is told with how to get it."""
    row = await services.database.run(lambda conn: rows.find(conn, name))
    from cluster.kubernetes.check import check_cluster as check  # noqa: PLC0415  the client costs 15 MB of memory

    found = await asyncio.to_thread(check, settings_of(row))
    served = await services.database.run(lambda conn: workers.servers(conn, backend_of_cluster(name)))
    findings = [*(FindingOut.model_validate(one) for one in found), FindingOut.of_workers(name, served)]
    return ClusterChecked(name=name, fine=all(one.fine for one in findings), findings=findings)
