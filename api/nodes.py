"""The nodes of a pool: what admitted runs hold of them, which have a live worker, and removing one for good."""

from typing import Annotated

from fastapi import APIRouter, Path

from api import openapi, operations_schemas, responses
from api.parameters import PoolQuery
from api.services import ServicesDep
from model.ids import NodeName, PoolName
from orchestrator import listing, lost_nodes

router = APIRouter(tags=["nodes"])
NodeText = Annotated[str, Path(max_length=255, description="The name of the node")]


@router.get("/nodes", summary="List the nodes of a pool", responses=openapi.refusals(status_404="No such pool"))
async def nodes(services: ServicesDep, pool: PoolQuery = "default") -> operations_schemas.NodeList:
    """Return the nodes with their capacity, and the amounts of it that admitted runs hold."""
    found = await services.database.run(lambda conn: listing.nodes(conn, PoolName(pool)))
    return operations_schemas.NodeList(pool=pool, nodes=[responses.node(node) for node in found])


@router.delete(
    "/nodes/{name}",
    summary="Remove a node that does not come back",
    responses=openapi.refusals(status_404="No such pool or node", status_409="A live worker serves the node"),
)
async def forget_node(
    name: NodeText, services: ServicesDep, pool: PoolQuery = "default"
) -> operations_schemas.NodeForgotten:
    """Remove a node without a live worker, and try its runs elsewhere, also those with exclusive names.

    Do this only when you know that nothing of these runs is alive any more: they may be started again at once.
    """
    given_up = await services.database.run(lambda conn: lost_nodes.forget(conn, PoolName(pool), NodeName(name)))
    services.gate_passes.request(PoolName(pool))
    return operations_schemas.NodeForgotten(node=name, pool=pool, runs_given_up=given_up)
