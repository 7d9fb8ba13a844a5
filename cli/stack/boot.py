"""Starts the stack step by step, in parallel where possible, and reports each step with its time."""

import hashlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace

from cli.failure import CommandError
from cli.stack import prefect_server, programs
from cli.stack.chaos_sample import show_experiment
from cli.stack.parts import Part, Program, answers, inherited
from cli.stack.ports import listen, port_of
from cli.stack.postgres import PreparationError
from cli.stack.samples import run_samples
from cli.stack.state import PROJECT, StateFolder
from cli.stack.supervisor import EndingError, Supervisor
from cluster import heartbeats
from cluster.local.guarded_command import MARK
from db import migrate, seeds, workers
from db.engine import Database
from db.errors import ClusterError, UnavailableError
from model.ids import WorkerId

STILL_STARTING = 5.0
"""Seconds between two messages that a start takes time."""
DEATHS = 3
"""After so many deaths before it was ready, a part is not tried again."""
LOOK = 0.1
EXIT_INFRASTRUCTURE = 3
WORK_POOL = "assay"


class BootError(Exception):
    """The stack did not start. The text says which part failed, and what it wrote last."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UpOptions:
    """The options of `assay up`."""

    once: bool = False
    samples: bool = True
    port_api: int = programs.PREFERRED_API_PORT
    port_prefect: int = prefect_server.PREFERRED_PORT
    json: bool = False


@dataclass(slots=True, kw_only=True)
class Boot:
    """One start of the stack. It runs in a thread beside the supervisor's."""

    options: UpOptions
    stack: Supervisor
    _api: socket.socket = field(init=False)
    _prefect: socket.socket = field(init=False)
    _starting: list[Part] = field(default_factory=list)
    _children: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(2, thread_name_prefix="boot"))

    def run(self) -> None:
        """Start everything and run the samples; with `once` end the stack with their exit code."""
        if self.options.once:
            self.stack.code = EXIT_INFRASTRUCTURE  # the exit code if the stack is ended before the verdict
        try:
            self._choose_ports()
            self._start_postgres()
            prefect = self._start_prefect()
            self._migrate()
            api = self._start_api()
            self._wait_for(prefect)
            deployed = self._children.submit(self._deploy)
            if not self._has_pool():
                deployed.result()  # the first time: otherwise the worker makes the pool too, and one of them fails
            worker = self._start_worker()
            self._wait_for(api)
            self._wait_for(worker)
            self._finish(deployed)
        except EndingError:
            return
        except (BootError, PreparationError, ClusterError, UnavailableError) as error:
            if not self.stack.stopping.is_set():
                self.say(str(error))
                self.stack.stop(EXIT_INFRASTRUCTURE)

    def say(self, text: str) -> None:
        """Write a message."""
        self.stack.console.say(text)

    def _choose_ports(self) -> None:
        self._prefect = self._listen("Prefect", self.options.port_prefect)
        self._api = self._listen("the API", self.options.port_api)

    def _listen(self, who: str, wanted: int) -> socket.socket:
        listener = listen(wanted)
        if port_of(listener) != wanted:
            self.say(f"port {wanted} is taken: {who} uses {port_of(listener)}")
        return listener

    @property
    def port_api(self) -> int:
        """The port of the API."""
        return port_of(self._api)

    @property
    def port_prefect(self) -> int:
        """The port of Prefect."""
        return port_of(self._prefect)

    def _start_postgres(self) -> None:
        postgres = self.stack.postgres
        self.say(f"{postgres.title}: starting")
        with self.stack.starting():
            postgres.start()
        self.stack.guard_postgres()
        self.say(f"{postgres.title}: ready")

    def _start_prefect(self) -> Part:
        folder = self.stack.folder
        settings = prefect_server.server_environment(
            self._prefect_environment(), self.port_prefect, folder.path, self.stack.postgres.prefect_url
        )
        return self._start(prefect_server.program(settings, self._prefect, folder.log / "prefect.log"))

    def _start_api(self) -> Part:
        folder = self.stack.folder
        folder.api_key()
        environment = {**self._environment(), "ASSAY_API_KEY_FILE": str(folder.key_file)}
        return self._start(programs.api(environment, self._api, folder.log / "api.log"))

    def _start_worker(self) -> Part:
        folder = self.stack.folder
        name = worker_name(folder)
        with Database(self.stack.postgres.own_url, size=1) as database:
            database.call(lambda conn: workers.leave(conn, name))  # it is still registered if it was killed
        environment = {**self._prefect_environment(), "ASSAY_WORKER_NAME": name}
        heartbeat = heartbeats.path_of(folder.path, name)
        return self._start(
            programs.worker(environment, lambda: self._signed_on(name), folder.log / "worker.log", heartbeat)
        )

    def _start(self, program: Program) -> Part:
        part = Part(program=program, console=self.stack.console)
        self._starting.append(part)
        self.say(f"{program.title}: starting")
        self.stack.want(part)
        return part

    def _environment(self) -> dict[str, str]:
        path = str(self.stack.folder.path)
        own = {
            "ASSAY_STATE": path,
            "ASSAY_URL": programs.api_url(self.port_api),
            "DATABASE_URL": self.stack.postgres.own_url,
            MARK: path,
        }
        return {**inherited(os.environ), **own}

    def _prefect_environment(self) -> dict[str, str]:
        folder = self.stack.folder
        client = prefect_server.client_environment(self.port_prefect, folder.path, folder.prefect_credential())
        return {**self._environment(), **client}

    def _migrate(self) -> None:
        migrate.upgrade(self.stack.postgres.own_url)
        self.say("database: migrated")

    def _deploy(self) -> None:
        """Make the deployments in a process of its own: Prefect would stay in the supervisor's memory."""
        log = self.stack.folder.log / "deploy.log"
        with log.open("wb") as out, self.stack.starting():
            deploying = subprocess.Popen(
                [sys.executable, "-m", "flows.deploying"],
                cwd=PROJECT, env=self._prefect_environment(), stdin=subprocess.DEVNULL,
                stdout=out, stderr=subprocess.STDOUT,
            )  # fmt: skip
        if deploying.wait() != 0 and not self.stack.stopping.is_set():
            raise BootError(f"the deployments of prefect.yaml could not be made:\n{log.read_text(errors='replace')}")
        self.say("prefect.yaml: deployed")

    def _has_pool(self) -> bool:
        address = f"{prefect_server.url(self.port_prefect)}/api/work_pools/{WORK_POOL}"
        return answers(address, self.stack.folder.prefect_credential())

    def _wait_for(self, part: Part) -> None:
        """Wait until the part can be used, and report now and then that it is still starting."""
        said = started = time.monotonic()
        while not (part.identity is not None and part.program.healthy()):
            if self.stack.stopping.wait(LOOK):
                raise BootError("the start was interrupted")
            for one in self._starting:
                if one.restarts >= DEATHS:
                    raise BootError(f"{one.program.title}: does not start; its last output:\n{one.end_of_log()}")
            if time.monotonic() - said >= STILL_STARTING:
                said = time.monotonic()
                self.say(f"{part.program.title}: still starting ({said - started:.0f} s, log: {part.program.log})")
        self._starting.remove(part)
        self.say(f"{part.program.title}: ready")

    def _signed_on(self, name: WorkerId) -> bool:
        try:
            with Database(self.stack.postgres.own_url, size=1) as database:
                return name in database.call(lambda conn: workers.alive(conn, seeds.DEFAULT_POOL))
        except UnavailableError:
            return False

    def _finish(self, deployed: "Future[None]") -> None:
        api, prefect = programs.api_url(self.port_api), prefect_server.url(self.port_prefect)
        self.stack.tell(lambda record: replace(record, phase="ready", api_url=api, prefect_url=prefect))
        self.say(f"ready: {addresses(api, prefect)}")
        code = self._run_samples() if self.options.samples or self.options.once else 0
        deployed.result()
        if self.options.once:
            self.stack.stop(code)
        elif not self.stack.stopping.is_set():
            self.stack.console.plain(
                f"\n{addresses(api, prefect)}\n"
                "`assay open` opens the Prefect UI and shows its password. Ctrl-C ends the stack."
            )
            if self.options.samples:
                self._show_experiment(api)

    def _show_experiment(self, api: str) -> None:
        self.stack.sampling.set()
        try:
            show_experiment(self.stack.folder, api, self.stack.stopping, self.say)
        finally:
            self.stack.sampling.clear()

    def _run_samples(self) -> int:
        try:
            url = programs.api_url(self.port_api)
            return run_samples(self.stack.folder, url, self.stack.stopping, json=self.options.json)
        except CommandError as error:
            self.say(f"the samples could not be run: {error}")
            return error.exit_code


def addresses(api: str, prefect: str) -> str:
    """Return the addresses of the stack in one line."""
    return f"Prefect UI {prefect}   API {api}   its documentation {api}/docs"


def booting(options: UpOptions) -> Callable[[Supervisor], None]:
    """Return the function that the supervisor calls to start the stack."""
    return lambda stack: Boot(options=options, stack=stack).run()


def worker_name(folder: StateFolder) -> WorkerId:
    """Return the worker's name. It is the same after a restart, so the worker takes its runs up again at once."""
    digest = hashlib.sha256(os.fsencode(folder.path)).hexdigest()[:6]
    return WorkerId(f"{socket.gethostname()}-{digest}")
