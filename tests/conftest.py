"""Fixtures of all tests: one embedded PostgreSQL a test process, one fresh database a test.

The server is started when the first test asks for it. Its template database is migrated once; a test gets a clone of
it in about 40 ms.
"""

import itertools
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from harness import stack_template
from hypothesis import HealthCheck, settings

from db import migrate
from db.embedded import Cluster
from db.engine import Database

if TYPE_CHECKING:
    from harness.kafka_server import KafkaServer

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell starts background jobs with Ctrl-C ignored
settings.register_profile(
    "assay",
    max_examples=30,
    deadline=None,  # no clock decides here: machines are shared and noisy
    derandomize="CI"
    in os.environ,  # a change is judged by examples that are the same each time; a person looks further
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("assay")


def pytest_configure(config: pytest.Config) -> None:
    """Let all processes of this run share what a stack begins with."""
    if not hasattr(config, "workerinput"):
        stack_template.open_folder()


def pytest_unconfigure(config: pytest.Config) -> None:
    """Remove it."""
    if not hasattr(config, "workerinput"):
        stack_template.remove_folder()


collect_ignore = ["data"]
"""Inputs of tests, some of them tests themselves."""
TEMPLATE = "assay_template"
WATCH = 'while kill -0 $1 2>/dev/null; do sleep 2; done; kill -INT $2; sleep 2; rm -rf "$3"'
"""Stops the server when the tests were killed and could not."""


@pytest.fixture(scope="session")
def postgres() -> Iterator[Cluster]:
    """The server: not durable, gone after the tests. Its folder is short and passable: any user can serve it."""
    folder = Path(tempfile.mkdtemp(prefix="assay-tests-"))
    folder.chmod(0o711)
    cluster = Cluster(folder / "postgres", durable=False, elsewhere=folder)
    cluster.start()
    watcher = subprocess.Popen(
        ["/bin/sh", "-c", WATCH, "sh", str(os.getpid()), str(cluster.pid), str(folder)], start_new_session=True
    )
    yield cluster
    watcher.kill()
    watcher.wait()
    cluster.remove()
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def new_database(postgres: Cluster) -> Callable[[], str]:
    """Return what makes a clean, migrated database and returns its URL; all are dropped with the server."""
    postgres.create_database(TEMPLATE)
    migrate.upgrade(postgres.url(TEMPLATE))
    numbers = itertools.count(1)

    def make() -> str:
        name = f"assay_{next(numbers)}"
        postgres.create_database(name, template=TEMPLATE)
        return postgres.url(name)

    return make


@pytest.fixture(scope="session")
def database_url(new_database: Callable[[], str]) -> str:
    """The URL of one migrated database that all tests of the process share."""
    return new_database()


@pytest.fixture
def db(postgres: Cluster, new_database: Callable[[], str]) -> Iterator[Database]:
    """A clean, migrated database of this test's own; `db.url` is its address for other processes."""
    with Database(new_database()) as database:
        yield database
    postgres.drop_database(database.name)


@pytest.fixture(scope="session")
def kafka_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator["KafkaServer"]:
    """One real Kafka broker for all tests that ask for it. A test that ends it starts it again."""
    from harness import kafka_server as servers  # noqa: PLC0415  only the tests on a real broker load its client

    if not servers.there():
        pytest.skip(servers.MISSING)
    with servers.serving(tmp_path_factory.mktemp("kafka")) as server:
        yield server
