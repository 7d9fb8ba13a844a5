"""Kubernetes clusters: how workers reach them, and what they lack. No credential passes through here."""

import asyncio
from typing import Annotated

from fastapi import APIRouter, Path
from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from api import openapi
from api.services import ServicesDep
from cluster.backend_factory import ClusterSettings
from db import clusters as rows
from db.clusters import ClusterRow
from orchestrator import clusters

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


class ClusterOut(ClusterIn):
    """A cluster."""

    model_config = OUT

    name: Annotated[str, Field(description="Its name; its backend is kubernetes/NAME")]


class ClusterList(BaseModel):
    """All clusters, by name."""

    model_config = OUT

    clusters: list[ClusterOut]


class FindingOut(BaseModel):
    """One thing that was looked at in a cluster."""

    model_config = OUT

    what: Annotated[str, Field(description="connection, namespace, policy, permission or nodes")]
    fine: Annotated[bool, Field(description="Whether it is as it has to be")]
    words: Annotated[str, Field(description="What was found, or what has to be done")]


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
    return ClusterList(clusters=[ClusterOut.model_validate(row) for row in found])


@router.put("/clusters/{name}", summary="Add or change a cluster")
async def set_cluster(name: ClusterName, cluster: ClusterIn, services: ServicesDep) -> ClusterOut:
    """Create or change a cluster. Workers that serve it read it at their start."""
    row = ClusterRow(name=name, **cluster.model_dump())
    await services.database.run(lambda conn: clusters.put(conn, row))
    return ClusterOut.model_validate(row)


@router.delete(
    "/clusters/{name}",
    summary="Remove a cluster",
    status_code=204,
    responses=openapi.refusals(status_404="No such cluster"),
)
async def remove_cluster(name: ClusterName, services: ServicesDep) -> None:
    """Remove a cluster. Workers that serve it go on until they are started anew."""
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

    wanted = ClusterSettings(
        name=row.name, namespace=row.namespace, image=row.image, kubeconfig=row.kubeconfig, context=row.context
    )
    found = await asyncio.to_thread(check, wanted)
    findings = [FindingOut.model_validate(one) for one in found]
    return ClusterChecked(name=name, fine=all(one.fine for one in findings), findings=findings)
