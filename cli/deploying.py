"""`assay deploy`: makes a deployment in Prefect from a suite file, with the schedules of the file."""

import asyncio
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cli.connection import connect
from cli.failure import RefusedError, UnreachableError, UsageError
from cli.server_discovery import PrefectServer, find_prefect
from cli.suite_file import load, send_content
from model.suite import Suite, suite_to_raw

TAKEN = "default"
UNFIT = "/%&<>"
NO_CREDENTIAL = 'Prefect wants a credential: set PREFECT_API_AUTH_STRING, or run `eval "$(assay env)"`'


def deploy_file(path: Path, settings: Sequence[str] = ()) -> str:
    """Make or update `suite-run/<name>`, and return that name. Local folders are packed and sent."""
    loaded = load(path, settings)
    if not isinstance(loaded, Suite):
        raise UsageError(f"{path} holds a single test: a deployment needs a suite, with `name` and `tests`")
    _refuse_name(loaded.name)
    _tell_prefect(find_prefect())
    with connect() as client:
        suite = send_content(client, loaded, path.parent)
    if not isinstance(suite, Suite):
        raise TypeError(suite)
    return asyncio.run(_deploy(suite))


def _tell_prefect(server: PrefectServer) -> None:
    """Set what Prefect reads once, when it is imported."""
    os.environ["PREFECT_API_URL"] = server.url
    if server.credential is not None:
        os.environ["PREFECT_API_AUTH_STRING"] = server.credential


def _refuse_name(name: str) -> None:
    if name == TAKEN:
        raise UsageError(
            f"name: {name!r} is the deployment of suites without one of their own; give the suite another name"
        )
    if set(name) & set(UNFIT):
        raise UsageError(
            f"name: {name!r} cannot be the name of a deployment: Prefect refuses names with any of {UNFIT}"
        )


async def _deploy(suite: Suite) -> str:
    import httpx  # noqa: PLC0415  it takes a while to load, and so does Prefect
    from prefect.client.orchestration import get_client  # noqa: PLC0415  Prefect takes seconds to load

    from flows.deploying import deploy_suite  # noqa: PLC0415

    parameters: dict[str, Any] = {"suite": suite_to_raw(suite)}
    try:
        async with get_client() as client:
            return await deploy_suite(client, suite, parameters)
    except httpx.HTTPStatusError as error:
        if error.response.status_code == httpx.codes.UNAUTHORIZED:
            raise RefusedError(error.response.status_code, NO_CREDENTIAL) from error
        raise RefusedError(
            error.response.status_code, f"Prefect refused the deployment: {error.response.text[:500]}"
        ) from error
    except (httpx.HTTPError, RuntimeError, OSError) as error:
        raise UnreachableError(f"Prefect does not answer at {os.environ['PREFECT_API_URL']}: {error}") from error
