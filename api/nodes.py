"""GET /nodes: the nodes of a pool, and the amounts that admitted runs hold."""

from fastapi import APIRouter

from api import openapi, operations_schemas, responses
from api.parameters import PoolQuery
from api.services import ServicesDep
from model.ids import PoolName
from orchestrator import listing

router = APIRouter(tags=["nodes"])


@router.get("/nodes", summary="List the nodes of a pool", responses=openapi.refusals(status_404="No such pool"))
async def nodes(services: ServicesDep, pool: PoolQuery = "default") -> operations_schemas.NodeList:
    """Return the nodes with their capacity, and the amounts of it that admitted runs hold."""
    found = await services.database.run(lambda conn: listing.nodes(conn, PoolName(pool)))
    return operations_schemas.NodeList(pool=pool, nodes=[responses.node(node, held) for node, held in found])
