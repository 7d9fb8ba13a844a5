"""Registers with Prefect: the work pool, the deployments of prefect.yaml and of suite files, the types of blocks.

`python -m flows.deploying` does all that `assay up` needs. It changes nothing that is right already.
"""

import asyncio
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml
from prefect.client.orchestration import PrefectClient, get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.client.schemas.filters import DeploymentFilter, DeploymentFilterName, FlowFilter, FlowFilterName
from prefect.client.schemas.responses import DeploymentResponse
from prefect.exceptions import ObjectAlreadyExists, ObjectNotFound
from prefect.utilities.callables import parameter_schema

from blocks import experiments
from blocks.kafka_broker import KafkaBroker
from blocks.kubernetes_cluster import KubernetesCluster
from chaos.experiment import Experiment
from chaos.experiment_reading import experiment_to_raw
from flows import schedules
from flows.kinds import FLOWS, KindOfFlow
from flows.schedules import Planned
from flows.settings import WORK_POOL
from flows.worker import AssayWorker
from model.runs import RunKind
from model.schedule import Schedule
from model.suite import Suite

PROJECT = Path("prefect.yaml")
DEFAULT_ENTRY = {"name": "default", "tags": ["assay"]}


async def ensure_pool(client: PrefectClient) -> None:
    """Create the work pool of our worker type if it is missing."""
    try:
        await client.read_work_pool(WORK_POOL)
    except ObjectNotFound:
        template = AssayWorker.get_default_base_job_template()
        wanted = WorkPoolCreate(name=WORK_POOL, type=AssayWorker.type, base_job_template=template)
        with suppress(ObjectAlreadyExists):  # a worker has created it meanwhile
            await client.create_work_pool(wanted)


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployed:
    """A deployment that Prefect has now. Its name is `flow/deployment`."""

    name: str
    schedules: tuple[Planned, ...] = ()


async def deploy_project(client: PrefectClient, project: Path = PROJECT) -> list[str]:
    """Create or update the deployments of prefect.yaml, and a default one for each kind of run that has none there.

    Returns: their names, `flow/deployment`.
    """
    described = yaml.safe_load(project.read_text())["deployments"]  # noqa: ASYNC240  a command: nothing else runs in this loop
    await ensure_pool(client)
    made = [(await _deploy_entry(client, entry)).name for entry in described]
    missing = [kind for kind in FLOWS.values() if kind.deployment not in made]
    return [*made, *[(await _deploy(client, kind, dict(DEFAULT_ENTRY), [])).name for kind in missing]]


async def deploy_suite(client: PrefectClient, suite: Suite, parameters: dict[str, Any]) -> Deployed:
    """Create or update `suite-run/<name>` with exactly the schedules of the suite file."""
    await ensure_pool(client)
    entry = {"name": suite.name, "description": suite.description, "parameters": parameters, "tags": ["suite"]}
    return await _deploy(client, FLOWS[RunKind.SUITE], entry, [(schedule, True) for schedule in suite.schedules])


async def deploy_experiment(client: PrefectClient, experiment: Experiment) -> Deployed:
    """Create or update `chaos-experiment/<name>` with exactly the recurring schedules of the file: its game days."""
    await ensure_pool(client)
    parameters = {"experiment": experiment_to_raw(replace(experiment, schedule=None))}
    entry = {
        "name": experiment.name,
        "description": experiment.description,
        "parameters": parameters,
        "tags": ["experiment"],
    }
    recurring = experiment.schedule.recurring if experiment.schedule else ()
    return await _deploy(client, FLOWS[RunKind.EXPERIMENT], entry, [(schedule, True) for schedule in recurring])


async def _deploy_entry(client: PrefectClient, entry: dict[str, Any]) -> Deployed:
    """Create or update one deployment of prefect.yaml."""
    kind = next(kind for kind in FLOWS.values() if kind.entrypoint == entry["entrypoint"])
    written = [(schedules.read(each), each.get("active", True)) for each in entry.get("schedules", [])]
    return await _deploy(client, kind, entry, written)


async def _deploy(
    client: PrefectClient, kind: KindOfFlow, entry: dict[str, Any], written: Sequence[tuple[Schedule, bool]]
) -> Deployed:
    """Create or update a deployment. Its schedules become `written`; a schedule that a person turned off stays off."""
    flow = kind.flow
    name, now = f"{flow.name}/{entry['name']}", datetime.now(UTC)  # noqa: TID251  a command
    known = await _known(client, flow.name, entry["name"])
    before = known.schedules if known else []
    planned = tuple(schedules.planned(schedule, before, now, active=active) for schedule, active in written)
    after = [part for each in planned for part in each.parts]
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
    if known is None or not _stands(known, wanted) or not schedules.equal(before, after):
        made = await client.create_deployment(
            flow_id=await client.create_flow(flow), name=entry["name"], schedules=after, **wanted
        )
        if before:
            await schedules.forget_removed(client, made)
    return Deployed(name=name, schedules=planned)


async def _known(client: PrefectClient, flow_name: str, name: str) -> DeploymentResponse | None:
    found = await client.read_deployments(
        flow_filter=FlowFilter(name=FlowFilterName(any_=[flow_name])),
        deployment_filter=DeploymentFilter(name=DeploymentFilterName(any_=[name])),
    )
    return next(iter(found), None)


def _stands(known: DeploymentResponse, wanted: dict[str, Any]) -> bool:
    """Return whether a deployment is as it is wanted. Then it is not written, so its planned runs stay."""
    stands = {key: getattr(known, key) for key in wanted} | {"tags": sorted(known.tags)}
    return all((stands[key] or None) == (wanted[key] or None) for key in wanted)


async def main(arguments: Sequence[str]) -> int:
    """Deploy the project; the one optional argument is the path of its prefect.yaml."""
    project = Path(arguments[0]) if arguments else PROJECT
    async with get_client() as client:
        for name in await deploy_project(client, project):
            print(f"deployed {name}", file=sys.stderr)  # noqa: T201  progress of a command
        for block in (KafkaBroker, KubernetesCluster, *experiments.BLOCKS):
            await block.aregister_type_and_schema(client=client)
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main(sys.argv[1:])))
