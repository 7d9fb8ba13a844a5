"""How an attempt's process is prepared and started: content, environment, secrets, then the shim. All of it blocks."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cluster.local import content, environments, processes
from cluster.local.environment import Surroundings, environment
from db import executions
from db import secrets as secret_rows
from executors.pytest_tool import REQUIREMENTS as PYTEST_REQUIREMENTS
from executors.registry import tool_for
from executors.tool import Places
from model.execution import Reason, Status, Verdict
from model.mask import Mask
from model.ports import SecretError
from model.request import TestRequest, TestType
from orchestrator.lifecycle import Begun

if TYPE_CHECKING:
    from flows.house import House

GRACE_SECONDS = 10.0
"""Between TERM and KILL, when a test's time is up or it is cancelled."""
SECRET = re.compile(r"\$\{secrets\.([a-z0-9_]+)\}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """A process that runs or has run, where its files are, and what must not appear in its log."""

    handle: processes.Handle
    places: Places
    mask: Mask


class LaunchError(Exception):
    """The attempt cannot be started; its verdict says who must act."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.verdict = Verdict(status=Status.FAILED, reason=reason, detail=detail)


def adopt(here: "House", begun: Begun, folder: Path) -> Started | None:
    """Return what a former holder started, None if nothing was.

    Nothing is built or looked up for it: the test may have changed its own files meanwhile.
    """
    handle = processes.adopt(folder)
    if handle is None:
        return None
    _, mask = _resolved(here, begun)
    return Started(handle=handle, places=_places(begun.request, folder, None), mask=mask)


def prepare_content(here: "House", begun: Begun, folder: Path) -> Path | None:
    """Put the content in place. Returns: the requirements file that the test names, None if it names none."""
    sources = content.Sources(store=here.settings.state / "content", allowed_hosts=here.settings.allowed_hosts)
    try:
        content.place(begun.request.content, folder / "work", sources)
        wanted = begun.request.setup.requirements
        return content.entry(folder / "work", wanted) if wanted else None
    except content.ContentError as wrong:
        raise LaunchError(Reason.CONTENT, str(wrong)) from wrong


def environment_ready(here: "House", begun: Begun, requirements: Path | None) -> bool:
    """Return whether the test's virtual environment is there, or none is needed."""
    if not _needs_python(begun.request):
        return True
    return environments.ready(here.settings.state / "venvs", requirements, PYTEST_REQUIREMENTS)


def start(here: "House", begun: Begun, folder: Path, requirements: Path | None) -> Started:
    """Make the virtual environment where it is missing, and start the process."""
    env, mask = _resolved(here, begun)
    try:
        python = (
            environments.python_for(here.settings.state / "venvs", requirements, PYTEST_REQUIREMENTS)
            if _needs_python(begun.request)
            else None
        )
    except environments.BuildError as wrong:
        raise LaunchError(Reason.CONFIG, str(wrong)) from wrong
    places = _places(begun.request, folder, python)
    command = tool_for(begun.request.type).command(begun.request, places)
    spec = processes.LaunchSpec(
        folder=folder,
        execution_id=begun.place.execution_id,
        attempt=begun.number,
        argv=command.argv,
        cwd=command.cwd,
        env=environment(_around(begun, places), command.env, env),
        time_limit_seconds=begun.request.config.timeout,
        grace_seconds=GRACE_SECONDS,
        memory_limit_bytes=begun.request.resources.memory_limit_bytes(),
    )
    return Started(handle=processes.launch(spec), places=places, mask=mask)


def _needs_python(request: TestRequest) -> bool:
    return request.type is TestType.PYTEST or request.setup.requirements is not None


def _places(request: TestRequest, folder: Path, python: Path | None) -> Places:
    work = folder / "work"
    return Places(
        work=work,
        entry=work / request.content.path,
        results=folder / "results",
        home=folder / "home",
        python=python,
    )


def _around(begun: Begun, places: Places) -> Surroundings:
    return Surroundings(
        execution_id=begun.place.execution_id,
        attempt=begun.number,
        home=places.home,
        results=places.results,
        python=places.python,
    )


def _resolved(here: "House", begun: Begun) -> tuple[dict[str, str], Mask]:
    """Return the test's own variables with secrets filled in, and the mask that hides them."""
    env = {**begun.request.env, **begun.request.config.env}
    values: dict[str, str] = {}
    for name in sorted({name for value in env.values() for name in SECRET.findall(value)}):
        values[name] = _secret(here, begun, name)
    filled = {key: SECRET.sub(lambda found: values[found[1]], value) for key, value in env.items()}
    return filled, Mask(tuple(values.values()))


def _secret(here: "House", begun: Begun, name: str) -> str:
    """Resolve one secret of the run's team."""
    reference = here.db.call(
        lambda conn: secret_rows.reference(conn, name, executions.team_of(conn, begun.place.execution_id))
    )
    if reference is None:
        raise LaunchError(Reason.CONFIG, f"secret {name} is gone; set it again with `assay secret set {name} ...`")
    try:
        return here.secrets.resolve(reference)
    except SecretError as wrong:
        raise LaunchError(Reason.CONFIG, f"secret {name}: {wrong}") from wrong
