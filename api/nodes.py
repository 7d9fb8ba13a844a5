"""GET /nodes: the nodes of a pool, and what admitted runs hold of them."""

from fastapi import APIRouter

from api import openapi, operations_schemas, shapes
from api.parameters import PoolQuery
from api.services import Here
from model.ids import PoolName
from orchestrator import listing

router = APIRouter(tags=["nodes"])


@router.get("/nodes", summary="The nodes of a pool", responses=openapi.refusals(status_404="No such pool"))
async def nodes(services: Here, pool: PoolQuery = "default") -> operations_schemas.NodeList:
    """List the nodes, what they have, and what admitted runs hold of it."""
    found = await services.database.run(lambda conn: listing.nodes(conn, PoolName(pool)))
    return operations_schemas.NodeList(pool=pool, nodes=[shapes.node(node, held) for node, held in found])
