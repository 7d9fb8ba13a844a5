"""Makes Prefect know our flows: the work pool, the deployments of prefect.yaml, and those of suite files.

`python -m flows.deploying` does all that `assay up` needs; it changes nothing that is already right.
"""

import asyncio
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import yaml
from prefect.client.orchestration import PrefectClient, get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.client.schemas.responses import DeploymentResponse
from prefect.exceptions import ObjectAlreadyExists, ObjectNotFound
from prefect.utilities.callables import parameter_schema

from flows import schedules
from flows.kinds import FLOWS, KindOfFlow
from flows.settings import WORK_POOL
from flows.worker import AssayWorker
from model.runs import RunKind
from model.suite import Suite

PROJECT = Path("prefect.yaml")


async def ensure_pool(client: PrefectClient) -> None:
    """Make the work pool of our worker type where it is missing."""
    try:
        await client.read_work_pool(WORK_POOL)
    except ObjectNotFound:
        template = AssayWorker.get_default_base_job_template()
        wanted = WorkPoolCreate(name=WORK_POOL, type=AssayWorker.type, base_job_template=template)
        with suppress(ObjectAlreadyExists):  # a worker was faster
            await client.create_work_pool(wanted)


async def deploy_project(client: PrefectClient, project: Path = PROJECT) -> list[str]:
    """Make the deployments that prefect.yaml names. Returns: their names, `flow/deployment`."""
    described = yaml.safe_load(project.read_text())["deployments"]  # noqa: ASYNC240  a command, nothing else waits
    await ensure_pool(client)
    return [await _deploy_entry(client, entry) for entry in described]


async def deploy_suite(client: PrefectClient, suite: Suite, parameters: dict[str, Any]) -> str:
    """Make or update `suite-run/<name>` with exactly the schedules of the suite file. Returns: its name."""
    await ensure_pool(client)
    return await _deploy(
        client,
        FLOWS[RunKind.SUITE],
        {
            "name": suite.name,
            "description": suite.description,
            "parameters": parameters,
            "tags": ["suite"],
            "schedules": [
                {"cron": schedule.cron, "interval": schedule.interval, "timezone": schedule.timezone}
                for schedule in suite.schedules
            ],
        },
    )


async def _deploy_entry(client: PrefectClient, entry: dict[str, Any]) -> str:
    """Make one deployment of prefect.yaml."""
    kind = next(kind for kind in FLOWS.values() if kind.entrypoint == entry["entrypoint"])
    return await _deploy(client, kind, entry)


async def _deploy(client: PrefectClient, kind: KindOfFlow, entry: dict[str, Any]) -> str:
    """Make or update a deployment. Its schedules become those of `entry`; what a person has turned off stays off."""
    flow = kind.flow
    name = f"{flow.name}/{entry['name']}"
    known = await _known(client, name)
    before = known.schedules if known else []
    after = [schedules.as_before(schedules.read(schedule), before) for schedule in entry.get("schedules", [])]
    wanted: dict[str, Any] = {
        "description": entry.get("description") or flow.description,
        "entrypoint": kind.entrypoint,
        "work_pool_name": WORK_POOL,
        "parameters": entry.get("parameters") or {},
        "tags": sorted(entry.get("tags") or []),
        "parameter_openapi_schema": parameter_schema(flow).model_dump_for_openapi(),
        "enforce_parameter_schema": False,  # our own check finds every problem at once, with its path
        "pull_steps": [],
    }
    if known is not None and _stands(known, wanted) and schedules.equal(before, after):
        return name
    made = await client.create_deployment(
        flow_id=await client.create_flow(flow), name=entry["name"], schedules=after, **wanted
    )
    if before:
        await schedules.forget_removed(client, made)
    return name


async def _known(client: PrefectClient, name: str) -> DeploymentResponse | None:
    try:
        return await client.read_deployment_by_name(name)
    except ObjectNotFound:
        return None


def _stands(known: DeploymentResponse, wanted: dict[str, Any]) -> bool:
    """Return whether a deployment is as it is wanted: its planned runs are then left alone."""
    stands = {key: getattr(known, key) for key in wanted} | {"tags": sorted(known.tags)}
    return all((stands[key] or None) == (wanted[key] or None) for key in wanted)


async def main(arguments: Sequence[str]) -> int:
    """Deploy the project; the one optional argument is the path of its prefect.yaml."""
    project = Path(arguments[0]) if arguments else PROJECT
    async with get_client() as client:
        for name in await deploy_project(client, project):
            print(f"deployed {name}", file=sys.stderr)  # noqa: T201  progress of a command
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main(sys.argv[1:])))
