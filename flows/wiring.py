"""The wiring of a worker process: which database, which stores, which backends.

The only module of the flows that names an implementation of a backend.
"""

import asyncio
import os

from prefect.client.orchestration import PrefectClient

from cluster.artifacts import ArtifactStore
from cluster.backend import Backend
from cluster.contents import ContentStore
from cluster.local.backend import LocalBackend
from cluster.local.identity import backend_name, node_name
from cluster.local.preparation import Machine
from cluster.logs import LogStore
from cluster.secrets import SecretStore
from db.engine import Database
from db.listen import Listener
from flows.settings import Settings
from flows.wakeups import Wakeups
from flows.worker_context import WorkerContext
from model.ports import Contents

CONNECTIONS = 3
"""With the heartbeat and the listener five a worker, however many flows wait."""


def open_context(settings: Settings, client: PrefectClient) -> WorkerContext:
    """Connect to everything that the worker's flows share. `WorkerContext.close` undoes it."""
    title = f"assay {settings.worker}"  # what the database's administrator sees
    listener = Listener(settings.database_url, title=title)
    wakeups = Wakeups(asyncio.get_running_loop())
    listener.subscribe(wakeups.hear)
    contents = ContentStore(settings.state / "content")
    backend = local_backend(settings, contents)
    return WorkerContext(
        settings=settings,
        client=client,
        db=Database(settings.database_url, size=CONNECTIONS, title=title),
        heartbeat=Database(settings.database_url, size=1, title=title),
        listener=listener,
        wakeups=wakeups,
        logs=LogStore(settings.state / "logs"),
        artifacts=ArtifactStore(settings.state / "artifacts"),
        secrets=SecretStore(os.environ),
        contents=contents,
        backends={backend.name: backend},
    )


def local_backend(settings: Settings, contents: Contents) -> Backend:
    """Return the backend of this machine."""
    machine = Machine(
        state=settings.state.absolute(),
        cpu_share=settings.cpu_share,
        cgroup=settings.cgroup,
        allowed_hosts=settings.allowed_hosts,
        git_ca_file=settings.git_ca_file,
    )
    return LocalBackend(backend_name(node_name(machine.state)), machine, contents)
