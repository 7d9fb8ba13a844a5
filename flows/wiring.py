"""The wiring of a worker process: which database, which stores, which backends.

The only module of the flows that names an implementation of a backend.
"""

import asyncio
import os
from functools import partial

from prefect.client.orchestration import PrefectClient

from cluster.artifacts import ArtifactStore
from cluster.backend import Backend
from cluster.contents import ContentStore
from cluster.local.backend import LocalBackend
from cluster.local.identity import backend_name, node_name
from cluster.local.preparation import Machine
from cluster.logs import LogStore
from cluster.secrets import SecretStore
from db import clusters
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
    db = Database(settings.database_url, size=CONNECTIONS, title=title)
    backends = [local_backend(settings, contents), *kubernetes_backends(settings, contents, db)]
    return WorkerContext(
        settings=settings,
        client=client,
        db=db,
        heartbeat=Database(settings.database_url, size=1, title=title),
        listener=listener,
        wakeups=wakeups,
        logs=LogStore(settings.state / "logs"),
        artifacts=ArtifactStore(settings.state / "artifacts"),
        secrets=SecretStore(os.environ),
        contents=contents,
        backends={backend.name: backend for backend in backends},
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


def kubernetes_backends(settings: Settings, contents: Contents, db: Database) -> list[Backend]:
    """Return the backends of the clusters that this worker serves. Raises: NotFoundError for one that has no row."""
    if not settings.clusters:
        return []
    from cluster.kubernetes.access import access_of  # noqa: PLC0415  the client costs 50 MB: only who serves one pays
    from cluster.kubernetes.backend import Disk, KubernetesBackend  # noqa: PLC0415

    disk = Disk(
        runs=settings.state.absolute() / "pods",
        contents=contents,
        allowed_hosts=settings.allowed_hosts,
        git_ca_file=settings.git_ca_file,
    )
    rows = [db.call(partial(clusters.find, name=name)) for name in sorted(settings.clusters)]
    return [
        KubernetesBackend(access_of(row.name, row.namespace, row.image, row.kubeconfig, row.context), disk)
        for row in rows
    ]
