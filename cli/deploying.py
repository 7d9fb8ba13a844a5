"""What commands ask of Prefect itself: `assay deploy` makes a deployment from a suite file, with the file's schedules.

`assay cluster import` reads a block.

The next runs are computed by the same rules as Prefect's plan (`model.recurrence`).
"""

import asyncio
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import quote
from zoneinfo import ZoneInfo

from cli.connection import connect, names_of_secrets
from cli.failure import RefusedError, UnreachableError, UsageError
from cli.server_discovery import PrefectServer, find_prefect
from cli.suite_file import load, send_content
from model.recurrence import due_from
from model.suite import Suite, suite_to_raw
from model.suite_rules import name_problem

if TYPE_CHECKING:
    from blocks.experiments import Alertmanager, IncidentService, Prometheus, Webhook
    from chaos.experiment import Experiment
    from flows.deploying import Deployed  # Prefect takes seconds to load
    from flows.schedules import Planned

_NEXT_RUNS = 3
NO_CREDENTIAL = 'Prefect wants a credential: set PREFECT_API_AUTH_STRING, or run `eval "$(assay env)"`'


def deploy_file(path: Path, settings: Sequence[str] = ()) -> "Deployed":
    """Make or update `suite-run/<name>`. Local folders are packed and sent."""
    loaded = load(path, settings, names_of_secrets)
    if not isinstance(loaded, Suite):
        raise UsageError(f"{path} holds a single test: a deployment needs a suite, with `name` and `tests`")
    if problem := name_problem(loaded.name):
        raise UsageError(f"name: {problem}")
    tell_prefect(find_prefect())
    with connect() as client:
        suite = send_content(client, loaded, path.parent)
    if not isinstance(suite, Suite):
        raise TypeError(suite)
    return asyncio.run(_deploy(suite))


def deploy_experiment_file(path: Path) -> "Deployed":
    """Make or update `chaos-experiment/<name>`, with the recurring schedules of the file. Raises: UsageError."""
    from cli.chaos_file import read_experiment  # noqa: PLC0415

    experiment = read_experiment(path)
    if problem := name_problem(experiment.name):
        raise UsageError(f"name: {problem}")
    tell_prefect(find_prefect())
    return asyncio.run(_deploy_experiment(experiment))


async def _deploy_experiment(experiment: "Experiment") -> "Deployed":
    from prefect.client.orchestration import get_client  # noqa: PLC0415  Prefect takes seconds to load

    from flows.deploying import deploy_experiment  # noqa: PLC0415

    with _prefect_errors():
        async with get_client() as client:
            return await deploy_experiment(client, experiment)


def whose_rules(deployment: str) -> str:
    """Return in words for whom the runs of a deployment of an experiment count, and how to change that."""
    address = f"/api/v1/deployments/{quote(deployment)}/user"
    return (
        "until it is bound to a user, its runs count for the user prefect, and only the rules of the team of prefect "
        f'hold; `PUT {address}` with {{"user": NAME}} and the key of the installation binds it'
    )


def tell_prefect(server: PrefectServer) -> None:
    """Set what Prefect reads once, when it is imported."""
    os.environ["PREFECT_API_URL"] = server.url
    if server.credential is not None:
        os.environ["PREFECT_API_AUTH_STRING"] = server.credential


def cluster_of_block(name: str) -> dict[str, object]:
    """Return what a block in Prefect says about a cluster, as the body of `PUT /clusters/NAME`."""
    tell_prefect(find_prefect())
    return asyncio.run(_read_block(name))


async def _read_block(name: str) -> dict[str, object]:
    from blocks.kubernetes_cluster import SLUG, KubernetesCluster  # noqa: PLC0415  Prefect takes seconds to load

    with _prefect_errors():
        try:
            block = cast("KubernetesCluster", await KubernetesCluster.aload(name))
            return block.row()
        except ValueError as error:
            words = f"Prefect has no block {SLUG}/{name}, or it is not whole: see the page Blocks of Prefect"
            raise UsageError(words) from error


