"""The wiring of a worker process: which database, which stores, which backends."""

import asyncio
import os
from functools import partial

from prefect.client.orchestration import PrefectClient

from cluster.artifacts import ArtifactStore
from cluster.backend import Backend
from cluster.backend_factory import BackendSettings, open_backend, open_cluster
from cluster.contents import ContentStore
from cluster.logs import LogStore
from cluster.secrets import SecretStore
from db import clusters
from db.engine import Database
from db.listen import Listener
from flows.settings import Settings
from flows.wakeups import Wakeups
from flows.worker_context import WorkerContext
from orchestrator.cluster_settings import settings_of

CONNECTIONS = 3
"""With the heartbeat and the listener, a worker has five connections, however many flows wait."""


def open_context(settings: Settings, client: PrefectClient) -> WorkerContext:
    """Connect to everything that the worker's flows share. `WorkerContext.close` undoes it."""
    title = f"assay {settings.worker}"  # what the database's administrator sees
    listener = Listener(settings.database_url, title=title)
    wakeups = Wakeups(asyncio.get_running_loop())
    listener.subscribe(wakeups.hear)
    contents = ContentStore(settings.state / "content")
    offered = BackendSettings(
        state=settings.state,
        contents=contents,
        cpu_share=settings.cpu_share,
        cgroup=settings.cgroup,
        allowed_hosts=settings.allowed_hosts,
        git_ca_file=settings.git_ca_file,
        place_within=settings.place_within,
    )
    db = Database(settings.database_url, size=CONNECTIONS, title=title)
    backends = [open_backend(settings.backend, offered), *cluster_backends(settings, offered, db)]
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


def cluster_backends(settings: Settings, offered: BackendSettings, db: Database) -> list[Backend]:
    """Open the clusters that this worker serves. Raises: NotFoundError for one that has no row."""
    rows = [db.call(partial(clusters.find, name=name)) for name in sorted(settings.clusters)]
    return [open_cluster(settings_of(row), offered) for row in rows]
