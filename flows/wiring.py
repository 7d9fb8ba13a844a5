"""The wiring of a worker process: which database, which stores, which backends."""

import asyncio
import os

from prefect.client.orchestration import PrefectClient

from cluster.artifacts import ArtifactStore
from cluster.backend_factory import BackendSettings, open_backend
from cluster.contents import ContentStore
from cluster.logs import LogStore
from cluster.secrets import SecretStore
from db.engine import Database
from db.listen import Listener
from flows.served_clusters import ServedClusters
from flows.settings import Settings
from flows.wakeups import Wakeups
from flows.worker_context import WorkerContext

CONNECTIONS = 3
"""With the heartbeat and the listener, a worker has five connections, however many flows wait."""


def open_context(settings: Settings, client: PrefectClient) -> WorkerContext:
    """Connect to everything that the worker's flows share. `WorkerContext.close` undoes it."""
    title = f"assay {settings.worker}"  # what the database's administrator sees
    listener = Listener(settings.database_url, title=title)
    wakeups = Wakeups(asyncio.get_running_loop())
    listener.subscribe(wakeups.hear)
    contents = ContentStore(settings.state / "content")
    offered = offered_settings(settings, contents)
    db = Database(settings.database_url, size=CONNECTIONS, title=title)
    local = open_backend(settings.backend, offered)
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
        backends={local.name: local},
        clusters=ServedClusters(db, settings.clusters, offered),
    )


def offered_settings(settings: Settings, contents: ContentStore) -> BackendSettings:
    """Return what this worker gives to each backend that it opens."""
    return BackendSettings(
        state=settings.state,
        contents=contents,
        cpu_share=settings.cpu_share,
        cgroup=settings.cgroup,
        allowed_hosts=settings.allowed_hosts,
        git_ca_file=settings.git_ca_file,
        place_within=settings.place_within,
    )
