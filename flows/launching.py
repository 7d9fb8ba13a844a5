"""How an attempt's process is prepared and started: content, environment, secrets, then the shim. All of it blocks."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cluster.local import content, environments, masking, processes
from cluster.local.environment import Surroundings, environment
from cluster.local.guarded_command import StoppedError, never
from db import runs
from db import secrets as secret_rows
from executors.pytest_tool import REQUIREMENTS as PYTEST_REQUIREMENTS
from executors.registry import tool_for
from executors.tool import RunFolders
from model.execution import Reason, Status, Verdict
from model.mask import Mask
from model.ports import SecretError
from model.request import TestRequest, TestType
from orchestrator.lifecycle import Begun

if TYPE_CHECKING:
    from flows.worker_context import WorkerContext

GRACE_SECONDS = 10.0
"""Between TERM and KILL, when a test's time is up or it is cancelled."""
SECRET = re.compile(r"\$\{secrets\.([a-z0-9_]+)\}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """A process that runs or has run, where its files are, and what must not appear in its log."""

    handle: processes.Handle
    folders: RunFolders
    mask: Mask


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """An attempt to be prepared and started in its folder. `stopped` tells whether it is still wanted."""

    begun: Begun
    folder: Path
    stopped: Callable[[], bool] = never


class LaunchError(Exception):
    """The attempt cannot be started; its verdict says who must act."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.verdict = Verdict(status=Status.FAILED, reason=reason, detail=detail)


def adopt(context: "WorkerContext", begun: Begun, folder: Path) -> Started | None:
    """Return what a former holder started, None if nothing was.

    Nothing is built or looked up for it: the test may have changed its own files meanwhile, and a person its secrets.
    """
    handle = processes.adopt(folder)
    if handle is None:
        return None
    return Started(handle=handle, folders=_folders(begun.request, folder, None), mask=_mask(context, begun, folder))


def prepare_content(context: "WorkerContext", launch: Launch) -> Path | None:
    """Put the content in place. Returns: the requirements file that the test names, None if it names none.

    Raises: LaunchError, StoppedError.
    """
    request, work = launch.begun.request, launch.folder / "work"
    sources = content.Sources(
        store=context.settings.state / "content",
        allowed_hosts=context.settings.allowed_hosts,
        stopped=launch.stopped,
    )
    try:
        content.place(request.content, work, sources)
        wanted = request.setup.requirements
        return content.entry(work, wanted) if wanted else None
    except content.ContentError as wrong:
        raise LaunchError(Reason.CONTENT, str(wrong)) from wrong


def environment_ready(context: "WorkerContext", begun: Begun, requirements: Path | None) -> bool:
    """Return whether the test's virtual environment is there, or none is needed."""
    if not _needs_python(begun.request):
        return True
    return environments.ready(context.settings.state / "venvs", requirements, PYTEST_REQUIREMENTS)


def start(context: "WorkerContext", launch: Launch, requirements: Path | None) -> Started:
    """Make the virtual environment where it is missing, and start the process. Raises: LaunchError, StoppedError."""
    begun, folder = launch.begun, launch.folder
    values = _values(context, begun)
    python = _python(context, launch, requirements)
    folders = _folders(begun.request, folder, python)
    command = tool_for(begun.request.type).command(begun.request, folders)
    spec = processes.LaunchSpec(
        folder=folder,
        execution_id=begun.grant.execution_id,
        attempt=begun.number,
        argv=command.argv,
        cwd=command.cwd,
        env=environment(_around(begun, folders), command.env, _filled(begun.request, values)),
        time_limit_seconds=begun.request.config.timeout,
        grace_seconds=GRACE_SECONDS,
        memory_limit_bytes=begun.request.resources.memory_limit_bytes(),
        cgroup=context.settings.cgroup,
        log_limit_bytes=processes.log_left(context.logs.size(begun.grant.execution_id)),
    )
    if launch.stopped():
        raise StoppedError
    masking.keep(folder, values)
    return Started(handle=processes.launch(spec), folders=folders, mask=_mask(context, begun, folder))


def _python(context: "WorkerContext", launch: Launch, requirements: Path | None) -> Path | None:
    if not _needs_python(launch.begun.request):
        return None
    site = environments.Site(venvs=context.settings.state / "venvs", stopped=launch.stopped)
    try:
        return environments.python_for(site, requirements, PYTEST_REQUIREMENTS)
    except environments.BuildError as wrong:
        raise LaunchError(Reason.CONFIG, str(wrong)) from wrong


def _needs_python(request: TestRequest) -> bool:
    return request.type is TestType.PYTEST or request.setup.requirements is not None


def _folders(request: TestRequest, folder: Path, python: Path | None) -> RunFolders:
    work = folder / "work"
    return RunFolders(
        work=work,
        entry=work / request.content.path,
        results=folder / "results",
        home=folder / "home",
        python=python,
    )


def _around(begun: Begun, folders: RunFolders) -> Surroundings:
    return Surroundings(
        execution_id=begun.grant.execution_id,
        attempt=begun.number,
        home=folders.home,
        results=folders.results,
        python=folders.python,
    )


def _variables(request: TestRequest) -> dict[str, str]:
    return {**request.env, **request.config.env}


def _filled(request: TestRequest, values: Mapping[str, str]) -> dict[str, str]:
    """Return the test's own variables with secrets filled in."""
    return {key: SECRET.sub(lambda found: values[found[1]], text) for key, text in _variables(request).items()}


def _names(request: TestRequest) -> list[str]:
    """Return the secrets that a test names."""
    return sorted({name for value in _variables(request).values() for name in SECRET.findall(value)})


def _values(context: "WorkerContext", begun: Begun) -> dict[str, str]:
    return {name: _secret(context, begun, name) for name in _names(begun.request)}


def _mask(context: "WorkerContext", begun: Begun, folder: Path) -> Mask:
    """Return what hides the values that the test was given, whatever has become of its secrets since."""
    names = _names(begun.request)
    return Mask(masking.kept(folder, names) or _that_are_there(context, begun, names))


def _that_are_there(context: "WorkerContext", begun: Begun, names: Iterable[str]) -> Iterator[str]:
    """Yield the values of today: a test that threw away what was kept may still not show them."""
    for name in names:
        with suppress(LaunchError):
            yield _secret(context, begun, name)


def _secret(context: "WorkerContext", begun: Begun, name: str) -> str:
    """Resolve one secret of the run's team."""
    reference = context.db.call(
        lambda conn: secret_rows.reference(conn, name, runs.team_of(conn, begun.grant.execution_id))
    )
    if reference is None:
        raise LaunchError(Reason.CONFIG, f"secret {name} is gone; set it again with `assay secret set {name} ...`")
    try:
        return context.secrets.resolve(reference)
    except SecretError as wrong:
        raise LaunchError(Reason.CONFIG, f"secret {name}: {wrong}") from wrong