def connection_of_block(text: str) -> dict[str, object]:
    """Return the connection that a block describes, as the API takes it. `text` is TYPE/NAME. Raises: UsageError."""
    return asyncio.run(_read_connection(text))


async def _read_connection(text: str) -> dict[str, object]:
    from blocks.experiments import BLOCKS  # noqa: PLC0415  Prefect takes seconds to load

    slug, _, name = text.partition("/")
    kind = next((block for block in BLOCKS if block.get_block_type_slug() == slug), None)
    if kind is None or not name:
        known = ", ".join(block.get_block_type_slug() for block in BLOCKS)
        raise UsageError(f"{text} is not TYPE/NAME of a block; types are {known}")
    with _prefect_errors():
        try:
            block = await kind.aload(name)
        except ValueError as error:
            raise UsageError(f"Prefect has no block {text}, or it is not whole: see its page Blocks") from error
    return cast("Prometheus | IncidentService | Webhook | Alertmanager", block).row()


def as_data(deployed: "Deployed", now: datetime) -> dict[str, Any]:
    """Return a deployment with the next runs of its schedules, as `--json` shows it."""
    return {
        "deployment": deployed.name,
        "schedules": [
            {
                "cron": each.schedule.cron,
                "interval": each.schedule.interval,
                "timezone": each.schedule.timezone,
                "active": each.active,
                "next": [{"local": local.isoformat(), "utc": utc.isoformat()} for local, utc in _next_runs(each, now)],
            }
            for each in deployed.schedules
        ],
    }


def in_words(deployed: "Deployed", now: datetime) -> list[str]:
    """Return the schedules of a deployment and their next runs in lines for people."""
    lines = []
    for each in deployed.schedules:
        schedule = each.schedule
        rule = f"cron {schedule.cron}" if schedule.cron else f"every {schedule.interval} s"
        off = "" if each.active else ", turned off in Prefect"
        lines.append(f"{rule}, {schedule.timezone}{off}")
        lines += [
            f"  next: {local:%a %Y-%m-%d %H:%M:%S %z} = {utc:%Y-%m-%d %H:%M:%S} UTC"
            for local, utc in _next_runs(each, now)
        ]
    return lines


def _next_runs(planned: "Planned", now: datetime) -> list[tuple[datetime, datetime]]:
    """Return the next runs in the zone of the schedule and in UTC. There are none while it is turned off."""
    if not planned.active:
        return []
    zone = ZoneInfo(planned.schedule.timezone)
    return [(due.astimezone(zone), due.astimezone(UTC)) for due in islice(due_from(planned.schedule, now), _NEXT_RUNS)]


async def _deploy(suite: Suite) -> "Deployed":
    from prefect.client.orchestration import get_client  # noqa: PLC0415  Prefect takes seconds to load

    from flows.deploying import deploy_suite  # noqa: PLC0415

    parameters: dict[str, Any] = {"suite": suite_to_raw(suite)}
    with _prefect_errors():
        async with get_client() as client:
            return await deploy_suite(client, suite, parameters)


@contextmanager
def _prefect_errors() -> Iterator[None]:
    """Say of a Prefect server that refuses or does not answer what to do about it."""
    import httpx  # noqa: PLC0415  it takes a while to load

    try:
        yield
    except httpx.HTTPStatusError as error:
        if error.response.status_code == httpx.codes.UNAUTHORIZED:
            raise RefusedError(error.response.status_code, NO_CREDENTIAL) from error
        raise RefusedError(error.response.status_code, f"Prefect refused it: {error.response.text[:500]}") from error
    except (httpx.HTTPError, RuntimeError, OSError) as error:
        raise UnreachableError(f"Prefect does not answer at {os.environ['PREFECT_API_URL']}: {error}") from error
