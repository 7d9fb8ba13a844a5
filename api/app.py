"""Build the application: its routes, its stores and its middleware."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from fastapi import APIRouter, Depends, FastAPI
from fastapi.responses import HTMLResponse

from api import (
    chaos,
    chaos_approvals,
    chaos_connections,
    chaos_score,
    chaos_switch,
    clusters,
    content,
    deployments,
    execution_list,
    executions,
    explanation,
    forecasts,
    limits,
    logs,
    members,
    nodes,
    openapi,
    outcomes,
    pages,
    problems,
    queue,
    runs,
    secrets,
    statistics,
    suites,
    system,
    team_rules,
    user_keys,
)
from api.auth import administers, authenticate
from api.guard import Guard
from api.services import GatePasses, Services
from api.settings import Settings
from cluster.artifacts import ArtifactStore
from cluster.contents import ContentStore
from cluster.logs import LogStore
from db.engine import Database

PREFIX = "/api/v1"
ROUTERS = (
    executions,
    execution_list,
    explanation,
    logs,
    outcomes,
    suites,
    runs,
    queue,
    nodes,
    statistics,
    forecasts,
    limits,
    members,
    secrets,
    clusters,
    content,
    deployments,
    chaos,
    chaos_connections,
    chaos_score,
    chaos_switch,
    chaos_approvals,
    team_rules,
    user_keys,
)
ADMINISTRATION = (nodes, limits, members, secrets, clusters, deployments, chaos_connections, team_rules, user_keys)
"""Where only the key of the installation changes something."""


def create_app(settings: Settings) -> FastAPI:
    """Build the application. It connects to the database at the first query and disconnects at shutdown."""
    app = FastAPI(
        title="Test Orchestration API",
        version="1.0.0",
        description="Runs tests through one fair queue that explains its decisions.",
        lifespan=_lifespan(settings),
        separate_input_output_schemas=False,
        strict_content_type=False,
        docs_url=None,
        redoc_url=None,
    )
    app.include_router(system.router)
    guarded = APIRouter(prefix=PREFIX, dependencies=[Depends(authenticate)])
    for module in ROUTERS:
        only = [Depends(administers)] if module in ADMINISTRATION else []
        guarded.include_router(module.router, dependencies=only)
    app.include_router(guarded)
    app.add_api_route("/", _front_page, include_in_schema=False, response_class=HTMLResponse)
    problems.install(app)
    openapi.install(app)
    pages.install(app)
    app.add_middleware(
        Guard,
        allowed_hosts=frozenset(settings.allowed_hosts),
        body_limit=settings.body_limit,
        content_limit=settings.content_limit,
    )
    return app


def _lifespan(settings: Settings) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        database = Database(settings.database_url, size=settings.pool_size)
        gate_passes = GatePasses(database)
        app.state.services = Services(
            settings=settings,
            database=database,
            logs=LogStore(settings.state / "logs"),
            artifacts=ArtifactStore(settings.state / "artifacts"),
            contents=ContentStore(settings.state / "content"),
            gate_passes=gate_passes,
        )
        try:
            yield
        finally:
            gate_passes.close()
            database.close()

    return lifespan


async def _front_page() -> str:
    return (
        '<!doctype html><meta charset="utf-8"><title>Assay</title>'
        '<h1>Assay</h1><ul><li><a href="/docs">API console</a><li><a href="/redoc">API reference</a>'
        '<li><a href="/openapi.json">OpenAPI document</a><li><a href="/health">Health</a></ul>'
    )
