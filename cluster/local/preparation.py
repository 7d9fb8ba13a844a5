"""How an attempt's process is prepared and started: content, environment, then the shim. All of it blocks."""

from dataclasses import dataclass
from pathlib import Path

from cluster.backend import Fault, LaunchError, LaunchOrder
from cluster.local import commits, content, environments, masking, processes
from cluster.local.command import RunFolders, arguments, working_folder
from cluster.local.environment import Surroundings, environment
from cluster.local.guarded_command import StoppedError
from cluster.local.unreachable import HostAwayError
from model import secret
from model.content import entry_paths
from model.ports import Contents

GRACE_SECONDS = 10.0
"""Between TERM and KILL, when a test's time is up or it is cancelled."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """What this machine offers to tests.

    `state` is the folder in which runs and environments are kept. `cpu_share` is the part of CPU and memory that tests
    may use. `cgroup` is a delegated folder of the kernel's control groups, in which each test gets one of its own.
    `allowed_hosts` are private hosts that git content may come from, `git_ca_file` has the certificate authorities of
    git hosts where they are not public ones.
    """

    state: Path
    cpu_share: float = 1.0
    cgroup: Path | None = None
    allowed_hosts: frozenset[str] = frozenset()
    git_ca_file: Path | None = None

    @property
    def runs(self) -> Path:
        """The folder with the run folders of all attempts, as `<execution>/<number>`."""
        return self.state / "runs"

    @property
    def venvs(self) -> Path:
        """The folder with the virtual environments, which runs share."""
        return self.state / "venvs"


@dataclass(frozen=True, slots=True, kw_only=True)
class Preparation:
    """One attempt that is about to be started in its run folder."""

    machine: Machine
    contents: Contents
    order: LaunchOrder
    folder: Path

    def fetch_content(self) -> Path | None:
        """Put the content in its place. Returns: the requirements file that the test names, None if it names none.

        Raises: LaunchError, StoppedError.
        """
        if processes.voided(self.folder):
            raise LaunchError(Fault.INFRASTRUCTURE, "this attempt was given up before it started")
        order, work = self.order, self.folder / "work"
        sources = content.Sources(
            contents=self.contents,
            allowed_hosts=self.machine.allowed_hosts,
            ca_file=self.machine.git_ca_file,
            commit=order.commit,
            stopped=order.called_off,
        )
        wanted = order.python.requirements if order.python else None
        try:
            placed = content.place(order.content, work, sources)
            commits.keep(self.folder, placed.commit)
            return content.entry(work, wanted) if wanted else None
        except content.ContentError as wrong:
            raise LaunchError(Fault.CONTENT, str(wrong)) from wrong
        except HostAwayError as away:
            raise LaunchError(Fault.INFRASTRUCTURE, str(away)) from away

    def environment_ready(self, requirements: Path | None) -> bool:
        """Return whether the test's virtual environment is there, or none is needed."""
        python = self.order.python
        return python is None or environments.ready(self.machine.venvs, requirements, python.base)

    def start(self, requirements: Path | None) -> processes.Handle:
        """Make the virtual environment if it is missing, and start the process. Raises: LaunchError, StoppedError."""
        order = self.order
        folders = self._folders(self._python(requirements))
        spec = processes.LaunchSpec(
            folder=self.folder,
            execution_id=order.attempt.execution_id,
            attempt=order.attempt.number,
            argv=arguments(order.command, folders),
            cwd=working_folder(order.command, folders),
            env=self._environment(folders),
            time_limit_seconds=order.config.timeout,
            grace_seconds=GRACE_SECONDS,
            memory_limit_bytes=order.resources.memory_limit_bytes(),
            cgroup=self.machine.cgroup,
            own_interpreter=not isinstance(order.command.argv[0], str),
            log_limit_bytes=processes.log_left(order.log_bytes),
        )
        if order.called_off():
            raise StoppedError
        masking.keep(self.folder, order.secrets)
        return processes.launch(spec)

    def _python(self, requirements: Path | None) -> Path | None:
        python = self.order.python
        if python is None:
            return None
        site = environments.Site(venvs=self.machine.venvs, stopped=self.order.called_off)
        try:
            return environments.python_for(site, requirements, python.base, module=python.module)
        except environments.BuildError as wrong:
            raise LaunchError(Fault.CONFIG, str(wrong)) from wrong
        except (HostAwayError, environments.OwnError) as away:
            raise LaunchError(Fault.INFRASTRUCTURE, str(away)) from away

    def _folders(self, python: Path | None) -> RunFolders:
        work = self.folder / "work"
        return RunFolders(
            work=work,
            entry=work / entry_paths(self.order.content)[0],
            results=self.folder / "results",
            home=self.folder / "home",
            python=python,
        )

    def _environment(self, folders: RunFolders) -> dict[str, str]:
        around = Surroundings(
            execution_id=self.order.attempt.execution_id,
            attempt=self.order.attempt.number,
            home=folders.home,
            results=folders.results,
            python=folders.python,
        )
        own = {name: secret.fill(text, self.order.secrets) for name, text in self.order.env.items()}
        return environment(around, self.order.command.env, own)
