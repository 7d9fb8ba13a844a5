from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest
from harness import api_server
from harness.api_server import Server

from cluster.kubernetes.connection import Connection


@pytest.fixture
def server() -> Iterator[Server]:
    with api_server.serving() as told:
        yield told


@pytest.fixture
def connection(server: Server, tmp_path: Path) -> Iterator[Connection]:
    made = Connection(api_server.access(server, tmp_path / "kubeconfig"), Random(1))
    yield made
    made.close()
